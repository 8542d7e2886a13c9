//! Bytes into lines, and lines into events. Pure.

use memchr::memchr2;
use serde_json::{Value, json};

use super::item::{EventTooLarge, Item, MAX_EVENT_BYTES, mended};

const DONE: &str = "[DONE]";

/// Bytes into lines, lines into events.
///
/// Comments, ids, retry times, events without data and those that only keep a connection alive are dropped; they mean
/// nothing to a chat completion. An `error:` field and the data of an `event: error` become `{"error": …}`. Nothing
/// comes after `[DONE]`, which is no event itself.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The data lines of the event that is not complete yet, each with a line end behind it.
    data: String,
    kind: Kind,
    /// The last byte was `\r`: a `\n` now belongs to it.
    after_cr: bool,
    /// `[DONE]` came.
    pub(super) done: bool,
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
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
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
            // Most events are one line, and what is behind it is there as well.
            let is_whole = bytes[end..].starts_with(b"\n\n");
            if self.line.is_empty() {
                self.end_line(&bytes[..end], is_whole, each)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&bytes[..end]);
                self.end_line(&line, is_whole, each)?;
                // Keeps the allocation for the next line.
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The bytes are over: tells the event that lacks its blank line, if there is one.
    pub(super) fn finish(&mut self, each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
        if self.done {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, false, each)?;
        }
        self.end_event(each);
        Ok(())
    }

    /// A line, and whether it is known to be the last one of its event.
    fn end_line(&mut self, line: &[u8], is_whole: bool, each: &mut impl FnMut(Item<'_>)) -> Result<(), EventTooLarge> {
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
            // It need not be put together, then.
            "data" if is_whole && self.data.is_empty() && self.kind == Kind::Message => {
                if !value.is_empty() {
                    each(Item::Data(value));
                }
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

/// The data of an event like any other, with the error where OpenAI has it.
fn error_event(value: &str) -> String {
    let error = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let event = if error.get("error").is_some() { error } else { json!({ "error": error }) };
    event.to_string()
}
