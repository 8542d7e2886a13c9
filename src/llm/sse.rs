//! An upstream's bytes taken apart into events, leniently where servers are not strict.
//!
//! The first byte of a body tells how it is framed, whatever its label says: as a stream of events, as bare JSON, or not
//! at all. A byte order mark, one invalid byte, a missing last blank line or any mixture of line ends costs nothing,
//! `error:` fields are errors, and nothing is kept without a bound. [`Events`] is a pure state machine: bytes in, events
//! out, and how the bytes were cut into chunks makes no difference. Uses nothing of ours.

use std::{borrow::Cow, fmt};

use memchr::memchr2;
use serde_json::{Value, json};

/// The most bytes of one line, and of the data of one event.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// The most bytes kept of a body that is no event stream.
pub const MAX_STRAY_BYTES: usize = 64 << 10;

const DONE: &str = "[DONE]";

/// A line, or the data of one event, is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
struct EventTooLarge;

/// What comes out of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// The data of an event, never empty.
    Data(&'a str),
    /// A line of a stream that is no field of an event that anybody knows.
    Stray(&'a str),
}

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

/// JSON without any framing: one document, or several after each other.
#[derive(Debug, Default)]
struct Documents {
    /// The document that is not complete yet.
    document: Vec<u8>,
    depth: usize,
    quote: Option<u8>,
    is_escaped: bool,
    count: usize,
}

impl Documents {
    /// Takes the next bytes. Gives back what is no JSON any more.
    fn push<'a>(
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
    fn finish(&mut self, each: &mut impl FnMut(Item<'_>)) -> bool {
        if !self.document.is_empty() {
            each(Item::Data(&mended(&std::mem::take(&mut self.document))));
            return false;
        }
        self.count == 1
    }
}

/// Bytes into lines, lines into events.
///
/// Comments, ids, retry times, events without data and those that only keep a connection alive are dropped; they mean
/// nothing to a chat completion. An `error:` field and the data of an `event: error` become `{"error": …}`. Nothing
/// comes after `[DONE]`, which is no event itself.
#[derive(Debug, Default)]
struct Lines {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The data lines of the event that is not complete yet, each with a line end behind it.
    data: String,
    kind: Kind,
    /// The last byte was `\r`: a `\n` now belongs to it.
    after_cr: bool,
    /// `[DONE]` came.
    done: bool,
}

/// What an event calls itself, before its data or after.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Message,
    Error,
    Keepalive,
}

impl Lines {
    /// Takes the next bytes and tells the events that are complete now.
    ///
    /// After an error the events before it were told, and the stream cannot be read any further.
    fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
        while !bytes.is_empty() && !self.done {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                return if self.line.len() > MAX_EVENT_BYTES { Err(EventTooLarge) } else { Ok(()) };
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.end_line(&bytes[..end], each)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.end_line(&line, each)?;
                // Keeps the allocation for the next line.
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The bytes are over: tells the event that lacks its blank line, if there is one.
    fn finish(&mut self, each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
        if self.done {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, each)?;
        }
        self.end_event(each);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
        if line.len() > MAX_EVENT_BYTES {
            return Err(EventTooLarge);
        }
        let text = mended(line);
        if text.is_empty() {
            self.end_event(each);
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if value.trim_end() == DONE => {
                // Some servers forget the blank line before it.
                self.end_event(each);
                self.done = true;
            }
            "data" => self.data(value),
            "error" => self.data(&error_event(value)),
            "event" => {
                self.kind = match value {
                    "error" => Kind::Error,
                    "keepalive" if self.kind == Kind::Message => Kind::Keepalive,
                    _ => self.kind,
                };
            }
            // Behind the colon of a field whose name was cut off there would be an object.
            "" if !value.starts_with('{') => {}
            "id" | "retry" => {}
            _ => {
                self.end_event(each);
                each(Item::Stray(&text));
            }
        }
        if self.data.len() > MAX_EVENT_BYTES { Err(EventTooLarge) } else { Ok(()) }
    }

    fn data(&mut self, value: &str) {
        self.data.reserve(value.len() + 1);
        self.data.push_str(value);
        self.data.push('\n');
    }

    fn end_event(&mut self, each: &mut impl FnMut(Item<'_>)) {
        let kind = std::mem::take(&mut self.kind);
        self.data.pop();
        match kind {
            _ if self.data.is_empty() => {}
            Kind::Message => each(Item::Data(&self.data)),
            Kind::Error => each(Item::Data(&error_event(&self.data))),
            Kind::Keepalive => {}
        }
        // Keeps the allocation for the next event.
        self.data.clear();
    }
}

/// Bytes as text. Nearly all of them are UTF-8, which is found out several times faster than it is mended. Halves of
/// surrogate pairs that were encoded like characters become the escapes that they have in JSON; any other invalid byte
/// is spoiled alone.
fn mended(bytes: &[u8]) -> Cow<'_, str> {
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

/// `body` as text, if there is something in it and no line looks like one of an event stream.
fn text_without_fields(body: Vec<u8>) -> Option<String> {
    const FIELDS: &[&str] = &["data:", "event:", "id:", "retry:", ":"];
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    let is_stream = text.lines().any(|line| FIELDS.iter().any(|field| line.starts_with(field)));
    (!text.is_empty() && !is_stream).then_some(text)
}

/// The data of an event like any other, with the error where OpenAI has it.
fn error_event(value: &str) -> String {
    let error = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let event = if error.get("error").is_some() { error } else { json!({ "error": error }) };
    event.to_string()
}

#[cfg(test)]
mod tests;
