//! An upstream's bytes taken apart into events: an event-stream parser that is lenient where servers are not strict.
//!
//! A byte order mark, one invalid byte, a missing last blank line or any mixture of line ends costs nothing, `error:`
//! fields are errors, and nothing is kept without a bound. [`Events`] is a pure state machine: bytes in, the data of
//! events out, one at a time, and how the bytes were cut into chunks makes no difference. Uses nothing of ours.

use std::{collections::VecDeque, fmt};

use memchr::memchr2;
use serde_json::{Value, json};

/// The most bytes of one line, and of the data of one event.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// The most bytes kept of a body that is no event stream.
pub const MAX_STRAY_BYTES: usize = 1 << 20;

const DONE: &str = "[DONE]";

/// A line, or the data of one event, is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
struct EventTooLarge;

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEnd {
    /// `[DONE]` came.
    Done,
    /// The server closed the body without it.
    Eof,
    /// The server closed the body, which was no event stream at all but this text, at most [`MAX_STRAY_BYTES`] of it.
    NoEvents(String),
    /// The body was longer than the caller allows.
    TooLong,
    /// The connection broke, or the stream was not one that can be read.
    Broken(String),
}

impl fmt::Display for BodyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("[DONE] came"),
            Self::Eof => f.write_str("the body ended without [DONE]"),
            Self::NoEvents(_) => f.write_str("the body was no event stream"),
            Self::TooLong => f.write_str("the body is longer than the answer may be"),
            Self::Broken(detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for BodyEnd {}

/// A body as it comes: bytes in, and out the data of its events, and at last how it ended.
///
/// The caller asks [`Events::take`] until that wants more bytes, and brings them.
#[derive(Debug)]
pub struct Events {
    lines: Lines,
    ready: VecDeque<String>,
    /// Bytes that may still come.
    left: usize,
    /// The beginning of the body, as long as it may turn out to be an error without any framing.
    stray: Option<Vec<u8>>,
    end: Option<BodyEnd>,
}

impl Events {
    /// Reads at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { lines: Lines::default(), ready: VecDeque::new(), left: limit, stray: Some(Vec::new()), end: None }
    }

    /// What comes next: an event's data (never empty), or, after the last one and from then on, the body's end.
    /// `None` when that takes more bytes.
    pub fn take(&mut self) -> Option<Result<String, BodyEnd>> {
        match self.ready.pop_front() {
            Some(data) => Some(Ok(data)),
            None => self.end.clone().map(Err),
        }
    }

    /// Takes the next bytes. After the end they are of no interest.
    pub fn push(&mut self, bytes: &[u8]) {
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
        let pushed = self.lines.push(bytes, &mut self.ready);
        self.end = match pushed {
            _ if self.lines.done => Some(BodyEnd::Done),
            Ok(()) => None,
            Err(error) => Some(BodyEnd::Broken(error.to_string())),
        };
        if !self.ready.is_empty() {
            self.stray = None;
        }
    }

    /// The server has closed the body.
    pub fn finish(&mut self) {
        if self.end.is_some() {
            return;
        }
        let finished = self.lines.finish(&mut self.ready);
        self.end = Some(match finished {
            _ if self.lines.done => BodyEnd::Done,
            Ok(()) if self.ready.is_empty() => {
                self.stray.take().and_then(text_without_fields).map_or(BodyEnd::Eof, BodyEnd::NoEvents)
            }
            Ok(()) => BodyEnd::Eof,
            Err(error) => BodyEnd::Broken(error.to_string()),
        });
    }

    /// The connection broke.
    pub fn broken(&mut self, detail: String) {
        self.end.get_or_insert(BodyEnd::Broken(detail));
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
    /// The first line, which may begin with a byte order mark, has been seen.
    past_first_line: bool,
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
    /// Takes the next bytes and appends the events that are complete now.
    ///
    /// After an error the events before it have been appended, and the stream cannot be read any further.
    fn push(&mut self, mut bytes: &[u8], events: &mut VecDeque<String>) -> Result<(), EventTooLarge> {
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
                self.end_line(&bytes[..end], events)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.end_line(&line, events)?;
                // Keeps the allocation for the next line.
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The bytes are over: appends the event that lacks its blank line, if there is one.
    fn finish(&mut self, events: &mut VecDeque<String>) -> Result<(), EventTooLarge> {
        if self.done {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, events)?;
        }
        self.end_event(events);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], events: &mut VecDeque<String>) -> Result<(), EventTooLarge> {
        if line.len() > MAX_EVENT_BYTES {
            return Err(EventTooLarge);
        }
        // Nearly every line is UTF-8, which is found out several times faster than it is mended.
        let mended;
        let mut text = if let Ok(text) = std::str::from_utf8(line) {
            text
        } else {
            mended = String::from_utf8_lossy(line);
            mended.as_ref()
        };
        if !std::mem::replace(&mut self.past_first_line, true) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            self.end_event(events);
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if value.trim_end() == DONE => {
                // Some servers forget the blank line before it.
                self.end_event(events);
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
            _ => {}
        }
        if self.data.len() > MAX_EVENT_BYTES { Err(EventTooLarge) } else { Ok(()) }
    }

    fn data(&mut self, value: &str) {
        self.data.reserve(value.len() + 1);
        self.data.push_str(value);
        self.data.push('\n');
    }

    fn end_event(&mut self, events: &mut VecDeque<String>) {
        let kind = std::mem::take(&mut self.kind);
        let mut data = std::mem::take(&mut self.data);
        data.pop();
        match kind {
            _ if data.is_empty() => {}
            Kind::Message => events.push_back(data),
            Kind::Error => events.push_back(error_event(&data)),
            Kind::Keepalive => {}
        }
    }
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
