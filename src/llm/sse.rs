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

const DONE: &str = "[DONE]";

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
    /// The clean lines of the event that is not complete yet.
    event: String,
    /// Whether `event` has a data line; only then is it worth sending.
    has_data: bool,
    /// Whether the event calls itself `error`.
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
            "data" if self.is_error => self.data(&error_event(value)),
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
        if self.event.len() > MAX_EVENT_BYTES { Err(EventTooLarge) } else { Ok(()) }
    }

    fn data(&mut self, value: &str) {
        self.event.push_str("data: ");
        self.event.push_str(value);
        self.event.push('\n');
        self.has_data = true;
    }

    fn end_event(&mut self, events: &mut VecDeque<Bytes>) {
        self.is_error = false;
        if std::mem::take(&mut self.has_data) {
            self.event.push('\n');
            events.push_back(Bytes::copy_from_slice(self.event.as_bytes()));
        }
        self.event.clear();
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
        let ended = loop {
            let ended = match body.next().await {
                Some(Ok(bytes)) if bytes.len() > left => Some(BodyEnd::TooLong),
                Some(Ok(bytes)) => {
                    left -= bytes.len();
                    sanitizer.push(&bytes, &mut events).err().map(|error| BodyEnd::Broken(error.to_string()))
                }
                Some(Err(error)) => Some(BodyEnd::Broken(error.to_string())),
                None => Some(match sanitizer.finish(&mut events) {
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

/// An event that async-openai hands on like any other, with the error where OpenAI has it.
fn error_event(value: &str) -> String {
    let error = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let event = if error.get("error").is_some() { error } else { json!({ "error": error }) };
    event.to_string()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    /// What comes out of `chunks`, and whether it was too large.
    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (String, bool) {
        let mut sanitizer = Sanitizer::default();
        let mut events = VecDeque::new();
        let mut failed = false;
        for chunk in chunks {
            if sanitizer.push(chunk, &mut events).is_err() {
                failed = true;
                break;
            }
        }
        failed = failed || sanitizer.finish(&mut events).is_err();
        let text = events.iter().map(|event| std::str::from_utf8(event).unwrap()).collect();
        (text, failed)
    }

    fn clean(input: &[u8]) -> String {
        let (text, failed) = run([input]);
        assert!(!failed);
        text
    }

    #[test]
    fn a_byte_order_mark_goes() {
        assert_eq!(clean(b"\xEF\xBB\xBFdata: 1\n\n"), "data: 1\n\n");
        assert_eq!(clean(b"\xEF\xBB\xBF\xEF\xBB\xBFdata: 1\n\ndata: 2\n\n"), "data: 2\n\n");
    }

    #[test]
    fn every_line_end_is_understood() {
        assert_eq!(clean(b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n"), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
        assert_eq!(clean(b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n"), "event: x\ndata: 1\ndata: 2\n\n");
    }

    #[test]
    fn invalid_utf8_becomes_replacement_characters_and_nothing_else_is_lost() {
        assert_eq!(clean(b"data: a\xFFb\n\ndata: c\n\n"), "data: a\u{fffd}b\n\ndata: c\n\n");
    }

    #[test]
    fn comments_ids_and_events_without_data_go() {
        assert_eq!(clean(b": ping\n\nid: 7\nretry: 9\n\nevent: keepalive\n\ndata:x\n\n"), "data: x\n\n");
        assert_eq!(clean(b"event: keepalive\ndata: {}\n\n"), "event: keepalive\ndata: {}\n\n");
    }

    #[test]
    fn errors_become_data() {
        assert_eq!(clean(b"error: {\"code\":500}\n\n"), "data: {\"error\":{\"code\":500}}\n\n");
        assert_eq!(clean(b"error: out of memory\n\n"), "data: {\"error\":\"out of memory\"}\n\n");
        assert_eq!(clean(b"event: error\ndata: {\"message\":\"m\"}\n\n"), "data: {\"error\":{\"message\":\"m\"}}\n\n");
        assert_eq!(
            clean(b"event: error\ndata: {\"error\":\"m\"}\n\ndata: {}\n\n"),
            "data: {\"error\":\"m\"}\n\ndata: {}\n\n"
        );
    }

    #[test]
    fn the_missing_last_blank_line_is_added_once() {
        assert_eq!(clean(b"data: 1\n\ndata: 2"), "data: 1\n\ndata: 2\n\n");
        assert_eq!(clean(b"data: 1\n"), "data: 1\n\n");
        assert_eq!(clean(b"data: 1\n\n"), "data: 1\n\n");
    }

    #[test]
    fn done_stands_alone_and_ends_the_stream() {
        assert_eq!(clean(b"data: 1\ndata: [DONE]\ndata: 2\n\n"), "data: 1\n\ndata: [DONE]\n\n");
        assert_eq!(clean(b"data:[DONE] "), "data: [DONE]\n\n");
    }

    #[test]
    fn long_lines_and_long_events_are_refused_after_what_came_before() {
        let line = [b"data: 1\n\ndata: ", "x".repeat(MAX_EVENT_BYTES).as_bytes(), b"\n\n"].concat();
        assert_eq!(run([line.as_slice()]), ("data: 1\n\n".to_owned(), true));
        let unfinished = &line[..line.len() - 2];
        assert_eq!(run([unfinished]), ("data: 1\n\n".to_owned(), true));
        let event = "data: x\n".repeat(MAX_EVENT_BYTES / 8 + 1);
        assert_eq!(run([event.as_bytes()]), (String::new(), true));
    }

    #[tokio::test]
    async fn the_end_of_a_body_is_noted() {
        async fn end_of(chunks: Vec<Result<Bytes, &'static str>>, limit: usize) -> (usize, BodyEnd) {
            let end = Arc::new(OnceLock::new());
            let items: Vec<_> = sanitised(stream::iter(chunks), limit, Arc::clone(&end)).collect().await;
            (items.iter().filter(|item| item.is_ok()).count(), end.get().cloned().unwrap())
        }
        let event = || Ok(Bytes::from_static(b"data: 1\n\n"));
        let done = || Ok(Bytes::from_static(b"data: [DONE]\n\n"));
        assert_eq!(end_of(vec![event(), done(), event()], 1000).await, (2, BodyEnd::Done));
        assert_eq!(end_of(vec![event()], 1000).await, (1, BodyEnd::Eof));
        assert_eq!(end_of(vec![event(), event()], 10).await, (1, BodyEnd::TooLong));
        assert_eq!(end_of(vec![event(), Err("reset")], 1000).await, (1, BodyEnd::Broken("reset".to_owned())));
    }

    /// Bytes in which line ends, marks and fields are frequent enough to meet at chunk borders.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"data: {\"a\":1}".to_vec()),
            Just(b"data:[DONE]".to_vec()),
            Just(b"event: error".to_vec()),
            Just(b"error: no".to_vec()),
            Just(b": ping".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just("é😀\u{feff}".as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_cuts_make_no_difference(input in streams(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&input[from..cut]);
                from = cut;
            }
            chunks.push(&input[from..]);
            let whole = run([input.as_slice()]);
            prop_assert_eq!(&run(chunks), &whole);
            prop_assert_eq!(&run(input.chunks(1)), &whole);
            // What comes out is clean: sanitising it again changes nothing.
            prop_assert_eq!(&run([whole.0.as_bytes()]).0, &whole.0);
        }
    }
}
