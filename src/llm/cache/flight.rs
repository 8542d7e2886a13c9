//! One answer that several runs read while it is written.
//!
//! There is no task behind it. Whoever has read all that is recorded polls the source, which wakes everybody who waits. So
//! nobody depends on anybody else's pace, and nothing has to be handed over when somebody leaves. When the last one
//! leaves, the source is dropped at once.
//!
//! The source is polled outside of the flight's lock, by one at a time: however long that takes, others can read, join
//! and leave. Who finds it being polled waits to be woken, by the source or by whoever got something out of it.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;

use self::wakers::Wakers;
use super::super::{FinishReason, ModelError, ModelEvent, ModelStream};
use crate::chat::{Author, Timestamp, Usage};

mod wakers;

/// The longest answer that is kept or joined, in bytes.
pub(super) const MAX_SHARED_BYTES: usize = 64 << 10;

/// An answer that is whole and that anybody may be given.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) text: Box<str>,
    pub(super) author: Author,
    pub(super) usage: Option<Usage>,
    /// When it came to its end.
    pub(super) written_at: Timestamp,
}

/// An answer on its way.
pub(super) struct Flight {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    /// Wakes everybody who waits; what the source is polled with.
    waker: Waker,
}

struct State {
    source: Source,
    record: Record,
    /// Bytes of text so far, recorded or not.
    bytes: usize,
    participants: usize,
    /// Whether somebody is in it who pays for it.
    has_payer: bool,
    is_over: bool,
    /// Its end was taken note of.
    is_settled: bool,
}

enum Source {
    /// It waits, or nobody has looked yet.
    Here(ModelStream),
    /// The participant of this slot polls it. When that one is gone without having brought it back, it has panicked.
    With(usize),
    /// Over, or everybody has left.
    Gone,
}

/// One reader of a flight.
pub(super) struct Participant {
    flight: Arc<Flight>,
    slot: Option<usize>,
    at: Position,
    pays: bool,
}

/// What is left behind by who leaves.
pub(super) struct Left {
    pub(super) was_last: bool,
    /// Dropped outside of all locks.
    _source: Source,
}

impl Flight {
    /// A flight, and its first participant. Nothing happens before that one is polled.
    pub(super) fn start(source: ModelStream) -> Participant {
        let wakers = Arc::new(Wakers::default());
        let state = State {
            source: Source::Here(source),
            record: Record::default(),
            bytes: 0,
            participants: 0,
            has_payer: true,
            is_over: false,
            is_settled: false,
        };
        let flight = Self { state: Mutex::new(state), waker: Waker::from(Arc::clone(&wakers)), wakers };
        let flight = Arc::new(flight);
        let slot = flight.enter(&mut flight.state.lock());
        Participant { flight, slot: Some(slot), at: Position::default(), pays: true }
    }

    /// One more reader, who gets what is there in one piece. `None` when everybody has left, when it failed, or when it is
    /// too long to be recorded.
    pub(super) fn join(self: &Arc<Self>) -> Option<Participant> {
        let mut state = self.state.lock();
        if state.participants == 0 || state.has_failed() || state.bytes > MAX_SHARED_BYTES {
            return None;
        }
        let slot = self.enter(&mut state);
        drop(state);
        Some(Participant { flight: Arc::clone(self), slot: Some(slot), at: Position::default(), pays: false })
    }

    fn enter(&self, state: &mut State) -> usize {
        state.participants += 1;
        self.wakers.enter()
    }

    /// Once, after the end: the answer, when it is one to be kept. Whoever asks again is told `None`.
    pub(super) fn settle(&self) -> Option<Option<Whole>> {
        let mut state = self.state.lock();
        if !state.is_over || mem::replace(&mut state.is_settled, true) {
            return None;
        }
        Some((state.bytes <= MAX_SHARED_BYTES).then(|| state.record.whole()).flatten())
    }
}

