//! A log in two places: what the gateway that writes it tells the others, and how they repeat it.
//!
//! The copy is read like any log: same epoch, same numbers, same offsets, so that a reader may go on at either. What is
//! told is read behind a cursor, as readers are told everything: nothing is kept for a copy that is slow. A copy that does
//! not fit what it is told says so, and is made anew. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Log,
    cursor::Cursor,
    event::{By, Decided, Event, RunDone, Step},
    whole::{OutOfStep, Said, Whole},
};
use crate::{
    chat::{Doing, Feedback, Message, MessageId, ToolCall, ToolOutcome},
    session::Moment,
};

/// What happened in a log, for its copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// All that there is: what the copy has is void.
    Whole(Box<Whole>),
    /// The newest messages, which went on another way, and what else happened until then: all at once, for readers would be
    /// shown a state in between that there never was.
    Said(Said, Vec<Change>),
    /// A message was rated; how often there were such changes.
    Rated(u64, MessageId, Feedback),
    /// Somebody said something: the event's number, the question, and the answer that is to come.
    Turn(u64, Box<Message>, Option<Box<Message>>),
    /// Any other event but the end of a run.
    Event(u64, Event),
    /// Text of the live run, from this offset (UTF-16).
    Text(u64, String),
    /// The live run's text behind an offset is withdrawn: from whom, to whom, why.
    Failover(u64, Box<str>, Box<str>, Box<str>),
    /// What the live run does, and who writes it.
    Doing(Doing, Arc<str>),
    /// A run is over: the event's number, how, and the answer as it is kept, without its text.
    Done(u64, Arc<RunDone>, Option<Box<Message>>),
}

/// How far a copy is.
#[derive(Debug, Clone, Default)]
pub struct Copied {
    /// None when it is to be made anew.
    cursor: Option<Cursor>,
    revision: u64,
}

impl Log {
    /// How far a copy is that carries the cursor `at` and has heard of so many `revision`s.
    #[must_use]
    pub fn copied(&self, at: Option<&str>, revision: u64) -> Copied {
        Copied { cursor: at.and_then(|at| self.resolve(at)), revision }
    }

    /// Where a copy goes on.
    #[must_use]
    pub fn copy_end(&self) -> (String, u64) {
        let run = self.live().map(|live| (live.run.clone(), live.text.end()));
        (self.cursor_text(&Cursor { seq: self.head, run, ..Cursor::default() }), self.revision)
    }

    /// Whether there is nothing to tell a copy.
    #[must_use]
    pub fn is_copied(&self, copied: &Copied) -> bool {
        copied.revision == self.revision && copied.cursor.as_ref().is_some_and(|cursor| self.is_up_to_date(cursor))
    }

    /// Tells what a copy lacks to `tell`, until that returns false or nothing is left; `copied` moves along. Texts come in
    /// pieces of at most `max_bytes`.
    pub fn tell_copy(&self, copied: &mut Copied, max_bytes: usize, now: Moment, mut tell: impl FnMut(Change) -> bool) {
        let Copied { cursor: Some(cursor), revision } = copied else {
            *copied = self.copied_whole();
            tell(Change::Whole(Box::new(self.whole(now))));
            return;
        };
        let rated = self.rated.as_ref().filter(|_| *revision + 1 == self.revision);
        let mut others = (*revision != self.revision && rated.is_none()).then(Vec::new);
        loop {
            let change = match self.next(cursor, max_bytes) {
                Step::UpToDate | Step::Presence(_) => break,
                Step::Trimmed => {
                    *copied = self.copied_whole();
                    tell(Change::Whole(Box::new(self.whole(now))));
                    return;
                }
                Step::Event(seq, Event::Message(question)) => {
                    let answer = self.answer_to(question).map(Box::new);
                    Change::Turn(seq, Box::new(Message::clone(question)), answer)
                }
                Step::Event(seq, Event::RunDone(done)) => {
                    let answer = self.transcript.message(&done.message);
                    let without_text = answer.map(|answer| Message { text: String::new(), ..Message::clone(answer) });
                    Change::Done(seq, done.clone(), without_text.map(Box::new))
                }
                Step::Event(seq, event) => Change::Event(seq, event.clone()),
                Step::Delta { off, text, .. } => Change::Text(off, text.to_owned()),
                Step::Failover { keep, from, to, reason, .. } => {
                    Change::Failover(keep, from.into(), to.into(), reason.into())
                }
                Step::Doing(_, doing) => {
                    Change::Doing(doing.clone(), self.live().map_or_else(|| "".into(), |live| live.model.clone()))
                }
            };
            match &mut others {
                Some(others) => others.push(change),
                None if tell(change) => {}
                None => return,
            }
        }
        *revision = self.revision;
        match (others, rated) {
            (Some(others), _) => {
                tell(Change::Said(self.said(), others));
            }
            (None, Some((message, feedback))) => {
                tell(Change::Rated(self.revision, message.clone(), feedback.clone()));
            }
            (None, None) => {}
        }
    }

