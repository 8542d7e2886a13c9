//! The body of an answer while it comes: bytes in, steps of the answer out, and at last whether it was one.
//!
//! Puts [`Events`] and the lenient types of `chunk` together: three events that are not JSON end a stream, JSON without
//! any framing is read all the same, and what follows a finish is of interest for its usage only. Pure; how the bytes
//! were cut makes no difference. Uses `chat` and the two.

use std::collections::VecDeque;

use serde_json::Value;

pub use super::chunk::{Step, UpstreamError};
use super::{
    chunk::{Answer, Chunk, Ending},
    sse::{BodyEnd, Events},
};
use crate::chat::Usage;

/// So many events that are not JSON end a stream.
const MAX_BAD_EVENTS: u32 = 3;

/// What was read of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A step of the answer.
    Step(Step),
    /// An event that is not JSON was skipped.
    BadEvent,
    /// The stream ended without the proof that the answer is whole; what was missing.
    Truncated(String),
    /// Nothing more comes.
    Over,
}

/// A body as far as it has come.
#[derive(Debug)]
pub struct Reading {
    events: Events,
    answer: Answer,
    ready: VecDeque<Read>,
    bad_events: u32,
    is_over: bool,
}

impl Reading {
    /// Reads at most `body_bytes`, and cuts the answer at `text_bytes` of text.
    #[must_use]
    pub fn new(body_bytes: usize, text_bytes: usize) -> Self {
        Self {
            events: Events::new(body_bytes),
            answer: Answer::new(text_bytes),
            ready: VecDeque::new(),
            bad_events: 0,
            is_over: false,
        }
    }

    /// A body that is one JSON document: a whole completion.
    #[must_use]
    pub fn whole(json: &str, text_bytes: usize) -> Self {
        let mut reading = Self::new(0, text_bytes);
        reading.event(json);
        reading.end(&BodyEnd::Done);
        reading
    }

    /// What comes next; from the end on, [`Read::Over`]. `None` when that takes more bytes.
    pub fn take(&mut self) -> Option<Read> {
        loop {
            if let Some(read) = self.ready.pop_front() {
                return Some(read);
            }
            if self.is_over {
                return Some(Read::Over);
            }
            match self.events.take()? {
                Ok(data) => self.event(&data),
                Err(BodyEnd::NoEvents(body)) => self.unframed(&body),
                Err(end) => self.end(&end),
            }
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.events.push(bytes);
    }

    /// The server has closed the body.
    pub fn finish(&mut self) {
        self.events.finish();
    }

    /// The connection broke.
    pub fn broken(&mut self, detail: String) {
        self.events.broken(detail);
    }

    /// What the provider said last about the cost.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.answer.usage()
    }

    fn event(&mut self, data: &str) {
        match serde_json::from_str::<Chunk>(data) {
            Ok(chunk) => {
                for step in self.answer.take(chunk).into_iter().flatten() {
                    self.is_over |= matches!(step, Step::Failed(_));
                    self.ready.push_back(Read::Step(step));
                }
                self.is_over |= self.answer.is_cut();
            }
            // Events without the blank line between them are one of several lines.
            Err(_) if is_several(data) => {
                for line in data.lines() {
                    if !self.is_over {
                        self.event(line);
                    }
                }
            }
            Err(_) => {
                self.bad_events += 1;
                self.ready.push_back(Read::BadEvent);
                if self.bad_events == MAX_BAD_EVENTS && !self.answer.is_finished() {
                    self.end(&BodyEnd::Broken(format!("{MAX_BAD_EVENTS} events were not JSON")));
                }
            }
        }
    }

    /// JSON that came as it is where events were announced: an error, or a whole completion.
    fn unframed(&mut self, body: &str) {
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        if value.get("choices").is_some() && UpstreamError::from_json(&value).is_none() {
            self.event(body);
            self.end(&BodyEnd::Done);
        } else {
            // A completion that does not parse is not repeated in an error: it would be an answer in the log.
            let is_cut = value.is_null() && body.starts_with('{') && body.contains("\"choices\"");
            let error = if is_cut { b"a completion that broke off".as_slice() } else { body.as_bytes() };
            self.failed(UpstreamError::from_body(error));
        }
    }

    fn end(&mut self, end: &BodyEnd) {
        if self.is_over {
            return;
        }
        self.ready.extend(self.answer.rest().map(Read::Step));
        self.is_over = true;
        match self.answer.end(end) {
            Ending::Finish(_) if self.answer.is_finished() => {}
            Ending::Finish(reason) => self.ready.push_back(Read::Step(Step::Finish(reason))),
            Ending::Empty => {
                let error = self.answer.without_text();
                self.failed(UpstreamError::new(None, &format!("{}: {end}", error.detail)));
            }
            Ending::Truncated => self.ready.push_back(Read::Truncated(end.to_string())),
        }
    }

