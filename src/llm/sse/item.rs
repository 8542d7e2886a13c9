//! What comes out of a body, and bytes as text. A leaf.

use std::borrow::Cow;

/// The most bytes of one line, and of the data of one event.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// A line, or the data of one event, is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
pub(super) struct EventTooLarge;

/// What comes out of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// The data of an event, never empty.
    Data(&'a str),
    /// A line of a stream that is no field of an event that anybody knows.
    Stray(&'a str),
}

/// Bytes as text. Nearly all of them are UTF-8, which is found out several times faster than it is mended. Halves of
/// surrogate pairs that were encoded like characters become the escapes that they have in JSON; any other invalid byte
/// is spoiled alone.
pub(super) fn mended(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut rest = bytes;
    let mut text = Vec::with_capacity(bytes.len() + 16);
    while let [byte, more @ ..] = rest {
        if let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, more @ ..] = rest {
            let unit = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
            text.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            rest = more;
        } else {
            text.push(*byte);
            rest = more;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}
