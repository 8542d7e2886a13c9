//! Which stretches of an answer rest on which source, read from the `[n]` marks in its text.
//!
//! Pure. Reads the text once, whatever stands in it.

use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag};

use crate::chat::{Citation, utf16_len};

/// The most citations of one answer.
const MAX_CITATIONS: usize = 200;

/// The citations in `text`: for every `[n]` with `n` from 1 to `sources`, the sentence before it. Marks in a row
/// (`[1][2]`) share one sentence. What stands in code is no mark. At most 200.
#[must_use]
pub fn find(text: &str, sources: usize) -> Vec<Citation> {
    if sources == 0 || !text.contains('[') {
        return Vec::new();
    }
    let mut code = code(text).into_iter().peekable();
    let mut citations = Vec::new();
    let mut sentence_start = 0; // In bytes; moves behind every sentence, every row of marks and every block of code.
    let mut units = Units { text, at: 0, units: 0 };
    let mut stretch = None; // The sentence that a row of marks shares.
    let mut at = 0;
    while at < text.len() && citations.len() < MAX_CITATIONS {
        if let Some(Code { range, is_block }) = code.next_if(|code| code.range.start <= at) {
            at = at.max(range.end);
            sentence_start = if is_block { at } else { sentence_start };
            stretch = None;
            continue;
        }
        if let Some((n, end)) = mark(text, at) {
            let (start, end_of_stretch) = *stretch.get_or_insert_with(|| {
                let (start, stop) = trimmed(text, sentence_start, at);
                (units.until(start), units.until(stop))
            });
            if (1..=sources).contains(&n) && start < end_of_stretch {
                citations.push(Citation { n: u32::try_from(n).unwrap_or(u32::MAX), start, end: end_of_stretch });
            }
            at = end;
            sentence_start = end;
            continue;
        }
        let c = text[at..].chars().next().unwrap_or(' ');
        let next = at + c.len_utf8();
        if !c.is_whitespace() && !matches!(c, '.' | ',' | ';' | ':') {
            stretch = None;
        }
        let ends_here =
            matches!(c, '.' | '!' | '?' | '\n') && text[next..].chars().next().is_none_or(char::is_whitespace);
        // A mark directly behind the full stop still belongs to the sentence.
        if ends_here && mark(text, next + leading_spaces(&text[next..])).is_none() {
            sentence_start = next;
        }
        at = next;
    }
    citations
}

/// Code in an answer.
struct Code {
    range: Range<usize>,
    /// Or else it stands within a line, and its sentence goes on.
    is_block: bool,
}

/// All code in `text`, in order.
fn code(text: &str) -> Vec<Code> {
    let events = Parser::new(text).into_offset_iter();
    let code = events.filter_map(|(event, range)| match event {
        Event::Code(_) => Some(Code { range, is_block: false }),
        Event::Start(Tag::CodeBlock(_)) => Some(Code { range, is_block: true }),
        _ => None,
    });
    code.collect()
}

/// Counts the UTF-16 units before places that come in order.
struct Units<'a> {
    text: &'a str,
    at: usize,
    units: u64,
}

impl Units<'_> {
    fn until(&mut self, byte: usize) -> u64 {
        self.units += utf16_len(&self.text[self.at..byte]);
        self.at = byte;
        self.units
    }
}

/// The number in a mark that begins at byte `at`, and where it ends.
fn mark(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?.strip_prefix('[')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=3).contains(&digits) || !rest[digits..].starts_with(']') {
        return None;
    }
    Some((rest[..digits].parse().ok()?, at + digits + 2))
}

fn trimmed(text: &str, start: usize, end: usize) -> (usize, usize) {
    let stretch = &text[start..end];
    // What follows a mark begins with the full stop of the sentence before.
    let inner = stretch.trim_start_matches(|c: char| c.is_whitespace() || ".,;:!?".contains(c));
    let lead = stretch.len() - inner.len();
    (start + lead, start + lead + inner.trim_end().len())
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cited(text: &str, sources: usize) -> Vec<(u32, String)> {
        let units: Vec<u16> = text.encode_utf16().collect();
        find(text, sources)
            .iter()
            .map(|c| {
                let range = usize::try_from(c.start).unwrap()..usize::try_from(c.end).unwrap();
                (c.n, String::from_utf16(&units[range]).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_mark_cites_its_sentence() {
        let text = "Hallo 😀. Tents go back within 30 days [1]. Stoves do not. [2] Both are new.";
        assert_eq!(cited(text, 2), [(1, "Tents go back within 30 days".to_owned()), (2, "Stoves do not.".to_owned())]);
    }

    #[test]
    fn marks_in_a_row_share_a_sentence_and_unknown_numbers_are_text() {
        assert_eq!(cited("It is so [1][2].", 2), [(1, "It is so".to_owned()), (2, "It is so".to_owned())]);
        assert_eq!(cited("See [7] and [x] and [].", 2), []);
    }

    #[test]
    fn what_stands_in_code_is_no_mark() {
        assert_eq!(cited("Take `rows[1]` of it [1].", 2), [(1, "Take `rows[1]` of it".to_owned())]);
        assert_eq!(cited("So:\n\n```js\na[1] = b[2]\n```\n\nIt is so [2].", 2), [(2, "It is so".to_owned())]);
        assert_eq!(cited("So:\n\n    a[1]\n\nNo ``a[1] ` b[2]`` is [2]", 2), [(2, "No ``a[1] ` b[2]`` is".to_owned())]);
        assert_eq!(cited("It is `not closed [1].", 1), [(1, "It is `not closed".to_owned())]);
        assert_eq!(cited("- Tents [1]\n  - `x`[1]", 1).len(), 2);
    }

    #[test]
    fn a_text_full_of_marks_is_read_once() {
        let sentence = "😀".repeat(4000);
        let text = format!("{sentence} [1]. ").repeat(300);
        let found = cited(&text, 1);
        assert_eq!((found.len(), found.iter().all(|(_, cited)| *cited == sentence)), (200, true));
    }

    proptest! {
        #[test]
        fn offsets_are_within_the_text(text in "[a. \\[\\]1-3😀`\n]{0,200}") {
            let len = utf16_len(&text);
            for citation in find(&text, 3) {
                prop_assert!(citation.start < citation.end && citation.end <= len);
            }
        }
    }
}
