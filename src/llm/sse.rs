//! The sanitiser between an upstream's bytes and the event-stream parser, which is strict where servers are not.
//!
//! The parser below async-openai panics on a byte order mark, stops for good at one invalid UTF-8 byte, loses a
//! last event without a blank line, buffers without a bound and ignores `error:` fields. [`Sanitizer`] lets only
//! well-formed `data` and `event` lines through, one event at a time. It is a pure state machine: bytes in, events
//! out, and how the bytes were cut into chunks makes no difference. [`sanitised`] puts it around a body. Uses nothing
//! of ours.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};

/// The most bytes of one line, and of the lines of one event together.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// The most bytes kept of a body that is no event stream.
pub const MAX_STRAY_BYTES: usize = 16 * 1024;

const DONE: &str = "[DONE]";
const DATA: &str = "data: ";

/// A line, or the lines of one event together, are longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLarge;

/// How a body ended. async-openai tells neither whether `[DONE]` came nor what broke, so it is noted below it.
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

/// Bytes of an event stream in, clean events out.
///
/// Out come only `data` and `event` lines in UTF-8 with `\n` ends. Comments, ids, retry times and events without data
/// are dropped; they mean nothing to a chat completion. An `error:` field and the data of an `event: error` become
/// `data: {"error": …}`. Nothing comes after `[DONE]`.
#[derive(Debug, Default)]
pub struct Sanitizer {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The `event` lines of the event that is not complete yet.
    event: String,
    /// Its data lines; without any it is not worth sending.
    data: String,
    /// Whether the event calls itself `error`, before its data or after.
    is_error: bool,
    /// The last byte was `\r`: a `\n` now belongs to it.
    after_cr: bool,
    /// The first line, which may begin with a byte order mark, has been seen.
    past_first_line: bool,
    done: bool,
}

impl Sanitizer {
    /// Takes the next bytes and appends the events that are complete now, each with its blank line.
    ///
    /// # Errors
    /// [`EventTooLarge`]; the events before it have been appended, and the stream cannot be read any further.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut VecDeque<Bytes>) -> Result<(), EventTooLarge> {
        while !bytes.is_empty() && !self.done {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|&b| b == b'\n' || b == b'\r') else {
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
    ///
    /// # Errors
    /// As [`Sanitizer::push`].
    pub fn finish(&mut self, events: &mut VecDeque<Bytes>) -> Result<(), EventTooLarge> {
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

    /// Whether `[DONE]` came.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    fn end_line(&mut self, line: &[u8], events: &mut VecDeque<Bytes>) -> Result<(), EventTooLarge> {
        if line.len() > MAX_EVENT_BYTES {
            return Err(EventTooLarge);
        }
        let text = String::from_utf8_lossy(line);
        let mut text = text.as_ref();
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
                // Some servers forget the blank line before it, some the one after it.
                self.end_event(events);
                self.data(DONE);
                self.end_event(events);
                self.done = true;
            }
            "data" => self.data(value),
            "error" => self.data(&error_event(value)),
            "event" if value == "error" => self.is_error = true,
            "event" => {
                self.event.push_str("event: ");
                self.event.push_str(value);
                self.event.push('\n');
            }
            _ => {}
        }
        if self.event.len() + self.data.len() > MAX_EVENT_BYTES { Err(EventTooLarge) } else { Ok(()) }
    }

    fn data(&mut self, value: &str) {
        self.data.push_str(DATA);
        self.data.push_str(value);
        self.data.push('\n');
    }

    fn end_event(&mut self, events: &mut VecDeque<Bytes>) {
        if std::mem::take(&mut self.is_error) && !self.data.is_empty() {
            let lines = std::mem::take(&mut self.data);
            let values: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix(DATA)).collect();
            self.data(&error_event(&values.join("\n")));
        }
        if !self.data.is_empty() {
            self.event.push_str(&self.data);
            self.event.push('\n');
            events.push_back(Bytes::copy_from_slice(self.event.as_bytes()));
        }
        self.event.clear();
        self.data.clear();
    }
}

/// `body` with a [`Sanitizer`] around it, one event per item: the parser copies what is left of an item once per line.
///
/// Reads at most `limit` bytes. How the body ended is noted in `end` before the last item is given out.
pub fn sanitised<S, E>(
    body: S,
    limit: usize,
    end: Arc<OnceLock<BodyEnd>>,
) -> impl Stream<Item = Result<Bytes, BodyEnd>> + Send
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: fmt::Display + Send,
{
    async_stream::stream! {
        let mut body = std::pin::pin!(body);
        let mut sanitizer = Sanitizer::default();
        let mut events = VecDeque::new();
        let mut left = limit;
        // The beginning of the body, as long as it may turn out to be an error without any framing.
        let mut stray = Some(Vec::new());
        let ended = loop {
            let ended = match body.next().await {
                Some(Ok(bytes)) if bytes.len() > left => Some(BodyEnd::TooLong),
                Some(Ok(bytes)) => {
                    left -= bytes.len();
                    if let Some(stray) = &mut stray {
                        let room = MAX_STRAY_BYTES - stray.len();
                        stray.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    }
                    sanitizer.push(&bytes, &mut events).err().map(|error| BodyEnd::Broken(error.to_string()))
                }
                Some(Err(error)) => Some(BodyEnd::Broken(error.to_string())),
                None => Some(match sanitizer.finish(&mut events) {
                    Ok(()) if events.is_empty() => stray.take().and_then(text_without_fields).map_or(BodyEnd::Eof, BodyEnd::NoEvents),
                    Ok(()) => BodyEnd::Eof,
                    Err(error) => BodyEnd::Broken(error.to_string()),
                }),
            };
            let ended = if sanitizer.is_done() { Some(BodyEnd::Done) } else { ended };
            if let Some(ended) = &ended {
                // Whoever reads the last event may look at once.
                let _: Result<(), BodyEnd> = end.set(ended.clone());
            }
            while let Some(event) = events.pop_front() {
                stray = None;
                yield Ok(event);
            }
            if let Some(ended) = ended {
                break ended;
            }
        };
        if matches!(ended, BodyEnd::TooLong | BodyEnd::Broken(_)) {
            yield Err(ended);
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

/// An event that async-openai hands on like any other, with the error where OpenAI has it.
fn error_event(value: &str) -> String {
    let error = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let event = if error.get("error").is_some() { error } else { json!({ "error": error }) };
    event.to_string()
}

#[cfg(test)]
mod tests;
