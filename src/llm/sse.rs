//! An upstream's bytes taken apart into events, leniently where servers are not strict.
//!
//! The first byte of a body tells how it is framed, whatever its label says: as a stream of events, as bare JSON, or not
//! at all. A byte order mark, one invalid byte, a missing last blank line or any mixture of line ends costs nothing,
//! `error:` fields are errors, and nothing is kept without a bound. [`Events`] is a pure state machine: bytes in, events
//! out, and how the bytes were cut into chunks makes no difference. Uses nothing of ours.

use std::fmt;

use self::{documents::Documents, item::EventTooLarge, lines::Lines};

mod documents;
mod item;
mod lines;

pub use item::{Item, MAX_EVENT_BYTES};

/// The most bytes kept of a body that is no event stream.
pub const MAX_STRAY_BYTES: usize = 64 << 10;

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEnd {
    /// `[DONE]` came.
    Done,
    /// The server closed a body that was one JSON document, and a whole one.
    Document,
    /// The server closed the body without `[DONE]`.
    Eof,
    /// The server closed the body, which was no event stream at all but this text, at most [`MAX_STRAY_BYTES`] of it.
    NoEvents(String),
    /// The body was longer than the caller allows.
    TooLong,
    /// The connection broke, or the stream was not one that can be read.
    Broken(String),
    /// Nothing came any more.
    Silent,
}

impl BodyEnd {
    /// Whether it may have been cut anywhere.
    pub(super) const fn is_cut(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Silent)
    }
}

impl fmt::Display for BodyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("[DONE] came"),
            Self::Document => f.write_str("the document ended"),
            Self::Eof => f.write_str("the body ended without [DONE]"),
            Self::NoEvents(_) => f.write_str("the body was no event stream"),
            Self::TooLong => f.write_str("the body is longer than the answer may be"),
            Self::Broken(detail) => f.write_str(detail),
            Self::Silent => f.write_str("nothing came any more"),
        }
    }
}

/// A body as it comes: bytes in, and out its items, and at last how it ended.
#[derive(Debug)]
pub struct Events {
    framing: Framing,
    lines: Lines,
    /// Bytes that may still come.
    left: usize,
    /// The beginning of the body, as long as there was no event in it.
    stray: Option<Vec<u8>>,
    end: Option<BodyEnd>,
}

/// How a body is taken apart.
#[derive(Debug)]
enum Framing {
    /// Nothing but white space came.
    Unknown,
    Lines,
    Json(Documents),
    /// A web page, or whatever else begins like one.
    Page,
}

impl Events {
    /// Reads at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let (framing, lines) = (Framing::Unknown, Lines::default());
        Self { framing, lines, left: limit, stray: Some(Vec::new()), end: None }
    }

    /// How the body ended, once it has.
    #[must_use]
    pub const fn end(&self) -> Option<&BodyEnd> {
        self.end.as_ref()
    }

    /// Takes the next bytes. After the end they are of no interest.
    pub fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(Item<'_>)) {
        if self.end.is_some() {
            return;
        }
        if bytes.len() > self.left {
            self.end = Some(BodyEnd::TooLong);
            return;
        }
        self.left -= bytes.len();
        if let Some(stray) = &mut self.stray {
            let room = MAX_STRAY_BYTES - stray.len();
            stray.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        let mut has_events = false;
        let pushed = self.pass(bytes, &mut |item| {
            has_events |= matches!(item, Item::Data(_));
            each(item);
        });
        if has_events {
            self.stray = None;
        }
        self.end = match pushed {
            _ if self.lines.done => Some(BodyEnd::Done),
            Ok(()) if matches!(self.framing, Framing::Page) && self.has_enough() => Some(self.no_events()),
            Ok(()) => None,
            Err(error) => Some(BodyEnd::Broken(error.to_string())),
        };
    }

    /// The server has closed the body.
    pub fn finish(&mut self, each: &mut impl FnMut(Item<'_>)) {
        if self.end.is_some() {
            return;
        }
        let mut has_events = false;
        let mut each = |item: Item<'_>| {
            has_events |= matches!(item, Item::Data(_));
            each(item);
        };
        let finished = match &mut self.framing {
            Framing::Json(documents) => Ok(documents.finish(&mut each)),
            _ => self.lines.finish(&mut each).map(|()| false),
        };
        self.end = Some(match finished {
            _ if self.lines.done => BodyEnd::Done,
            Ok(true) => BodyEnd::Document,
            Ok(false) if has_events => BodyEnd::Eof,
            Ok(false) => self.no_events(),
            Err(error) => BodyEnd::Broken(error.to_string()),
        });
    }

    /// The connection broke.
    pub fn broken(&mut self, detail: String) {
        self.end.get_or_insert(BodyEnd::Broken(detail));
    }

    /// Nothing came for as long as anybody waits.
    pub fn silent(&mut self) {
        self.end.get_or_insert(BodyEnd::Silent);
    }

    fn pass(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
        loop {
            match &mut self.framing {
                Framing::Lines => return self.lines.push(bytes, each),
                Framing::Page => return Ok(()),
                Framing::Json(documents) => match documents.push(bytes, each)? {
                    None => return Ok(()),
                    // Something else follows.
                    Some(rest) => {
                        bytes = rest;
                        self.framing = Framing::Lines;
                    }
                },
                Framing::Unknown => {
                    let mark = |byte: &u8| b"\xef\xbb\xbf".contains(byte);
                    let Some(first) = bytes.iter().position(|byte| !byte.is_ascii_whitespace() && !mark(byte)) else {
                        return Ok(());
                    };
                    self.framing = match bytes[first] {
                        b'{' | b'[' => Framing::Json(Documents::default()),
                        b'<' => Framing::Page,
                        _ => Framing::Lines,
                    };
                    bytes = &bytes[first..];
                }
            }
        }
    }

    fn has_enough(&self) -> bool {
        self.stray.as_ref().is_some_and(|stray| stray.len() == MAX_STRAY_BYTES)
    }

    fn no_events(&mut self) -> BodyEnd {
        self.stray.take().and_then(text_without_fields).map_or(BodyEnd::Eof, BodyEnd::NoEvents)
    }
}

/// `body` as text, if there is something in it and no line looks like one of an event stream.
fn text_without_fields(body: Vec<u8>) -> Option<String> {
    const FIELDS: &[&str] = &["data:", "event:", "id:", "retry:", ":"];
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    let is_stream = text.lines().any(|line| FIELDS.iter().any(|field| line.starts_with(field)));
    (!text.is_empty() && !is_stream).then_some(text)
}

#[cfg(test)]
mod tests;
