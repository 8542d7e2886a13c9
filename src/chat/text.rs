//! Offsets in texts, and what of a text can be shown in a line. Pure.

use std::fmt::Write;

/// The number of UTF-16 code units of `text`, the unit of every offset on the wire.
#[must_use]
pub fn utf16_len(text: &str) -> u64 {
    if text.is_ascii() {
        return text.len() as u64;
    }
    text.chars().map(|c| c.len_utf16() as u64).sum()
}

/// Where so many UTF-16 units of `text` end, in bytes; its end when it has fewer.
#[must_use]
pub fn byte_of(text: &str, units: u64) -> usize {
    let mut left = units;
    let end = text.char_indices().find(|(_, c)| {
        let is_behind = left < c.len_utf16() as u64;
        left = left.saturating_sub(c.len_utf16() as u64);
        is_behind
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// The beginning of a text that others wrote, for a line that people read: at most so many bytes, with escapes for what is
/// no printable character. Those are line ends, which would begin another line, sequences that a terminal obeys, and marks
/// that turn the direction of writing.
#[must_use]
pub fn printable(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
        } else {
            let _writing_to_a_string_never_fails = write!(shown, "{}", c.escape_default());
        }
        if shown.len() >= most {
            break;
        }
    }
    shown.truncate(shown.floor_char_boundary(most));
    shown
}

/// Whether it is a character that may stand in a line as it is: neither a control nor a misleading one.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control() && !is_misleading(c)
}

/// Whether it is a character that nobody sees, that ends a line, or that turns the direction of those behind it.
#[must_use]
pub const fn is_misleading(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn utf16_counts_surrogate_pairs_twice() {
        assert_eq!(utf16_len("aé😀"), 4);
    }

    #[test]
    fn nothing_that_others_wrote_is_more_than_text() {
        let forged = "no\u{1b}[31m\nERROR admin logged in\r\u{9b}2J\u{202e}\u{2028}\0 ä😀\t";
        assert_eq!(
            printable(forged, 200),
            "no\\u{1b}[31m\\nERROR admin logged in\\r\\u{9b}2J\\u{202e}\\u{2028}\\u{0} ä😀\\t"
        );
        assert_eq!((printable(&"ä".repeat(4000), 99).len(), printable("ä", 0).len()), (98, 0));
        assert!(printable(&"\u{1b}".repeat(4000), 99).len() <= 99);
    }

    proptest! {
        #[test]
        fn offsets_are_those_of_utf16(text in "[aä😀]{0,30}", units in 0_u64..50) {
            let kept = &text[..byte_of(&text, units)];
            prop_assert!(utf16_len(kept) <= units);
            let next = text[kept.len()..].chars().next();
            prop_assert!(next.is_none_or(|c| utf16_len(kept) + c.len_utf16() as u64 > units));
        }
    }
}
