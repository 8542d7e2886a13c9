//! The append-only log of a session: the one idea of the house.
//!
//! Lifecycle events are numbered gaplessly from 1; the text of a run lies beside them and is addressed by offset.
//! A socket, a second tab, a reconnect and an SSE reader are all a [`Cursor`]: "give me what lies after it".
//! So nothing is ever queued for a reader: a slow one holds an old cursor, and what it has missed is read as one
//! larger piece when it comes back.
//!
//! Pure: no socket, no task, no clock. Times are [`Moment`]s that the caller passes in. Uses `chat` only.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    chat::{
        CallId, Doing, Feedback, Message, MessageId, Phase, Recollection, Role, RunId, Source, Status, ToolStatus,
        ToolUse,
    },
    session::{
        Moment,
        text::{RunText, TextPosition},
    },
};

mod calls;
mod copy;
mod cursor;
mod event;
mod reading;
mod transcript;
mod whole;

pub use copy::{Change, Copied};
pub use cursor::{Cursor, Saved};
pub use event::{
    Attachment, By, Decided, Ending, Event, LiveRun, Presence, Progress, Recovered, RunDone, Snapshot, Step, There,
};
pub use transcript::Transcript;
pub use whole::{OutOfStep, Whole};

/// How long an event, and with a run's end its text, can be resumed from (docs/protocol.md: the run's life + 10 min).
pub const RETENTION: Moment = 600_000_000;
/// The most events kept; the oldest go first, and cursors below them get a snapshot.
pub const MAX_EVENTS: usize = 1024;
/// The most bytes of events and of ended runs' texts kept, beyond the newest event.
pub const MAX_KEPT_BYTES: usize = 1 << 20;
/// The newest messages of a snapshot (docs/protocol.md).
pub const SNAPSHOT_MESSAGES: usize = 50;

/// The log. At most one run is live at a time.
#[derive(Debug)]
pub struct Log {
    epoch: Arc<str>,
    head: u64,
    /// The newest events; the last one is number `head`.
    events: VecDeque<Kept>,
    kept_bytes: usize,
    /// The texts of runs whose end is still among the events, oldest first, and of the live one, last.
    runs: VecDeque<RunRecord>,
    transcript: Transcript,
    /// Counts changes of phase, so that a reader knows whether it saw the newest.
    phase_changes: u64,
    /// Counts changes of the transcript that no event tells of, for copies of the log.
    revision: u64,
    /// The newest of them, where it was a rating.
    rated: Option<(MessageId, Feedback)>,
}

#[derive(Debug)]
struct Kept {
    at: Moment,
    event: Event,
    /// What goes with it when it is forgotten; with a run's end, the run's text.
    bytes: usize,
}

#[derive(Debug)]
struct RunRecord {
    run: RunId,
    message: MessageId,
    question: MessageId,
    model: Arc<str>,
    sources: Arc<[Source]>,
    /// Few: a run may make so many calls.
    tools: Vec<ToolUse>,
    started: u64,
    done: Option<u64>,
    doing: Doing,
    text: RunText,
    /// Withdrawals so far; of several, the newest, with what all of them left.
    withdrawals: u32,
    withdrawal: Option<Withdrawal>,
}

/// Another model has taken over.
#[derive(Debug)]
struct Withdrawal {
    keep: TextPosition,
    from: Box<str>,
    to: Box<str>,
    reason: Box<str>,
}

impl RunRecord {
    /// Whether a call of it has its result.
    fn has_ended(&self, call: &CallId) -> bool {
        self.tools.iter().any(|used| used.call.call == *call && used.outcome.status != ToolStatus::Running)
    }

    /// Whether a reader that has seen the events up to `seq` is inside this run.
    fn is_open_at(&self, seq: u64) -> bool {
        self.started <= seq && self.done.is_none_or(|done| seq < done)
    }
}

impl Log {
    /// A new incarnation of a session's log, with the `messages` that the store has (oldest first).
    ///
    /// `epoch` tells incarnations apart and has no `:`. `history` is how many messages the prompt wants.
    /// Answers that a crash interrupted are reported again by a `run.done` each, as the first events.
    #[must_use]
    pub fn new(epoch: &str, messages: Vec<Message>, older: bool, history: usize, now: Moment) -> Self {
        let mut log = Self {
            epoch: epoch.into(),
            head: 0,
            events: VecDeque::new(),
            kept_bytes: 0,
            runs: VecDeque::new(),
            transcript: Transcript::new(history.max(SNAPSHOT_MESSAGES), older),
            phase_changes: 0,
            revision: 0,
            rated: None,
        };
        for message in messages {
            log.transcript.push(Arc::new(message));
        }
        let answers = log.transcript.iter().rev().filter(|m| m.role == Role::Assistant);
        let interrupted: Vec<_> = answers.take_while(|m| m.status == Status::Interrupted).cloned().collect();
        for answer in interrupted.into_iter().rev() {
            log.report_interrupted(&answer, now);
        }
        log
    }

