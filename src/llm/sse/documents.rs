//! JSON that comes without any framing. Pure.

use super::item::{EventTooLarge, Item, mended};

/// JSON without any framing: one document, or several after each other.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The document that is not complete yet.
    document: Vec<u8>,
    depth: usize,
    quote: Option<u8>,
    is_escaped: bool,
    count: usize,
}

impl Documents {
    /// Takes the next bytes. Gives back what is no JSON any more.
    pub(super) fn push<'a>(
        &mut self,
        bytes: &'a [u8],
        each: &mut impl FnMut(Item<'_>),
    ) -> Result<Option<&'a [u8]>, EventTooLarge> {
        let mut from = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if self.depth == 0 {
                match byte {
                    b'{' | b'[' => from = at,
                    b',' => continue,
                    byte if byte.is_ascii_whitespace() => continue,
                    _ => return Ok(Some(&bytes[at..])),
                }
            }
            self.step(byte);
            if self.depth == 0 {
                self.document.extend_from_slice(&bytes[from..=at]);
                each(Item::Data(&mended(&std::mem::take(&mut self.document))));
                self.count += 1;
                from = at + 1;
            }
        }
        if self.depth > 0 {
            self.document.extend_from_slice(&bytes[from..]);
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) {
        match self.quote {
            Some(_) if std::mem::take(&mut self.is_escaped) => {}
            Some(_) if byte == b'\\' => self.is_escaped = true,
            Some(quote) if byte == quote => self.quote = None,
            Some(_) => {}
            None => match byte {
                b'"' | b'\'' => self.quote = Some(byte),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            },
        }
    }

    /// The bytes are over. Whether there was one document, and it is whole.
    pub(super) fn finish(&mut self, each: &mut impl FnMut(Item<'_>)) -> bool {
        if !self.document.is_empty() {
            each(Item::Data(&mended(&std::mem::take(&mut self.document))));
            return false;
        }
        self.count == 1
    }
}
