//! A whole log, as it goes to another gateway: for a copy, or for who goes on with it.
//!
//! Whoever says what comes in, it becomes a log only if some log is like that: what follows in it, and who reads it, counts on
//! its numbers. Pure.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Kept, Log, RunRecord, Withdrawal, event::Event};
use crate::{
    chat::{Doing, Message, MessageId, RunId, Source, ToolUse},
    session::{Moment, text::RunText},
};

/// No log has so many events.
const MOST_EVENTS: u64 = u64::MAX / 2;
/// And no run so many withdrawals.
const MOST_WITHDRAWALS: u32 = u32::MAX / 2;

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
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) older: bool,
    pub(super) revision: u64,
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
    #[serde(default)]
    tools: Vec<ToolUse>,
    started: u64,
    done: Option<u64>,
    doing: Doing,
    text: String,
    withdrawals: u32,
    withdrawal: Option<Withdrawn>,
}

/// The copy is not what it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the copy of a log does not go on here")]
pub struct OutOfStep;

impl Whole {
    /// The number of the event before its first one.
    fn before(&self) -> Option<u64> {
        self.head.checked_sub(self.events.len() as u64).filter(|_| self.head <= MOST_EVENTS)
    }

    /// Whether some log is like this: events and runs name one another by their numbers, and at most the last run is live.
    fn is_sound(&self) -> bool {
        let Some(before) = self.before() else { return false };
        let event = |seq: u64| {
            let at = usize::try_from(seq.checked_sub(before + 1)?).ok()?;
            self.events.get(at).map(|(_, event)| event)
        };
        let run = |id: &RunId| self.runs.iter().find(|run| run.run == *id);
        let has_name = !self.epoch.is_empty() && !self.epoch.contains(':');
        let mut names = HashSet::new();
        let mut numbered = (before + 1..).zip(&self.events);
        let live = self.runs.last().filter(|run| run.done.is_none());
        let are_numbered = numbered.all(|(seq, (_, event))| match event {
            Event::RunStart { run: id, .. } => run(id).is_some_and(|run| run.started == seq),
            Event::RunDone(done) => run(&done.run).is_some_and(|run| run.done == Some(seq)),
            Event::Message(_)
            | Event::Memory { .. }
            | Event::Sources { .. }
            | Event::ToolCall { .. }
            | Event::ToolResult { .. }
            | Event::Decided(_) => true,
        });
        has_name
            && are_numbered
            && self.runs.iter().all(|run| {
                let is_ended = |done| {
                    let is_its_end = matches!(event(done), Some(Event::RunDone(ended)) if ended.run == run.run);
                    is_its_end && run.started <= done && live.is_none_or(|live| done <= live.started)
                };
                let begins = || matches!(event(run.started), Some(Event::RunStart { run: id, .. }) if *id == run.run);
                let is_numbered = match run.done {
                    Some(done) => is_ended(done),
                    None => live == Some(run) && run.started <= self.head && (run.started <= before || begins()),
                };
                let is_withdrawn = run.withdrawals > 0;
                let withdraws = is_withdrawn == run.withdrawal.is_some() && run.withdrawals <= MOST_WITHDRAWALS;
                names.insert(&run.run) && is_numbered && withdraws
            })
    }

    /// Whether whoever reads `log` can go on in this one where they are.
    fn goes_on_from(&self, log: &Log) -> bool {
        if log.is_unheard() || self.before().is_some_and(|before| before > log.head) {
            return true; // Nobody reads it, or all who do have missed something, and see that.
        }
        let run = |id: &RunId| self.runs.iter().find(|run| run.run == *id);
        let is_kept = |known: &RunRecord| match run(&known.run) {
            Some(run) => {
                let kept = run.withdrawal.as_ref().and_then(|(keep, ..)| known.text.position(*keep));
                let shared = kept.unwrap_or_else(|| known.text.end()).byte();
                let is_same = known.text.as_str().as_bytes().get(..shared) == run.text.as_bytes().get(..shared);
                let is_told = run.withdrawals > 0 || known.withdrawals == 0;
                let is_numbered = run.started == known.started && (known.done.is_none() || run.done == known.done);
                is_same && is_told && is_numbered
            }
            None => known.done.is_some(),
        };
        // Those who have read all are in the run that is live there, or in none.
        let is_in_time = match (log.live(), self.runs.last()) {
            (Some(live), _) => run(&live.run).is_some_and(|run| run.done.is_none_or(|done| done > log.head)),
            (None, Some(run)) => run.done.is_some() || run.started > log.head,
            (None, None) => true,
        };
        self.head >= log.head && is_in_time && log.runs.iter().all(is_kept)
    }
}

impl Log {
    /// All of it, for somebody who is to go on with it.
    #[must_use]
    pub fn whole(&self, now: Moment) -> Whole {
        let runs = self.runs.iter().map(|record| Run {
            run: record.run.clone(),
            message: record.message.clone(),
            question: record.question.clone(),
            model: record.model.clone(),
            sources: record.sources.clone(),
            tools: record.tools.clone(),
            started: record.started,
            done: record.done,
            doing: record.doing.clone(),
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

    pub(super) fn said(&self) -> Said {
        let messages = self.transcript.iter().cloned().collect();
        Said { messages, older: !self.transcript.is_whole(), revision: self.revision }
    }

    /// Becomes the same log. Readers of this copy may stay where they are when it is of the same epoch.
    ///
    /// # Errors
    /// [`OutOfStep`]: there is no such log, or readers cannot go on in it; nothing has changed.
    pub(super) fn take_over(&mut self, whole: Whole, now: Moment) -> Result<(), OutOfStep> {
        let is_same = self.is_unheard() || self.epoch == whole.epoch;
        if !is_same || !whole.is_sound() || !whole.goes_on_from(self) {
            return Err(OutOfStep);
        }
        let Whole { epoch, head, events, runs, said } = whole;
        let mut taken = VecDeque::with_capacity(runs.len());
        for run in runs {
            let known = self.runs.iter().find(|record| record.run == run.run);
            let mut text = RunText::default();
            text.push(&run.text, now);
            let withdrawal = match run.withdrawal {
                Some((keep, from, to, reason)) => {
                    // Who heard of none here must forget what any of them withdrew.
                    let before = known.and_then(|known| known.withdrawal.as_ref());
                    let keep = before.map_or(keep, |before| keep.min(before.keep.utf16()));
                    Some(Withdrawal { keep: text.position(keep).ok_or(OutOfStep)?, from, to, reason })
                }
                None => None,
            };
            if run.done.is_some() {
                text.seal();
            }
            taken.push_back(RunRecord {
                message: run.message,
                question: run.question,
                model: run.model,
                sources: run.sources,
                tools: run.tools,
                started: run.started,
                done: run.done,
                doing: run.doing,
                text,
                // More than any reader here has been told of: all are told again.
                withdrawals: match known {
                    Some(known) if run.withdrawals > 0 => known.withdrawals.max(run.withdrawals).saturating_add(1),
                    _ => run.withdrawals,
                },
                withdrawal,
                run: run.run,
            });
        }
        self.runs = taken;
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