    fn failed(&mut self, error: UpstreamError) {
        self.is_over = true;
        self.ready.push_back(Read::Step(Step::Failed(error)));
    }
}

/// Whether the data of an event is a JSON object on each of its lines.
fn is_several(data: &str) -> bool {
    data.contains('\n') && data.lines().all(|line| line.starts_with('{') && line.ends_with('}'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::llm::FinishReason;

    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Read> {
        let mut reading = Reading::new(1 << 20, 1 << 10);
        let mut reads = Vec::new();
        let mut drain = |reading: &mut Reading| {
            loop {
                match reading.take() {
                    None => return false,
                    Some(Read::Over) => return true,
                    Some(read) => reads.push(read),
                }
            }
        };
        for chunk in chunks {
            reading.push(chunk);
            drain(&mut reading);
        }
        reading.finish();
        assert!(drain(&mut reading), "a body that is over has an end");
        reads
    }

    fn text(text: &str) -> Read {
        Read::Step(Step::Text(text.to_owned()))
    }

    const STOP: Read = Read::Step(Step::Finish(FinishReason::Stop));

    #[test]
    fn events_without_the_blank_line_between_them_lose_nothing() {
        let chunk = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n");
        let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let body = chunk("a") + &chunk("b") + &chunk("c") + finish;
        assert_eq!(run([body.as_bytes()]), [text("a"), text("b"), text("c"), STOP]);
    }

    #[test]
    fn json_without_framing_is_read_all_the_same() {
        let completion = br#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
        assert_eq!(run([completion.as_slice()]), [text("Hi"), STOP]);
        let failed = |body: &str| match &run([body.as_bytes()])[..] {
            [Read::Step(Step::Failed(error))] => error.detail.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(r#"{"error":{"message":"boom"}}"#), "boom");
        assert_eq!(failed(r#"{"choices":[],"error":"boom"}"#), "boom");
        assert_eq!(failed("Internal Server Error"), "Internal Server Error");
        assert!(failed(r#"{"choices":[]}"#).starts_with("the answer is empty"));
    }

    #[test]
    fn three_bad_events_end_a_stream_that_has_not_finished() {
        let bad = "data: {]\n\n";
        let said = "data: {\"choices\":[{\"delta\":{\"content\":\"<\"}}]}\n\n";
        let reads = run([[said, bad, bad, bad, said].concat().as_bytes()]);
        let truncated = Read::Truncated("3 events were not JSON".to_owned());
        assert_eq!(reads, [Read::BadEvent, Read::BadEvent, Read::BadEvent, text("<"), truncated]);
        let finish = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
        let reads = run([[finish, bad, bad, bad, bad].concat().as_bytes()]);
        assert_eq!(reads, [text("a"), STOP, Read::BadEvent, Read::BadEvent, Read::BadEvent, Read::BadEvent]);
    }

    proptest! {
        /// Whatever comes and however it is cut: the same steps, one end, and nothing after it.
        #[test]
        fn the_cuts_make_no_difference(
            pieces in proptest::collection::vec(prop_oneof![
                Just("data: {\"choices\":[{\"delta\":{\"content\":\"<think>\"}}]}\n\n"),
                Just("data: {\"choices\":[{\"delta\":{\"content\":\"</think> é\"}}]}\r\n\r\n"),
                Just("data: {\"choices\":[{\"delta\":{\"content\":\"<\"}}]}\n\n"),
                Just("data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n"),
                Just("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"),
                Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"),
                Just("data: {]\n\n"), Just(": ping\n\n"), Just("error: no\n\n"), Just("data: [DONE]"), Just("\n"), Just("{"),
            ], 0..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let body = pieces.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let whole = run([body.as_slice()]);
            prop_assert_eq!(&run(cuts.windows(2).map(|cut| &body[cut[0]..cut[1]])), &whole);
            prop_assert_eq!(&run(body.chunks(1)), &whole);
            let is_end = |read: &Read| matches!(read, Read::Truncated(_) | Read::Step(Step::Finish(_) | Step::Failed(_)));
            prop_assert_eq!(whole.iter().filter(|read| is_end(read)).count(), 1);
            let after = whole.iter().skip_while(|read| !is_end(read)).skip(1);
            prop_assert!(after.into_iter().all(|read| *read == Read::BadEvent));
        }
    }
}
