//! What is known of an answer already, as the steps by which it was told: for who comes later and wants all of it, in one
//! order. Pure. Uses `chat` and the log's values.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::log::{Event, LiveRun, RunDone, Step};
use crate::chat::{Author, Message, RunId, ToolStatus, ToolUse, utf16_len};

/// The most bytes of text in one step.
const PIECE_BYTES: usize = 16 << 10;

/// An answer so far, step by step.
#[derive(Debug)]
pub(super) struct Retold {
    run: RunId,
    text: String,
    pieces: VecDeque<Piece>,
}

#[derive(Debug)]
enum Piece {
    Event(Event),
    /// Where it belongs in UTF-16, and where it stands.
    Text(u64, Range<usize>),
}

impl Retold {
    /// One that is being written.
    pub(super) fn live(live: LiveRun) -> Self {
        let start = Event::RunStart {
            run: live.run.clone(),
            message: live.message,
            question: live.question,
            replaces: None,
            model: live.model,
            version: None,
            variant: None,
        };
        let mut retold = Self { run: live.run, text: live.text, pieces: VecDeque::from([Piece::Event(start)]) };
        retold.tell(live.sources, live.tools);
        retold
    }

    /// One that is over; `done` is how it ended, as far as that is known beside the message.
    pub(super) fn over(run: &RunId, answer: Message, done: Option<Arc<RunDone>>) -> Self {
        let Message {
            id, text, status, question, replaces, model, version, variant, citations, sources, tools, ..
        } = answer;
        let author = model.as_deref().map(|model| Author { model: model.into(), cached: false });
        let start = Event::RunStart {
            run: run.clone(),
            message: id.clone(),
            question: question.unwrap_or_else(|| id.clone()),
            replaces,
            model: model.unwrap_or_default().into(),
            version: version.map(Into::into),
            variant: variant.map(Into::into),
        };
        let done = done.unwrap_or_else(|| {
            Arc::new(RunDone {
                run: run.clone(),
                message: id,
                status,
                len: utf16_len(&text),
                crc32: crc32fast::hash(text.as_bytes()),
                author,
                citations,
                usage: None,
                timing: crate::chat::Timing::default(),
                error: None,
            })
        });
        let mut retold = Self { run: run.clone(), text, pieces: VecDeque::from([Piece::Event(start)]) };
        retold.tell(sources.into(), tools);
        retold.pieces.push_back(Piece::Event(Event::RunDone(done)));
        retold
    }

    fn tell(&mut self, sources: Arc<[crate::chat::Source]>, tools: Vec<ToolUse>) {
        let run = self.run.clone();
        if !sources.is_empty() {
            self.pieces.push_back(Piece::Event(Event::Sources { run: run.clone(), items: sources }));
        }
        let mut told = Place::default();
        for ToolUse { call, outcome } in tools {
            self.tell_text(&mut told, call.off);
            let id = call.call.clone();
            self.pieces.push_back(Piece::Event(Event::ToolCall { run: run.clone(), call: Arc::new(call) }));
            if outcome.status != ToolStatus::Running {
                let outcome = Arc::new(outcome);
                self.pieces.push_back(Piece::Event(Event::ToolResult { run: run.clone(), call: id, outcome }));
            }
        }
        self.tell_text(&mut told, u64::MAX);
    }

    /// The text from what was told of it up to `until`, in pieces.
    fn tell_text(&mut self, told: &mut Place, until: u64) {
        let Place { mut byte, mut utf16 } = *told;
        let mut piece = (utf16, byte);
        for c in self.text[byte..].chars() {
            if utf16 >= until {
                break;
            }
            if byte + c.len_utf8() - piece.1 > PIECE_BYTES {
                self.pieces.push_back(Piece::Text(piece.0, piece.1..byte));
                piece = (utf16, byte);
            }
            byte += c.len_utf8();
            utf16 += c.len_utf16() as u64;
        }
        if byte > piece.1 {
            self.pieces.push_back(Piece::Text(piece.0, piece.1..byte));
        }
        *told = Place { byte, utf16 };
    }

    /// Shows the next step; false when there is none left.
    pub(super) fn next(&mut self, visit: impl FnOnce(&Step<'_>)) -> bool {
        match self.pieces.pop_front() {
            Some(Piece::Event(event)) => visit(&Step::Event(0, &event)),
            Some(Piece::Text(off, at)) => {
                visit(&Step::Delta { run: &self.run, off, text: &self.text[at], since: None });
            }
            None => return false,
        }
        true
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    byte: usize,
    utf16: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::{CallId, MessageId, Role, Status, Timestamp, ToolCall, ToolOutcome};

    fn answer(text: &str, offs: &[u64]) -> Message {
        let question = MessageId::random();
        let mut answer = Message::pending(MessageId::random(), Some(question), RunId::random(), Timestamp::now());
        let call = |off: &u64| ToolCall {
            call: CallId::random(),
            tool: "calc".to_owned(),
            title: "Calculator".to_owned(),
            args: serde_json::json!({}),
            off: *off,
            changes: false,
        };
        let outcome = ToolOutcome { status: ToolStatus::Ok, ..ToolOutcome::default() };
        answer.tools = offs.iter().map(|off| ToolUse { call: call(off), outcome: outcome.clone() }).collect();
        (answer.text, answer.status) = (text.to_owned(), Status::Complete);
        answer
    }

    proptest! {
        #[test]
        fn the_text_is_told_once_and_each_call_where_it_stands(
            text in "(?s)[a-zäß🌧️ ]{0,80}", repeated in 1_usize..400, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let text = text.repeat(repeated);
            let places: Vec<u64> = std::iter::once(0).chain(text.chars().scan(0, |at, c| {
                *at += c.len_utf16() as u64;
                Some(*at)
            })).collect();
            let mut offs: Vec<u64> = cuts.iter().map(|cut| places[cut.index(places.len())]).collect();
            offs.sort_unstable();
            let stored = answer(&text, &offs);
            prop_assert_eq!(stored.role, Role::Assistant);
            let run = stored.run.clone().unwrap();
            let mut retold = Retold::over(&run, stored, None);
            let (mut told, mut calls, mut results, mut end) = (String::new(), Vec::new(), 0, None);
            let mut next = true;
            while next {
                next = retold.next(|step| match step {
                    Step::Delta { off, text, .. } => {
                        assert_eq!(*off, utf16_len(&told));
                        assert!(!text.is_empty() && text.len() <= PIECE_BYTES);
                        told.push_str(text);
                    }
                    Step::Event(_, Event::ToolCall { call, .. }) => {
                        assert_eq!(call.off, utf16_len(&told));
                        calls.push(call.off);
                    }
                    Step::Event(_, Event::ToolResult { .. }) => results += 1,
                    Step::Event(_, Event::RunDone(done)) => end = Some((done.len, done.crc32)),
                    _ => {}
                });
            }
            prop_assert_eq!(end, Some((utf16_len(&told), crc32fast::hash(told.as_bytes()))));
            prop_assert_eq!((told, calls.len(), results), (text, offs.len(), offs.len()));
            prop_assert_eq!(calls, offs);
        }
    }
}
