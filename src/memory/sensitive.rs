//! What must not be remembered by the way: numbers of cards and accounts, and secrets. Pure.
//!
//! Better too much than too little: whoever says such a thing may have meant something else, but nobody is hurt when it is not kept.

use std::{fmt, sync::LazyLock};

use regex::Regex;

/// Why a text is better not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sensitive {
    /// The number of a payment card.
    Card,
    /// The number of a bank account.
    Iban,
    /// A password, a key or a token.
    Secret,
}

impl fmt::Display for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Card => "the number of a card",
            Self::Iban => "the number of a bank account",
            Self::Secret => "a password, a key or a token",
        })
    }
}

/// Digits of a card.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Characters of an IBAN.
const IBAN_CHARS: std::ops::RangeInclusive<usize> = 15..=34;

static DIGITS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d(?:[ .-]?\d){12,}"));
static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}"));
/// Words that a secret follows, with what can stand between them; and secrets that show what they are.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:pass(?:word|phrase|code|wort)|kennwort|passwd|pwd|pin(?:[- ]?(?:code|number|nummer))?|puk|cvv|cvc|tan",
        r"|api[-_ ]?key|secret(?: key)?|access[-_ ]?token|private[-_ ]?key|recovery (?:code|phrase)|seed phrase|zugangscode)\b",
        r"[^.!?\n]{0,40}?(?:\bis\b|\bare\b|\bist\b|\blautet\b|\bheißt\b|['’]s\b|=|:)\s*\S",
        r"|(?:पासवर्ड|पिन|पासकोड|ओटीपी)[^।!?\n]{0,60}?(?:है|हैं|:|=)",
        r"|\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"|\bAKIA[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    ))
});

#[expect(clippy::expect_used, reason = "the patterns are constant, and tried in tests")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// What of a text is better not kept; `None` when nothing is seen.
#[must_use]
pub fn sensitive(text: &str) -> Option<Sensitive> {
    if SECRET.is_match(text) {
        Some(Sensitive::Secret)
    } else if ACCOUNT.find_iter(text).any(|found| has_iban(found.as_str())) {
        Some(Sensitive::Iban)
    } else if DIGITS.find_iter(text).any(|found| has_card(found.as_str())) {
        Some(Sensitive::Card)
    } else {
        None
    }
}

/// Whether digits, together or with others before or behind them, are a card's: its last one follows from the others (Luhn).
fn has_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let most = digits.len().min(*CARD_DIGITS.end());
    let is_card = |digits: &[u32]| {
        let sum: u32 = digits.iter().rev().zip(0..).map(|(digit, at)| doubled(*digit, at % 2 == 1)).sum();
        sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
    };
    if digits.len() <= *CARD_DIGITS.end() {
        is_card(&digits)
    } else {
        digits.windows(most).any(is_card) || digits.windows(16).any(is_card)
    }
}

const fn doubled(digit: u32, is_doubled: bool) -> u32 {
    match (is_doubled, digit) {
        (false, digit) => digit,
        (true, digit @ 0..=4) => digit * 2,
        (true, digit) => digit * 2 - 9,
    }
}

/// Whether letters and digits begin with an account's number: its check digits follow from the others (ISO 7064).
fn has_iban(text: &str) -> bool {
    let plain: Vec<u32> = text.chars().filter_map(|c| c.to_digit(36)).collect();
    let longest = plain.len().min(*IBAN_CHARS.end());
    (*IBAN_CHARS.start()..=longest).any(|length| {
        let (head, rest) = plain[..length].split_at(4);
        rest.iter().chain(head).fold(0, |left, value| (left * if *value < 10 { 10 } else { 100 } + value) % 97) == 1
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_cards_and_accounts_and_secrets_are_seen() {
        for (text, what) in [
            ("my card is 4111 1111 1111 1111", Sensitive::Card),
            ("5500-0055-5555-5559, until 12/28", Sensitive::Card),
            ("378282246310005", Sensitive::Card),
            ("my account: DE89 3704 0044 0532 0130 00", Sensitive::Iban),
            ("gb82west12345698765432", Sensitive::Iban),
            ("My password is hunter2", Sensitive::Secret),
            ("mein Passwort lautet Sommer", Sensitive::Secret),
            ("The PIN of my card is 1234", Sensitive::Secret),
            ("मेरा पासवर्ड सूरज है", Sensitive::Secret),
            ("use sk-abcdefghijklmnop1234", Sensitive::Secret),
            ("api_key=abc", Sensitive::Secret),
        ] {
            assert_eq!(sensitive(text), Some(what), "{text}");
        }
    }

    #[test]
    fn other_numbers_and_words_are_not() {
        for text in [
            "my number is 0171 2345678",
            "I was born on 3 March 1990",
            "I forgot my password",
            "4111 1111 1111 1112",
            "0000 0000 0000 0000",
            "DE12 is a road",
            "I like opinions: strong ones",
            "I live in Berlin",
            "order 2026-11-28-0001",
        ] {
            assert_eq!(sensitive(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_at(text in any::<String>()) {
            let _seen = sensitive(&text);
        }

        #[test]
        fn any_card_is_seen_in_any_sentence(digits in proptest::collection::vec(0u32..10, 15), before in "[a-z ]{0,20}") {
            prop_assume!(digits.iter().any(|digit| *digit != digits[0]));
            let sum: u32 = digits.iter().rev().zip(1..).map(|(digit, at)| doubled(*digit, at % 2 == 1)).sum();
            let card: String = digits.iter().chain([&((10 - sum % 10) % 10)]).map(u32::to_string).collect();
            let text = format!("{before} {card}.");
            prop_assert!(sensitive(&text).is_some());
        }
    }
}