impl State {
    fn has_failed(&self) -> bool {
        // Ended without a reason, or by an error.
        self.is_over && !self.record.is_finished()
    }
}

impl Participant {
    /// The flight it is in.
    pub(super) const fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Whether it pays for the answer: it asked for it, or who did has left before the end, and it was the first one to
    /// look.
    pub(super) fn pays(&mut self) -> bool {
        if !self.pays {
            let mut state = self.flight.state.lock();
            self.pays = !state.has_payer && !state.is_over;
            state.has_payer |= self.pays;
        }
        self.pays
    }

    /// Leaves; again, and nothing happens.
    pub(super) fn leave(&mut self) -> Left {
        let Some(slot) = self.slot.take() else { return Left { was_last: false, _source: Source::Gone } };
        self.flight.wakers.leave(slot);
        let mut state = self.flight.state.lock();
        state.participants -= 1;
        let was_last = state.participants == 0;
        if was_last {
            return Left { was_last, _source: mem::replace(&mut state.source, Source::Gone) };
        }
        if self.pays && !state.is_over {
            state.has_payer = false; // The next one who looks pays for the rest.
        }
        if matches!(state.source, Source::With(by) if by == slot) {
            (state.source, state.is_over) = (Source::Gone, true);
        }
        drop(state);
        // Whatever this one was woken for, somebody else has to look now.
        self.flight.wakers.wake_others(slot);
        Left { was_last, _source: Source::Gone }
    }

    /// Takes what the source has given, and brings the source back.
    fn bring(&mut self, slot: usize, source: ModelStream, event: &Option<Result<ModelEvent, ModelError>>) {
        let mut guard = self.flight.state.lock();
        let state = &mut *guard;
        match event {
            Some(Ok(ModelEvent::Text(text))) => state.bytes = state.bytes.saturating_add(text.len()),
            Some(Err(_)) | None => state.is_over = true,
            Some(Ok(_)) => {}
        }
        if let Some(event) = event {
            if state.participants == 1 && state.bytes > MAX_SHARED_BYTES {
                // Nobody can join any more, and nobody else is behind.
                state.record = Record::default();
                self.at = Position::default();
            } else {
                state.record.add(event, &mut self.at);
            }
        }
        let has_others = state.participants > 1;
        let over = match state.is_over {
            true => (mem::replace(&mut state.source, Source::Gone), Some(source)),
            false => (mem::replace(&mut state.source, Source::Here(source)), None),
        };
        drop(guard);
        drop(over);
        if has_others {
            self.flight.wakers.wake_others(slot);
        }
    }
}

