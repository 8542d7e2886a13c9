//! A log in two places: what the gateway that writes it tells the others, and how they repeat it.
//!
//! The copy is read like any log: same epoch, same numbers, same offsets, so that a reader may go on at either. What is
//! told is read behind a cursor, as readers are told everything: nothing is kept for a copy that is slow. A copy that does
//! not fit what it is told says so, and is made anew. Pure.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Kept, Log, RunRecord, Withdrawal,
    cursor::Cursor,
    event::{By, Event, RunDone, Step},
};
use crate::{
    chat::{Doing, Feedback, Message, MessageId, RunId, Source},
    session::{Moment, text::RunText},
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

/// A whole log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    epoch: Arc<str>,
    head: u64,
    /// Each with its age in microseconds.
    events: Vec<(u64, Event)>,
    runs: Vec<Run>,
    said: Said,
}

/// The newest messages, and how often that changed otherwise than by new ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    messages: Vec<Arc<Message>>,
    older: bool,
    revision: u64,
}

/// Behind which offset, from whom, to whom, why.
type Withdrawn = (u64, Box<str>, Box<str>, Box<str>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Run {
    run: RunId,
    message: MessageId,
    question: MessageId,
    model: Arc<str>,
    sources: Arc<[Source]>,
    started: u64,
    done: Option<u64>,
    doing: Doing,
    text: String,
    withdrawals: u32,
    withdrawal: Option<Withdrawn>,
}

/// How far a copy is.
#[derive(Debug, Clone, Default)]
pub struct Copied {
    /// None when it is to be made anew.
    cursor: Option<Cursor>,
    revision: u64,
}

/// The copy is not what it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the copy of a log does not go on here")]
pub struct OutOfStep;

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
                    Change::Doing(doing, self.live().map_or_else(|| "".into(), |live| live.model.clone()))
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
                    Event::RunStart { run, message, question, replaces, model, version } => {
                        if self.live().is_some() {
                            return Err(OutOfStep);
                        }
                        self.begin_run((run, message, question), replaces, By { model, version }, now);
                    }
                    Event::Sources { items, .. } => self.append_sources(items, now),
                    // They come with more than the event.
                    Event::Message(_) | Event::RunDone(_) => return Err(OutOfStep),
                }
                if self.head != seq {
                    return Err(OutOfStep); // There was no run.
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

    /// All of it, for somebody who is to go on with it.
    #[must_use]
    pub fn whole(&self, now: Moment) -> Whole {
        let runs = self.runs.iter().map(|record| Run {
            run: record.run.clone(),
            message: record.message.clone(),
            question: record.question.clone(),
            model: record.model.clone(),
            sources: record.sources.clone(),
            started: record.started,
            done: record.done,
            doing: record.doing,
            text: record.text.as_str().to_owned(),
            withdrawals: record.withdrawals,
            withdrawal: record.withdrawal.as_ref().map(|withdrawal| {
                let Withdrawal { keep, from, to, reason } = withdrawal;
                (keep.utf16(), from.clone(), to.clone(), reason.clone())
            }),
        });
        let events = self.events.iter().map(|kept| (now.saturating_sub(kept.at), kept.event.clone()));
        let (events, runs) = (events.collect(), runs.collect());
        Whole { epoch: self.epoch.clone(), head: self.head, events, runs, said: self.said() }
    }

    /// The same log, to go on with.
    ///
    /// # Errors
    /// [`OutOfStep`]: there is no such log.
    pub fn of_whole(whole: Whole, history: usize, now: Moment) -> Result<Self, OutOfStep> {
        let mut log = Self::empty_copy(history);
        log.take_over(whole, now)?;
        if log.live().is_some() || log.is_unheard() { Err(OutOfStep) } else { Ok(log) }
    }

    /// An empty copy, which is to hear everything.
    #[must_use]
    pub fn empty_copy(history: usize) -> Self {
        Self::new("", Vec::new(), false, history, 0)
    }

    /// Whether anything was heard yet of the log that this is to be a copy of.
    #[must_use]
    pub fn is_unheard(&self) -> bool {
        self.epoch.is_empty()
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

    fn said(&self) -> Said {
        let messages = self.transcript.iter().cloned().collect();
        Said { messages, older: !self.transcript.is_whole(), revision: self.revision }
    }

    /// Becomes the same log. Readers of this copy may stay where they are when it is of the same epoch.
    fn take_over(&mut self, whole: Whole, now: Moment) -> Result<(), OutOfStep> {
        let Whole { epoch, head, events, runs, said } = whole;
        if !(self.is_unheard() || self.epoch == epoch) || head < events.len() as u64 {
            return Err(OutOfStep);
        }
        let before = std::mem::take(&mut self.runs);
        for run in runs {
            let mut text = RunText::default();
            text.push(&run.text, now);
            let withdrawal = match run.withdrawal {
                Some((keep, from, to, reason)) => {
                    Some(Withdrawal { keep: text.position(keep).ok_or(OutOfStep)?, from, to, reason })
                }
                None => None,
            };
            if run.done.is_some() {
                text.seal();
            }
            self.runs.push_back(RunRecord {
                message: run.message,
                question: run.question,
                model: run.model,
                sources: run.sources,
                started: run.started,
                done: run.done,
                doing: run.doing,
                text,
                // More than any reader here has been told of: all are told again.
                withdrawals: match before.iter().find(|record| record.run == run.run) {
                    Some(before) if run.withdrawals > 0 => before.withdrawals.max(run.withdrawals) + 1,
                    _ => run.withdrawals,
                },
                withdrawal,
                run: run.run,
            });
        }
        (self.epoch, self.head, self.kept_bytes, self.events) = (epoch, 0, 0, VecDeque::with_capacity(events.len()));
        self.head = head - events.len() as u64;
        for (age, event) in events {
            let bytes = self.bytes_of(&event);
            self.head += 1;
            self.kept_bytes += bytes;
            self.events.push_back(Kept { at: now.saturating_sub(age), event, bytes });
        }
        self.transcript.reset(said.messages, said.older);
        self.revision = said.revision;
        self.phase_changes += 1;
        Ok(())
    }
}