    /// Tells this incarnation from others.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The number of the newest event.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.head
    }

    /// The newest messages, oldest first; those with [`Status::Pending`] are being written or wait.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Appends a user's message and the pending answer that will follow it.
    pub fn append_turn(&mut self, question: Arc<Message>, answer: Arc<Message>, now: Moment) {
        self.transcript.push(question.clone());
        self.transcript.push(answer);
        self.append(Event::Message(question), now);
    }

    /// Lets the conversation go on another way: these are its newest messages now, and `edited` the question that took
    /// the place of an earlier one.
    pub fn branch(&mut self, newest: Vec<Message>, older: bool, edited: Option<Arc<Message>>, now: Moment) {
        self.transcript.reset(newest.into_iter().map(Arc::new), older);
        self.revision += 1;
        self.rated = None;
        if let Some(question) = edited {
            self.append(Event::Message(question), now);
        }
    }

    /// Notes what the person thinks of a message. Who reads the log is not told; a snapshot has it.
    pub fn rate(&mut self, message: &MessageId, feedback: Feedback) {
        self.transcript.rate(message, feedback.clone());
        self.revision += 1;
        self.rated = Some((message.clone(), feedback));
    }

    /// Begins the run of a pending answer.
    ///
    /// # Panics
    /// When a run is live: there is one at a time, and the caller is the one who knows.
    pub fn start_run(&mut self, (run, message, question): (RunId, MessageId, MessageId), by: By, now: Moment) {
        assert!(self.live().is_none(), "a session has one live run");
        let replaces = self.transcript.message(&message).and_then(|answer| answer.replaces.clone());
        self.begin_run((run, message, question), replaces, by, now);
    }

    fn begin_run(
        &mut self,
        (run, message, question): (RunId, MessageId, MessageId),
        replaces: Option<MessageId>,
        By { model, version, variant }: By,
        now: Moment,
    ) {
        let (id, answer, asked, name) = (run.clone(), message.clone(), question.clone(), model.clone());
        let start =
            Event::RunStart { run: id, message: answer, question: asked, replaces, model: name, version, variant };
        self.append(start, now);
        self.runs.push_back(RunRecord {
            run,
            message,
            question,
            model,
            sources: Arc::from([]),
            tools: Vec::new(),
            started: self.head,
            done: None,
            doing: Phase::Queued.into(),
            text: RunText::default(),
            withdrawals: 0,
            withdrawal: None,
        });
    }

    /// Tells who writes the live run's text.
    pub fn set_model(&mut self, model: Arc<str>) {
        if let Some(live) = self.live_mut() {
            live.model = model;
        }
    }

    /// Tells what the live run is doing.
    pub fn set_doing(&mut self, doing: Doing) {
        if let Some(live) = self.live_mut()
            && live.doing != doing
            && !doing.progress.as_ref().is_some_and(|progress| live.has_ended(&progress.call))
        {
            live.doing = doing;
            self.phase_changes += 1;
        }
    }

    /// Appends what was remembered for the live run.
    pub fn append_recollection(&mut self, recollection: Arc<Recollection>, now: Moment) {
        if let Some(live) = self.live() {
            let run = live.run.clone();
            self.append(Event::Memory { run, recollection }, now);
        }
    }

    /// Appends what was found for the live run.
    pub fn append_sources(&mut self, items: Arc<[Source]>, now: Moment) {
        if let Some(live) = self.live_mut() {
            live.sources = items.clone();
            let run = live.run.clone();
            self.append(Event::Sources { run, items }, now);
        }
    }

    /// Appends text to the live run.
    pub fn append_text(&mut self, text: &str, now: Moment) {
        if let Some(live) = self.live_mut() {
            live.text.push(text, now);
        }
    }

    /// Withdraws the live run's text behind `keep` (UTF-16, at most its end): another model writes on from there. Every
    /// reader that may hold any of it is told before it gets more.
    pub fn fail_over(&mut self, keep: u64, from: &str, to: &str, reason: &str) {
        let Some(live) = self.live_mut() else { return };
        let end = live.text.end();
        let keep = live.text.position(keep).unwrap_or(end);
        live.text.truncate(keep);
        // Who heard of none of them must forget what any of them withdrew.
        let keep = live.withdrawal.take().map_or(keep, |before| if before.keep < keep { before.keep } else { keep });
        live.withdrawals += 1;
        live.withdrawal = Some(Withdrawal { keep, from: from.into(), to: to.into(), reason: reason.into() });
    }

    /// The text of the live run so far.
    #[must_use]
    pub fn live_text(&self) -> Option<&str> {
        self.live().map(|live| live.text.as_str())
    }

    /// How far the live run is.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let live = self.live()?;
        let event = live.started.checked_sub(self.first()).and_then(|at| self.events.get(usize::try_from(at).ok()?));
        Some(Progress {
            run: live.run.clone(),
            model: live.model.clone(),
            phase: live.doing.phase,
            since: event.map(|kept| kept.at),
            written: live.text.end().utf16(),
        })
    }

    /// What was written of the live run, which is to become the message `answer`, since `saved`, which is moved behind
    /// it: an offset (in bytes), the text that stands behind it now, and all calls when one of them has changed. `None`
    /// when nothing is new, or that run is over.
    #[must_use]
    pub fn unsaved(&self, answer: &MessageId, saved: &mut Saved) -> Option<(usize, &str, Option<&[ToolUse]>)> {
        let live = self.live().filter(|live| live.message == *answer)?;
        let before = *saved;
        if saved.withdrawals != live.withdrawals {
            saved.withdrawals = live.withdrawals;
            let keep = live.withdrawal.as_ref().map_or(saved.at, |withdrawal| withdrawal.keep);
            saved.at = saved.at.min(keep);
        }
        let from = saved.at.byte();
        let text = live.text.read(&mut saved.at, usize::MAX);
        let ended = live.tools.iter().filter(|used| used.outcome.status != ToolStatus::Running).count();
        saved.calls = live.tools.len() + ended;
        let tools = (saved.calls != before.calls).then_some(live.tools.as_slice());
        (*saved != before).then_some((from, text, tools))
    }

    /// Ends the live run; its answer is in the transcript from now on. `None` when no run is live.
    pub fn finish_run(&mut self, answer: Arc<Message>, ending: Ending, now: Moment) -> Option<Arc<RunDone>> {
        let status = answer.status;
        self.live()?;
        self.transcript.replace(answer);
        self.end_live(status, ending, now)
    }

    /// When the oldest thing happened that is not forgotten yet.
    #[must_use]
    pub fn oldest(&self) -> Option<Moment> {
        self.events.front().map(|event| event.at)
    }

    /// Forgets what nobody can resume from any more. Cheap; called now and then.
    pub fn trim(&mut self, now: Moment) {
        while let Some(oldest) = self.events.front() {
            let old = now.saturating_sub(oldest.at) >= RETENTION;
            let over = self.events.len() > MAX_EVENTS || (self.kept_bytes > MAX_KEPT_BYTES && self.events.len() > 1);
            if !old && !over {
                break;
            }
            self.kept_bytes -= oldest.bytes;
            self.events.pop_front();
            let first = self.first();
            self.runs.retain(|r| r.done.is_none_or(|done| done >= first));
        }
        if self.events.is_empty() {
            self.events.shrink_to_fit();
        }
    }

    fn live(&self) -> Option<&RunRecord> {
        self.runs.back().filter(|r| r.done.is_none())
    }

    fn live_mut(&mut self) -> Option<&mut RunRecord> {
        self.runs.back_mut().filter(|r| r.done.is_none())
    }

    /// The number of the oldest event that is kept; `head + 1` when there is none.
    fn first(&self) -> u64 {
        self.head + 1 - self.events.len() as u64
    }

    fn append(&mut self, event: Event, now: Moment) {
        let bytes = self.bytes_of(&event);
        self.head += 1;
        self.kept_bytes += bytes;
        self.events.push_back(Kept { at: now, event, bytes });
        self.trim(now);
    }

    fn bytes_of(&self, event: &Event) -> usize {
        match event {
            Event::Message(message) => message.text.len(),
            Event::RunStart { .. } => 0,
            Event::Memory { recollection, .. } => recollection.bytes(),
            Event::Sources { items, .. } => items.iter().map(|s| s.snippet.len() + s.title.len()).sum(),
            Event::ToolCall { call, .. } => call.bytes(),
            Event::ToolResult { outcome, .. } => outcome.bytes(),
            Event::Decided(decided) => decided.comment.as_ref().map_or(0, String::len),
            Event::RunDone(done) => self.runs.iter().find(|r| r.run == done.run).map_or(0, |r| r.text.as_str().len()),
        }
    }

    fn report_interrupted(&mut self, answer: &Message, now: Moment) {
        let Some(run) = answer.run.clone() else { return };
        let mut text = RunText::default();
        text.push(&answer.text, now);
        self.runs.push_back(RunRecord {
            run,
            message: answer.id.clone(),
            question: answer.question.clone().unwrap_or_else(|| answer.id.clone()), // Not told any more: it is over.
            model: answer.model.as_deref().unwrap_or_default().into(),
            sources: answer.sources.clone().into(),
            tools: answer.tools.clone(),
            started: self.head,
            done: None,
            doing: Phase::Streaming.into(),
            text,
            withdrawals: 0,
            withdrawal: None,
        });
        self.end_live(answer.status, Ending::default(), now);
    }

    fn end_live(&mut self, status: Status, ending: Ending, now: Moment) -> Option<Arc<RunDone>> {
        let live = self.live()?;
        let done = Arc::new(RunDone {
            run: live.run.clone(),
            message: live.message.clone(),
            status,
            len: live.text.end().utf16(),
            crc32: live.text.crc32(),
            author: ending.author,
            citations: ending.citations,
            usage: ending.usage,
            timing: ending.timing,
            error: ending.error,
        });
        self.end_live_as(done.clone(), now);
        Some(done)
    }

    fn end_live_as(&mut self, done: Arc<RunDone>, now: Moment) {
        let seq = self.head + 1;
        if let Some(live) = self.live_mut() {
            live.done = Some(seq);
            live.text.seal();
        }
        self.append(Event::RunDone(done), now);
    }
}

#[cfg(test)]
mod tests;