impl Stream for Participant {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(slot) = this.slot else { return Poll::Ready(None) };
        let mut state = this.flight.state.lock();
        if let Some(event) = state.record.after(&mut this.at) {
            return Poll::Ready(Some(event));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        // Before the source is polled, so that a wake during the poll is not missed, whoever polls it.
        this.flight.wakers.wait(slot, context.waker());
        let mut source = match mem::replace(&mut state.source, Source::With(slot)) {
            Source::Here(source) => source,
            elsewhere => {
                let is_with_another = matches!(elsewhere, Source::With(by) if by != slot);
                state.source = elsewhere;
                return if is_with_another { Poll::Pending } else { Poll::Ready(None) };
            }
        };
        drop(state);
        match source.poll_next_unpin(&mut Context::from_waker(&this.flight.waker)) {
            Poll::Pending => {
                this.flight.state.lock().source = Source::Here(source);
                Poll::Pending
            }
            Poll::Ready(event) => {
                this.bring(slot, source, &event);
                Poll::Ready(event)
            }
        }
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

/// What has come so far. Text lies in one piece, the rest beside it.
#[derive(Default)]
struct Record {
    text: String,
    marks: Vec<Mark>,
    /// The newest usage, and how many there were: only the last one counts.
    usage: Option<(usize, Usage)>,
    /// What the model was doing last, how many such signs there were, and how much text stands before it, in bytes.
    doing: Option<(usize, usize, ModelEvent)>,
    /// Bytes of reasoning. Who reads is told of all of them, however late and in however few signs: they have a price.
    thought: u32,
}

/// Anything else, and how much text stands before it, in bytes.
struct Mark {
    at: usize,
    event: Result<ModelEvent, ModelError>,
}

/// How far a participant has read.
#[derive(Default)]
struct Position {
    bytes: usize,
    marks: usize,
    usages: usize,
    doings: usize,
    thought: u32,
}

impl Record {
    /// Records an event, which the participant at `position`, who has read everything before it, is given.
    fn add(&mut self, event: &Result<ModelEvent, ModelError>, position: &mut Position) {
        match event {
            Ok(ModelEvent::Text(text)) => {
                self.text.push_str(text);
                position.bytes = self.text.len();
            }
            Ok(ModelEvent::Usage(usage)) => {
                let count = self.usage.map_or(0, |(count, _)| count) + 1;
                self.usage = Some((count, *usage));
                position.usages = count;
            }
            Ok(event @ (ModelEvent::Queued(_) | ModelEvent::Asked | ModelEvent::Thinking(_))) => {
                if let ModelEvent::Thinking(bytes) = event {
                    self.thought = self.thought.saturating_add(*bytes);
                    position.thought = self.thought;
                }
                let count = self.doing.as_ref().map_or(0, |(count, ..)| *count) + 1;
                self.doing = Some((count, self.text.len(), event.clone()));
                position.doings = count;
            }
            event => {
                self.marks.push(Mark { at: self.text.len(), event: event.clone() });
                position.marks = self.marks.len();
            }
        }
    }

    /// What comes next behind `position`.
    fn after(&self, position: &mut Position) -> Option<Result<ModelEvent, ModelError>> {
        let mark = self.marks.get(position.marks);
        let doing = self.doing.as_ref().filter(|(count, ..)| *count > position.doings);
        let end = mark.map_or(self.text.len(), |mark| mark.at).min(doing.map_or(usize::MAX, |(_, at, _)| *at));
        if position.bytes < end {
            let text = self.text[position.bytes..end].to_owned();
            position.bytes = end;
            return Some(Ok(ModelEvent::Text(text)));
        }
        if let Some((count, at, event)) = doing
            && *at == position.bytes
        {
            position.doings = *count;
            let thought = self.thought - mem::replace(&mut position.thought, self.thought);
            return Some(Ok(if thought > 0 { ModelEvent::Thinking(thought) } else { event.clone() }));
        }
        if let Some(Mark { event: Ok(event), .. }) = mark {
            position.marks += 1;
            return Some(Ok(event.clone()));
        }
        // Before an error, behind which nothing comes.
        if let Some((count, usage)) = self.usage.filter(|(count, _)| *count > position.usages) {
            position.usages = count;
            return Some(Ok(ModelEvent::Usage(usage)));
        }
        let error = mark?.event.clone();
        position.marks += 1;
        Some(error)
    }

    fn is_finished(&self) -> bool {
        self.marks.iter().any(|mark| matches!(mark.event, Ok(ModelEvent::Finish(_))))
            && !self.marks.iter().any(|mark| mark.event.is_err())
    }

    /// The answer, when it has text, ended of itself and has a single author.
    fn whole(&self) -> Option<Whole> {
        let mut author = None;
        let mut is_whole = false;
        for mark in &self.marks {
            match &mark.event {
                Ok(ModelEvent::Finish(FinishReason::Stop)) => is_whole = true,
                Ok(ModelEvent::By(by)) if author.is_none() => author = Some(by.clone()),
                _ => return None,
            }
        }
        let usage = self.usage.map(|(_, usage)| usage);
        let text = Box::from(self.text.as_str());
        let written_at = Timestamp::now();
        (is_whole && !self.text.is_empty()).then_some(Whole { text, author: author?, usage, written_at })
    }
}

#[cfg(test)]
mod tests;
