//! Helvetica, which every reader of PDF has: what it can write, and how wide that is. Pure.
//!
//! Characters are those of WinAnsi, the one byte each in which the font is asked for them.

/// The characters of the bytes 0x80 to 0x9f; NUL where there is none.
const MIDDLE: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];
/// A space at which no line ends.
pub(super) const FIRM_SPACE: u8 = 0xa0;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Regular,
    Bold,
}

/// What the font cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("letters of Western European languages alone can be written, and this is none: {} (U+{:04X})", shown(*.0), u32::from(*.0))]
pub struct Unwritable(pub char);

/// A character that a line of an error can have.
fn shown(c: char) -> String {
    if c.is_control() { "a control character".to_owned() } else { format!("\"{c}\"") }
}

/// The first character of a text that cannot be written.
#[must_use]
pub fn unwritable(text: &str) -> Option<Unwritable> {
    written(text).err()
}

/// A text in the font's bytes; line breaks stay.
pub(super) fn written(text: &str) -> Result<Vec<u8>, Unwritable> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | ' '..='~' | '\u{a0}'..='\u{ff}' => bytes.push(c as u8),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    bytes.push(b'\n');
                }
            }
            '\u{85}' | '\u{2028}' | '\u{2029}' => bytes.push(b'\n'),
            '\t' | '\u{2000}'..='\u{200a}' => bytes.push(b' '),
            '\u{202f}' => bytes.push(FIRM_SPACE),
            '\u{2010}' | '\u{2011}' | '\u{2212}' => bytes.push(b'-'),
            '₹' => {
                bytes.extend(b"Rs.");
                if chars.peek().is_some_and(char::is_ascii_digit) {
                    bytes.push(FIRM_SPACE);
                }
            }
            _ => match MIDDLE.iter().position(|other| *other == c).filter(|_| c != '\0') {
                Some(at) => bytes.push(0x80 + at as u8),
                None => return Err(Unwritable(c)),
            },
        }
    }
    Ok(bytes)
}

impl Face {
    /// How wide a text is, in thousandths of its size.
    pub(super) fn width(self, text: &[u8]) -> u32 {
        text.iter().map(|byte| self.advance(*byte)).sum()
    }

    fn advance(self, byte: u8) -> u32 {
        let widths = match self {
            Self::Regular => &REGULAR,
            Self::Bold => &BOLD,
        };
        byte.checked_sub(0x20).map_or(0, |at| u32::from(widths[usize::from(at)]))
    }

    /// The lines that a text of this size takes in `width` points: broken at spaces, and within words that are wider.
    pub(super) fn lines(self, text: &[u8], size: f32, width: f32) -> Vec<Vec<u8>> {
        let most = (width * 1000.0 / size) as u32;
        let mut lines = Vec::new();
        for wanted in text.split(|byte| *byte == b'\n') {
            let (mut line, mut wide): (Vec<u8>, u32) = (Vec::new(), 0);
            for word in wanted.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
                let (space, long) = (self.advance(b' '), self.width(word));
                if !line.is_empty() && wide + space + long > most {
                    lines.push(std::mem::take(&mut line));
                    wide = 0;
                }
                if !line.is_empty() {
                    line.push(b' ');
                    wide += space;
                }
                for byte in word {
                    let next = self.advance(*byte);
                    if wide + next > most && !line.is_empty() {
                        lines.push(std::mem::take(&mut line));
                        wide = 0;
                    }
                    line.push(*byte);
                    wide += next;
                }
            }
            lines.push(line);
        }
        lines
    }
}

// From the metrics that Adobe publishes with its fonts, for the bytes 0x20 to 0xff.
#[rustfmt::skip]
const REGULAR: [u16; 224] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584, 0,
    556, 0, 222, 556, 333, 1000, 556, 556, 333, 1000, 667, 333, 1000, 0, 611, 0,
    0, 222, 222, 333, 333, 350, 556, 1000, 333, 1000, 500, 333, 944, 0, 500, 667,
    278, 333, 556, 556, 556, 556, 260, 556, 333, 737, 370, 556, 584, 333, 737, 333,
    400, 584, 333, 333, 333, 556, 537, 278, 333, 333, 365, 556, 834, 834, 834, 611,
    667, 667, 667, 667, 667, 667, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278,
    722, 722, 778, 778, 778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611,
    556, 556, 556, 556, 556, 556, 889, 500, 556, 556, 556, 556, 278, 278, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 584, 611, 556, 556, 556, 556, 500, 556, 500,
];
#[rustfmt::skip]
const BOLD: [u16; 224] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
    975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
    333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584, 0,
    556, 0, 278, 556, 500, 1000, 556, 556, 333, 1000, 667, 333, 1000, 0, 611, 0,
    0, 278, 278, 500, 500, 350, 556, 1000, 333, 1000, 556, 333, 944, 0, 500, 667,
    278, 333, 556, 556, 556, 556, 280, 556, 333, 737, 370, 556, 584, 333, 737, 333,
    400, 584, 333, 333, 333, 611, 556, 278, 333, 333, 365, 556, 834, 834, 834, 611,
    722, 722, 722, 722, 722, 722, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278,
    722, 722, 778, 778, 778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611,
    556, 556, 556, 556, 556, 556, 889, 556, 556, 556, 556, 556, 278, 278, 278, 278,
    611, 611, 611, 611, 611, 611, 611, 584, 611, 611, 611, 611, 611, 556, 611, 556,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_another_form_is_written_in_that_and_the_rest_is_named() {
        assert_eq!(written("₹5,00,000 or ₹ 5").unwrap(), b"Rs.\xa05,00,000 or Rs. 5");
        assert_eq!(written("a\r\nb\rc\u{2028}d").unwrap(), b"a\nb\nc\nd");
        assert_eq!(written("“Zoë” – 3\u{202f}€\u{2212}").unwrap(), b"\x93Zo\xeb\x94 \x96 3\xa0\x80-");
        for (text, c) in [("नमस्ते", 'न'), ("ok 😀", '😀'), ("a\0b", '\0'), ("x\u{81}", '\u{81}'), ("日本", '日')]
        {
            assert_eq!(unwritable(text), Some(Unwritable(c)));
        }
        assert!(Unwritable('न').to_string().ends_with("this is none: \"न\" (U+0928)"));
        assert!(Unwritable('\0').to_string().contains("a control character (U+0000)"));
    }

    #[test]
    fn what_can_be_written_has_a_width() {
        for c in ('\u{20}'..='\u{ffff}').filter(|c| unwritable(&c.to_string()).is_none()) {
            let bytes = written(&c.to_string()).unwrap();
            if bytes != b"\n" {
                assert!(Face::Regular.width(&bytes) > 0 && Face::Bold.width(&bytes) > 0, "{c:?}");
            }
        }
        assert_eq!(Face::Regular.width(b"Hello"), 722 + 556 + 222 + 222 + 556);
    }

    proptest! {
        #[test]
        fn lines_are_no_wider_than_they_may_be_and_nothing_is_lost(text in "[a-zW ,\n]{0,300}", width in 20.0..200.0_f32) {
            let lines = Face::Bold.lines(text.as_bytes(), 11.0, width);
            for line in &lines {
                prop_assert!(Face::Bold.width(line) as f32 * 11.0 / 1000.0 <= width, "{line:?}");
            }
            let solid = |bytes: &[u8]| bytes.iter().copied().filter(|b| !b" \n".contains(b)).collect::<Vec<_>>();
            prop_assert_eq!(solid(&lines.concat()), solid(text.as_bytes()));
        }
    }
}
