//! The log as readers see it: where they begin, what comes next, and what they carry away. Pure.

use super::{
    Log, Withdrawal,
    cursor::Cursor,
    event::{Attachment, Event, LiveRun, Recovered, Snapshot, Step},
};
use crate::{
    chat::{RunId, Status},
    session::{log::SNAPSHOT_MESSAGES, text::TextPosition},
};

impl Log {
    /// Where a reader begins that holds the cursor `resume`, or none.
    #[must_use]
    pub fn attach(&self, resume: Option<&str>) -> Attachment {
        let (cursor, recovered, snapshot) = match resume.and_then(|text| self.resolve(text)) {
            Some(cursor) => (cursor, Recovered::Full, None),
            None if self.head == 0 && self.transcript.is_empty() => (Cursor::default(), Recovered::New, None),
            None => {
                let (snapshot, cursor) = self.snapshot();
                (cursor, Recovered::Snapshot, Some(snapshot))
            }
        };
        Attachment { epoch: self.epoch.clone(), seq: self.head, cursor, recovered, snapshot }
    }

    /// The newest state, and the cursor behind it.
    ///
    /// When the last things that happened are interruptions by a crash, the cursor lies just before their `run.done`s:
    /// every client hears of it in the words it knows, and not only those that look into the messages' states.
    #[must_use]
    pub fn snapshot(&self) -> (Snapshot, Cursor) {
        let interrupted = self.events.iter().rev().take_while(|kept| is_interruption(&kept.event)).count();
        let seq = self.head - interrupted as u64;
        let finished: Vec<_> = self.transcript.iter().filter(|m| m.status != Status::Pending).cloned().collect();
        let messages = finished[finished.len().saturating_sub(SNAPSHOT_MESSAGES)..].to_vec();
        let more = (!self.transcript.is_whole() || messages.len() < finished.len())
            .then(|| messages.first().map(|m| m.id.clone()));
        let live = self.live();
        let snapshot = Snapshot {
            seq,
            messages,
            more: more.flatten(),
            live: live.map(|live| LiveRun {
                run: live.run.clone(),
                message: live.message.clone(),
                question: live.question.clone(),
                model: live.model.clone(),
                sources: live.sources.clone(),
                tools: live.tools.clone(),
                text: live.text.as_str().to_owned(),
                doing: live.doing.clone(),
            }),
        };
        let run = live.map(|live| (live.run.clone(), live.text.end()));
        let withdrawals = live.map_or(0, |live| live.withdrawals);
        (snapshot, Cursor { seq, run, withdrawals, phase: self.phase_changes, caught_up: false })
    }

