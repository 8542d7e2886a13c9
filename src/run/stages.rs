//! The two stages of a run as one stream: what comes before the model is asked, and its answer; and again, where it calls
//! tools.
//!
//! Before, much is awaited once; of the answer every token passes here. Uses `limits`' place in line, `llm`'s stream and its
//! neighbours.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::{Stream, StreamExt, stream::BoxStream};

use super::{
    event::RunEvent,
    round::Round,
    writing::{Told, Writing},
};
use crate::{limits::Place, llm::ModelStream};

/// What comes before an answer, and the answer itself last.
pub(super) enum Before {
    Told(RunEvent),
    Answer(Box<Answer>),
}

/// A round whose model wants tools to be called.
pub(super) struct Ended {
    pub(super) writing: Writing,
    pub(super) place: Place,
    pub(super) round: Round,
}

/// What follows it.
pub(super) type Then = Box<dyn FnOnce(Ended) -> BoxStream<'static, Before> + Send>;

/// What a model says, as the run tells it.
pub(super) struct Answer {
    events: ModelStream,
    writing: Writing,
    ready: VecDeque<RunEvent>,
    is_over: bool,
    /// The round that it is of, and how it goes on when tools are called; none where there are no tools.
    rounds: Option<(Round, Then)>,
    /// Given to the next one in line when the answer is over or nobody wants it any more.
    place: Place,
}

impl Answer {
    pub(super) fn new(events: ModelStream, writing: Writing, place: Place) -> Self {
        Self { events, writing, ready: VecDeque::new(), is_over: false, rounds: None, place }
    }

    /// The same as one round of several, after which `then` follows when tools are called.
    pub(super) fn then(self, round: Round, then: Then) -> Self {
        Self { rounds: Some((round, then)), ..self }
    }

    /// What follows when it is over and tools are to be called; otherwise nothing does.
    fn goes_on(self) -> Option<BoxStream<'static, Before>> {
        let (round, then) = self.rounds.filter(|_| self.writing.has_calls())?;
        Some(then(Ended { writing: self.writing, place: self.place, round }))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            let Told { doing, mut event, end } = match ready!(self.events.poll_next_unpin(context)) {
                Some(event) => self.writing.take(event),
                None if self.rounds.is_some() && self.writing.has_calls() => {
                    self.is_over = true;
                    return Poll::Ready(None);
                }
                None => {
                    let calls = self.writing.take_calls();
                    let event = (!calls.is_empty()).then_some(RunEvent::Called(calls));
                    Told { event, end: Some(self.writing.end()), ..Told::default() }
                }
            };
            if let (Some((round, _)), Some(event)) = (&mut self.rounds, &mut event) {
                round.hear(event);
            }
            if end.is_some() {
                (self.is_over, self.rounds) = (true, None);
            }
            match (doing, event, end) {
                (None, Some(event), None) => return Poll::Ready(Some(event)), // As nearly every token does.
                (doing, event, end) => {
                    self.ready.extend(doing.map(RunEvent::Doing));
                    self.ready.extend(event);
                    self.ready.extend(end.map(RunEvent::End));
                }
            }
        }
    }
}

/// A run.
pub(super) enum Stages {
    Before(BoxStream<'static, Before>),
    Answer(Box<Answer>),
    Over,
}

impl Stream for Stages {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            match &mut *self {
                Self::Answer(answer) => {
                    if let Some(event) = ready!(answer.poll_next(context)) {
                        return Poll::Ready(Some(event));
                    }
                    if let Self::Answer(answer) = std::mem::replace(&mut *self, Self::Over)
                        && let Some(rounds) = answer.goes_on()
                    {
                        *self = Self::Before(rounds);
                    }
                }
                Self::Over => return Poll::Ready(None),
                Self::Before(before) => match ready!(before.poll_next_unpin(context)) {
                    Some(Before::Told(event)) => return Poll::Ready(Some(event)),
                    Some(Before::Answer(answer)) => *self = Self::Answer(answer),
                    None => return Poll::Ready(None),
                },
            }
        }
    }
}
