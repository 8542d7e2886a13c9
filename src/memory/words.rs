//! A text → the numbers that it is found by. Pure.
//!
//! A number stands for a word without its ending; which word it was cannot be read from it by somebody who has no list of words.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use crate::{knowledge::terms, store::memories::Words};

/// The characters of a text that are looked at.
const MAX_CHARS: usize = 4_000;
/// Small words of a language whose endings nobody knows.
const HINDI: &str = "मैं मैंने मेरा मेरी मेरे मुझे मुझको मुझसे हम हमारा हमारी हमारे हमें तुम तुम्हारा तुम्हारी तुम्हें आप आपका आपकी आपको है हैं हूँ हूं था थी थे \
    हो का की के को में से पर ने और या कि यह वह ये वो इस उस क्या कौन कहाँ कहां कब कैसे क्यों किस नहीं भी ही तो एक कर करता करती करते \
    रहा रही रहे जो अब कुछ लिए साथ कोई";

/// The words of a text, or of a question: without small ones, as long as there are others. Empty when there is no word at all.
#[must_use]
pub fn words(text: &str) -> Words {
    let start = text.char_indices().nth(MAX_CHARS).map_or(text, |(end, _)| &text[..end]);
    let terms = terms::plain(&without_contractions(start));
    let large =
        numbers(terms.iter().filter(|term| !HINDI.split_ascii_whitespace().any(|small| small == term.as_str())));
    Words::new(if large.is_empty() { numbers(terms.iter()) } else { large })
}

/// With "I" for "I'm" and "do" for "don't": what follows the apostrophe would be a word that other forms have not.
fn without_contractions(text: &str) -> Cow<'_, str> {
    if !text.contains(['\'', '’']) {
        return text.into();
    }
    #[expect(clippy::expect_used, reason = "a constant pattern; the tests read it")]
    static CONTRACTION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?i)(\p{L})(?:n['’]t|['’](?:m|s|d|re|ve|ll))\b").expect("a constant pattern"));
    CONTRACTION.replace_all(text, "$1")
}

fn numbers<'a>(terms: impl Iterator<Item = &'a String>) -> Vec<u32> {
    terms
        .map(|term| {
            let hash = blake3::hash(term.as_bytes());
            let [a, b, c, d, ..] = *hash.as_bytes();
            u32::from_le_bytes([a, b, c, d])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endings_capitals_and_small_words_do_not_matter() {
        assert_eq!(words("The Dogs are walking"), words("a dog walks"));
        assert_eq!(words("Die Hochzeiten von der Schwester"), words("die Hochzeit der Schwester"));
        assert_eq!(words("मेरी शादी कब है?"), words("शादी"));
        assert_ne!(words("dog"), words("cat"));
        assert_eq!(words("I'm vegan"), words("I am vegan"));
        assert_eq!(words("I don’t like nuts; they're bad"), words("I do not like nuts, they are bad"));
    }

    #[test]
    fn a_word_alone_is_found_in_a_sentence_of_its_language() {
        for (sentence, word) in [
            ("Ich bin allergisch gegen Erdbeeren", "allergisch"),
            ("Wir haben im Sommer die Hochzeit von Mira gefeiert", "Hochzeit"),
            ("मेरी बहन की शादी मई में है", "बहन"),
            ("I'm allergic to nuts", "Nuts?"),
            ("我住在北京", "北京"),
        ] {
            assert!(words(sentence).has_all_of(&words(word)), "{sentence}: {word}");
        }
    }

    /// A memory without words would be mentioned by every other.
    #[test]
    fn small_words_count_where_there_are_no_others() {
        for text in ["I am who I am", "मैं वह हूँ", "it is me", "ich bin es"] {
            assert!(!words(text).as_slice().is_empty(), "{text}");
        }
        assert!(words(" … !? ").as_slice().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_has_some_and_each_once(text in any::<String>()) {
            let found = words(&text);
            prop_assert!(found.as_slice().len() <= MAX_CHARS * 3);
            prop_assert!(found.as_slice().is_sorted());
            prop_assert_eq!(&found, &words(&text));
            prop_assert!(found.has_all_of(&found));
        }
    }
}