    /// What lies after `cursor`, which is moved behind it. A delta has at most `max_bytes` of text.
    pub fn next(&self, cursor: &mut Cursor, max_bytes: usize) -> Step<'_> {
        if cursor.seq + 1 < self.first() {
            return Step::Trimmed;
        }
        if cursor.seq == self.head {
            return self.next_of_live(cursor, max_bytes);
        }
        let event = &self.events[index(cursor.seq + 1 - self.first())].event;
        let lacks_text = match event {
            Event::RunDone(_) => true,
            Event::ToolCall { call, .. } => self.lacks_text_before(call.off, cursor),
            _ => false,
        };
        if lacks_text && let Some(delta) = self.next_text(cursor, max_bytes) {
            return delta; // The missing text of a run always comes before its end, and before a call that stands in it.
        }
        cursor.seq += 1;
        match event {
            Event::RunStart { run, .. } => {
                cursor.run = Some((run.clone(), TextPosition::default()));
                cursor.withdrawals = 0; // The reader may come back with an old cursor and hold more than that says.
            }
            Event::RunDone(_) => cursor.run = None,
            Event::Message(_)
            | Event::Memory { .. }
            | Event::Sources { .. }
            | Event::ToolCall { .. }
            | Event::ToolResult { .. }
            | Event::Decided(_) => {}
        }
        Step::Event(cursor.seq, event)
    }

    /// Whether [`Log::next`] would say [`Step::UpToDate`].
    #[must_use]
    pub fn is_up_to_date(&self, cursor: &Cursor) -> bool {
        cursor.seq == self.head
            && match (&cursor.run, self.live()) {
                (Some((_, at)), Some(live)) => {
                    *at == live.text.end()
                        && cursor.withdrawals == live.withdrawals
                        && cursor.phase == self.phase_changes
                }
                _ => true,
            }
    }

    /// The piece of `run`'s text that begins at `off` (UTF-16), at most `max_bytes` long; empty at the end.
    /// `None` when the text is not kept (any more) or has no such offset.
    #[must_use]
    pub fn text_of(&self, run: &RunId, off: u64, max_bytes: usize) -> Option<(u64, &str)> {
        let text = &self.runs.iter().rev().find(|r| r.run == *run)?.text;
        let mut at = text.position(off)?;
        let start = at.utf16();
        Some((start, text.read(&mut at, max_bytes)))
    }

    /// Moves the cursor back (or on) to `off` in `run`, when that is the run it is in.
    pub fn seek(&self, cursor: &mut Cursor, run: &RunId, off: u64) -> bool {
        let Some((inside, at)) = &mut cursor.run else { return false };
        let record = self.runs.iter().rev().find(|r| r.run == *run && r.run == *inside);
        match record.and_then(|r| r.text.position(off)) {
            Some(position) => {
                *at = position;
                true
            }
            None => false,
        }
    }

    /// The cursor as clients carry it: `epoch:seq`, or `epoch:seq:run:off` within a run.
    #[must_use]
    pub fn cursor_text(&self, cursor: &Cursor) -> String {
        match &cursor.run {
            Some((run, at)) => format!("{}:{}:{}:{}", self.epoch, cursor.seq, run, at.utf16()),
            None => format!("{}:{}", self.epoch, cursor.seq),
        }
    }

    /// Whether a cursor of this epoch is ahead of what is here.
    #[must_use]
    pub fn is_behind(&self, text: &str) -> bool {
        let mut parts = text.splitn(4, ':');
        if parts.next() != Some(&*self.epoch) {
            return false;
        }
        let Some(seq) = parts.next().and_then(|seq| seq.parse::<u64>().ok()) else { return false };
        let within = parts.next().zip(parts.next().and_then(|off| off.parse::<u64>().ok()));
        let lacks_text = within.is_some_and(|(run, off)| {
            self.live().is_some_and(|live| live.run.as_str() == run && live.text.end().utf16() < off)
        });
        seq > self.head || (seq == self.head && lacks_text)
    }

    /// Understands a cursor that a client carried. `None` when it is not ours, or what followed it is gone.
    pub(super) fn resolve(&self, text: &str) -> Option<Cursor> {
        let mut parts = text.splitn(4, ':');
        let (epoch, seq) = (parts.next()?, parts.next()?.parse::<u64>().ok()?);
        if epoch != &*self.epoch || seq > self.head || seq + 1 < self.first() {
            return None;
        }
        let within = match (parts.next(), parts.next()) {
            (Some(run), Some(off)) => Some((run, off.parse::<u64>().ok()?)),
            (None, _) => None,
            (Some(_), None) => return None,
        };
        let run = match self.runs.iter().find(|r| r.is_open_at(seq)) {
            None => None,
            Some(open) => {
                let off = within.filter(|(run, _)| *run == open.run.as_str()).map_or(0, |(_, off)| off);
                // An offset does not say whether it counts in the text before a withdrawal or after it.
                let most = open.withdrawal.as_ref().map_or(u64::MAX, |withdrawal| withdrawal.keep.utf16());
                Some((open.run.clone(), open.text.position(off.min(most))?))
            }
        };
        Some(Cursor { seq, run, withdrawals: 0, phase: 0, caught_up: false })
    }

    /// Whether a reader does not hold what stands before `off` in its run yet, as it is now.
    fn lacks_text_before(&self, off: u64, cursor: &Cursor) -> bool {
        let Some((run, at)) = &cursor.run else { return false };
        let record = self.runs.iter().rev().find(|record| record.run == *run);
        at.utf16() < off || record.is_some_and(|record| record.withdrawals != cursor.withdrawals)
    }

    fn next_of_live(&self, cursor: &mut Cursor, max_bytes: usize) -> Step<'_> {
        let Some(live) = self.live() else {
            cursor.caught_up = true;
            return Step::UpToDate;
        };
        if cursor.phase != self.phase_changes {
            cursor.phase = self.phase_changes;
            return Step::Doing(&live.run, &live.doing);
        }
        let delta = self.next_text(cursor, max_bytes);
        cursor.caught_up |= delta.is_none();
        delta.unwrap_or(Step::UpToDate)
    }

    fn next_text(&self, cursor: &mut Cursor, max_bytes: usize) -> Option<Step<'_>> {
        let (run, at) = cursor.run.as_mut()?;
        let record = self.runs.iter().rev().find(|r| r.run == *run)?;
        if cursor.withdrawals != record.withdrawals
            && let Some(Withdrawal { keep, from, to, reason }) = &record.withdrawal
        {
            cursor.withdrawals = record.withdrawals;
            if *keep < *at {
                *at = *keep;
            }
            return Some(Step::Failover { run: &record.run, keep: keep.utf16(), from, to, reason });
        }
        let (off, since) = (at.utf16(), record.text.arrival(at).filter(|_| cursor.caught_up));
        let text = record.text.read(at, max_bytes);
        (!text.is_empty()).then_some(Step::Delta { run: &record.run, off, text, since })
    }
}

fn is_interruption(event: &Event) -> bool {
    matches!(event, Event::RunDone(done) if done.status == Status::Interrupted)
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