    /// Repeats what happened in the log that this one is a copy of.
    ///
    /// # Errors
    /// [`OutOfStep`]: the copy has to be made anew.
    pub fn repeat(&mut self, change: Change, now: Moment) -> Result<(), OutOfStep> {
        if self.is_unheard() && !matches!(change, Change::Whole(_)) {
            return Err(OutOfStep);
        }
        match change {
            Change::Whole(whole) => return self.take_over(*whole, now),
            Change::Said(said, others) => {
                self.transcript.reset(said.messages.clone(), said.older);
                for change in others {
                    self.repeat(change, now)?;
                }
                // What was said meanwhile is among them already, in its place.
                self.transcript.reset(said.messages, said.older);
                self.revision = said.revision;
            }
            Change::Rated(revision, message, feedback) => {
                self.transcript.rate(&message, feedback);
                self.revision = revision;
            }
            Change::Turn(seq, question, answer) => {
                self.expect(seq)?;
                let question: Arc<Message> = Arc::new(*question);
                for message in [Some(question.clone()), answer.map(|answer| Arc::new(*answer))].into_iter().flatten() {
                    if self.transcript.message(&message.id).is_none() {
                        self.transcript.push(message);
                    }
                }
                self.append(Event::Message(question), now);
            }
            Change::Event(seq, event) => {
                self.expect(seq)?;
                match event {
                    Event::RunStart { run, message, question, replaces, model, version, variant } => {
                        if self.live().is_some() || self.runs.iter().any(|record| record.run == run) {
                            return Err(OutOfStep);
                        }
                        self.begin_run((run, message, question), replaces, By { model, version, variant }, now);
                    }
                    Event::Memory { recollection, .. } => self.append_recollection(recollection, now),
                    Event::Sources { items, .. } => self.append_sources(items, now),
                    Event::ToolCall { call, .. } => self.append_call(ToolCall::clone(&call), now),
                    Event::ToolResult { call, outcome, .. } => {
                        self.append_result(&call, ToolOutcome::clone(&outcome), now);
                    }
                    Event::Decided(decided) => self.decide(Decided::clone(&decided), now),
                    // They come with more than the event.
                    Event::Message(_) | Event::RunDone(_) => return Err(OutOfStep),
                }
                if self.head != seq {
                    return Err(OutOfStep); // There was no run, or no such call.
                }
            }
            Change::Text(off, text) => {
                let live = self.live_mut().filter(|live| live.text.end().utf16() == off).ok_or(OutOfStep)?;
                live.text.push(&text, now);
            }
            Change::Failover(keep, from, to, reason) => {
                // Of what this copy has not heard of yet, nothing is withdrawn: it comes as it is now.
                self.live().ok_or(OutOfStep)?;
                self.fail_over(keep, &from, &to, &reason);
            }
            Change::Doing(doing, model) => {
                self.set_model(model);
                self.set_doing(doing);
            }
            Change::Done(seq, done, answer) => {
                self.expect(seq)?;
                let live = self.live().filter(|live| live.run == done.run).ok_or(OutOfStep)?;
                if (live.text.end().utf16(), live.text.crc32()) != (done.len, done.crc32) {
                    return Err(OutOfStep);
                }
                if let Some(answer) = answer {
                    let text = live.text.as_str().to_owned();
                    self.transcript.replace(Arc::new(Message { text, ..*answer }));
                }
                self.end_live_as(done, now);
            }
        }
        Ok(())
    }

    fn expect(&self, seq: u64) -> Result<(), OutOfStep> {
        if seq == self.head + 1 { Ok(()) } else { Err(OutOfStep) }
    }

    fn copied_whole(&self) -> Copied {
        let run = self.live().map(|live| (live.run.clone(), live.text.end()));
        let withdrawals = self.live().map_or(0, |live| live.withdrawals);
        let cursor = Cursor { seq: self.head, run, withdrawals, phase: self.phase_changes, caught_up: true };
        Copied { cursor: Some(cursor), revision: self.revision }
    }

    /// The answer that was to come when `question` was said.
    fn answer_to(&self, question: &Message) -> Option<Message> {
        let is_answer = |message: &&Arc<Message>| message.question.as_ref() == Some(&question.id);
        let answer = self.transcript.iter().find(is_answer)?;
        let run = answer.run.clone()?;
        Some(Message::pending(answer.id.clone(), answer.question.clone(), run, answer.created_at))
    }
}
