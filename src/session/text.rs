//! The text of one run: append-only, addressed by UTF-16 offset, with a running checksum.
//!
//! Pure. Used by the session's log only.

use std::collections::VecDeque;

use crate::{chat::utf16_len, session::Moment};

/// Distance of the marks that translate UTF-16 offsets to bytes: a look-up scans at most this many bytes.
const MARK_BYTES: usize = 1024;
/// How many arrivals are remembered to measure delivery; a reader further behind counts from the oldest.
const MAX_ARRIVALS: usize = 64;

/// A place in a text, between two scalar values. Readers at the end of a growing text keep theirs, so that the
/// usual step costs no translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TextPosition {
    byte: usize,
    utf16: u64,
}

impl TextPosition {
    /// The offset on the wire, in UTF-16 code units.
    #[must_use]
    pub const fn utf16(self) -> u64 {
        self.utf16
    }

    /// The offset in UTF-8.
    #[must_use]
    pub const fn byte(self) -> usize {
        self.byte
    }
}

/// The text of one run.
#[derive(Debug, Default)]
pub struct RunText {
    text: String,
    end: TextPosition,
    /// Places about [`MARK_BYTES`] apart, from the first scalar that is not ASCII; before it bytes are offsets.
    marks: Vec<TextPosition>,
    crc: crc32fast::Hasher,
    /// Ends of recent appends in bytes, and when they came.
    arrivals: VecDeque<(usize, Moment)>,
}

impl RunText {
    /// Appends a piece that arrived at `now`.
    pub fn push(&mut self, piece: &str, now: Moment) {
        if piece.is_empty() {
            return;
        }
        if !(piece.is_ascii() && self.marks.is_empty()) {
            self.mark(piece);
        }
        self.text.push_str(piece);
        self.end.byte = self.text.len();
        self.end.utf16 += utf16_len(piece);
        self.crc.update(piece.as_bytes());
        if self.arrivals.len() == MAX_ARRIVALS {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back((self.text.len(), now));
    }

    /// Takes back everything behind `at`.
    pub fn truncate(&mut self, at: TextPosition) {
        self.text.truncate(at.byte);
        self.end = at;
        self.marks.retain(|mark| mark.byte < at.byte);
        self.arrivals.retain(|(end, _)| *end <= at.byte);
        self.crc = crc32fast::Hasher::new();
        self.crc.update(self.text.as_bytes());
    }

    /// Frees what only a growing text needs.
    pub fn seal(&mut self) {
        self.text.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.arrivals = VecDeque::new();
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Behind the last scalar value.
    #[must_use]
    pub const fn end(&self) -> TextPosition {
        self.end
    }

    /// CRC-32 (zlib) of the text in UTF-8.
    #[must_use]
    pub fn crc32(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// When the text just after `at` came, if that is still known.
    #[must_use]
    pub fn arrival(&self, at: &TextPosition) -> Option<Moment> {
        // From the end: who waits for text misses the newest piece only.
        let missing = self.arrivals.iter().rev().take_while(|(end, _)| *end > at.byte);
        missing.last().map(|(_, moment)| *moment)
    }

    /// The place `utf16` code units into the text; within a surrogate pair, the place before the pair.
    /// `None` behind the end.
    #[must_use]
    pub fn position(&self, utf16: u64) -> Option<TextPosition> {
        if utf16 >= self.end.utf16 {
            return (utf16 == self.end.utf16).then_some(self.end);
        }
        let after = self.marks.partition_point(|mark| mark.utf16 <= utf16);
        let mut at = match after.checked_sub(1) {
            Some(before) => self.marks[before],
            None => {
                let byte = usize::try_from(utf16).ok()?; // Nothing but ASCII before the first mark.
                return Some(TextPosition { byte, utf16 });
            }
        };
        for c in self.text[at.byte..].chars() {
            let next = at.utf16 + c.len_utf16() as u64;
            if next > utf16 {
                break;
            }
            at = TextPosition { byte: at.byte + c.len_utf8(), utf16: next };
        }
        Some(at)
    }

    /// The text after `at`, at most `max_bytes` but at least one scalar value; `at` moves behind it.
    pub fn read(&self, at: &mut TextPosition, max_bytes: usize) -> &str {
        let rest = &self.text[at.byte..];
        if rest.len() <= max_bytes {
            *at = self.end;
            return rest;
        }
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let piece = &rest[..rest.floor_char_boundary(max_bytes).max(first)];
        *at = TextPosition { byte: at.byte + piece.len(), utf16: at.utf16 + utf16_len(piece) };
        piece
    }

    /// Sets marks within `piece`, which is about to be appended.
    fn mark(&mut self, piece: &str) {
        let mut at = self.end;
        for c in piece.chars() {
            let due = match self.marks.last() {
                Some(last) => at.byte - last.byte >= MARK_BYTES,
                None => !c.is_ascii(),
            };
            if due {
                self.marks.push(at);
            }
            at = TextPosition { byte: at.byte + c.len_utf8(), utf16: at.utf16 + c.len_utf16() as u64 };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn offsets_agree_with_a_javascript_string(
            pieces in prop::collection::vec("([a-z ]{0,400}|[äß€😀a]{0,400})", 0..20),
            max in 1usize..900,
        ) {
            let mut text = RunText::default();
            for piece in &pieces {
                text.push(piece, 0);
            }
            let whole = pieces.concat();
            let units: Vec<u16> = whole.encode_utf16().collect();
            prop_assert_eq!(text.end().utf16(), units.len() as u64);
            prop_assert_eq!(text.crc32(), crc32fast::hash(whole.as_bytes()));
            for off in (0..=units.len()).step_by(7) {
                let mut at = text.position(off as u64).unwrap();
                let start = usize::try_from(at.utf16()).unwrap();
                prop_assert!(start == off || start + 1 == off);
                prop_assert_eq!(String::from_utf16(&units[..start]).unwrap(), &whole[..at.byte]);
                let before = at;
                let piece = text.read(&mut at, max);
                prop_assert!(piece.len() <= max.max(4));
                prop_assert_eq!(at.utf16() - before.utf16(), utf16_len(piece));
                prop_assert!(!piece.is_empty() || before == text.end());
            }
            prop_assert_eq!(text.position(units.len() as u64 + 1), None);
        }

        #[test]
        fn what_was_taken_back_was_never_there(
            pieces in prop::collection::vec("([a-z ]{0,400}|[äß€😀a]{0,400})", 0..10),
            after in prop::collection::vec("([a-z ]{0,400}|[äß€😀a]{0,400})", 0..10),
            keep in 0usize..3000,
        ) {
            let (mut text, mut plain) = (RunText::default(), RunText::default());
            pieces.iter().for_each(|piece| text.push(piece, 0));
            let at = text.position((keep as u64).min(text.end().utf16())).unwrap();
            text.truncate(at);
            plain.push(text.as_str(), 0);
            for piece in &after {
                text.push(piece, 1);
                plain.push(piece, 1);
            }
            prop_assert_eq!(text.as_str(), plain.as_str());
            prop_assert_eq!((text.end(), text.crc32()), (plain.end(), plain.crc32()));
            for off in 0..=text.end().utf16() {
                prop_assert_eq!(text.position(off), plain.position(off));
            }
        }
    }
}
