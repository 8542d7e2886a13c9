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
/// What is secret, by its name.
const WORD: &str = concat!(
    r"\b(?:\w*pass(?:words?|phrases?|codes?|wort|worts|wortes|wörtern?)|\w*kenn(?:wort|wörtern?)|passwd|pwd|passkeys?",
    r"|(?:bank|handy|konto|karten|sim|telefon)?pins?(?:[- ]?(?:codes?|numbers?|nummern?))?|puks?|cvv|cvc|tans?|otps?|credentials",
    r"|geheim(?:zahl|nummer|code|wort)(?:en|s)?|(?:zugangs|sicherheits|entsperr|freischalt)codes?|(?:zugangs|anmelde|login)-?daten|(?:karten)?prüfnummer",
    r"|(?:security|access|unlock|verification|backup|recovery) codes?|api[-_ ]?(?:keys?|tokens?)|secrets?(?: keys?)?|(?:access|auth|bearer|refresh)[-_ ]?tokens?",
    r"|private[-_ ]?keys?|(?:recovery|seed) phrases?)\b"
);
/// Such words with what they name, before or behind them; and secrets that show what they are. In a subordinate clause in German the
/// verb comes last. A mark within a sentence may be a part of the secret.
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    let text = concat!(
        r"(?i){word}{gap}(?:\b(?:is|are|was|were|ist|sind|war|waren|lautet|lauten|heißt|heisst|heißen)\b|['’]s\b|[=:]\s*\S)",
        r"|\b(?:is|are|was|ist|sind|war)\s+(?:my|our|the|meine?|unsere?|die|das|der)\s+(?:\S+\s+){0,3}?{word}",
        r"|{word}\s+\S*\d|{word}\s+auf\s+\S|\b(?:set|changed?|reset)\b{gap}{word}{gap}\bto\b",
        r"|^\W*(?:my|our|meine?|unsere?)\s+(?:\S+\s+){0,2}?{word}\s+\S+$",
        r"|(?:पासवर्ड|पिन|पासकोड|ओटीपी)(?:[^।!?\n]{0,60}?(?:है|हैं|:|=)|\s+\S*\d)",
        r"|\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"|\bAKIA[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    );
    pattern(&text.replace("{word}", WORD).replace("{gap}", r"(?:[^.!?\n]|[.!?]\S){0,60}?"))
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
    let digits: Vec<u32> = text.chars().filter_map(digit).collect();
    let most = digits.len().clamp(*CARD_DIGITS.start(), *CARD_DIGITS.end());
    let is_card = |digits: &[u32]| {
        let sum: u32 = digits.iter().rev().zip(0..).map(|(digit, at)| doubled(*digit, at % 2 == 1)).sum();
        sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
    };
    [15, 16, most].iter().any(|length| digits.windows(*length).any(is_card))
}

/// A digit, as it is written in Hindi, too.
fn digit(c: char) -> Option<u32> {
    c.to_digit(10).or_else(|| ('०'..='९').contains(&c).then(|| u32::from(c) - u32::from('०')))
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
            ("4111 1111 1111 1111 12/28", Sensitive::Card),
            ("4111 1111 1111 1111 123", Sensitive::Card),
            ("my card is 3782 822463 10005 1234", Sensitive::Card),
            ("मेरा कार्ड ४१११ ११११ ११११ ११११ है", Sensitive::Card),
            ("my account: DE89 3704 0044 0532 0130 00", Sensitive::Iban),
            ("gb82west12345698765432", Sensitive::Iban),
            ("My password is hunter2", Sensitive::Secret),
            ("mein Passwort lautet Sommer", Sensitive::Secret),
            ("The PIN of my card is 1234", Sensitive::Secret),
            ("मेरा पासवर्ड सूरज है", Sensitive::Secret),
            ("use sk-abcdefghijklmnop1234", Sensitive::Secret),
            ("api_key=abc", Sensitive::Secret),
            ("mein Passwort Sommer123 ist", Sensitive::Secret),
            ("Merk dir, dass mein Passwort Som!mer ist.", Sensitive::Secret),
            ("1234 is my PIN", Sensitive::Secret),
            ("4711 ist meine neue Geheimzahl", Sensitive::Secret),
            ("my password hunter2", Sensitive::Secret),
            ("my password swordfish", Sensitive::Secret),
            ("I changed my password to swordfish", Sensitive::Secret),
            ("My passwords are sun and moon", Sensitive::Secret),
            ("Meine Passwörter sind Sonne und Mond", Sensitive::Secret),
            ("meine Geheimzahl ist 4711", Sensitive::Secret),
            ("Mein Masterpasswort lautet Sonne", Sensitive::Secret),
            ("मेरा पिन ४७११", Sensitive::Secret),
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
            "I forgot my password. Anna is my sister",
            "I like pinball and spinning",
            "१२३ १२३ १२३ १२३ १",
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
