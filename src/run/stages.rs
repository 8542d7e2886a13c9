//! The two stages of a run as one stream: what comes before the model is asked, and its answer.
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
    writing::{Told, Writing},
};
use crate::{limits::Place, llm::ModelStream};

/// What comes before an answer, and the answer itself last.
pub(super) enum Before {
    Told(RunEvent),
    Answer(Box<Answer>),
}

/// What a model says, as the run tells it.
pub(super) struct Answer {
    events: ModelStream,
    writing: Writing,
    ready: VecDeque<RunEvent>,
    is_over: bool,
    /// Given to the next one in line when the answer is over or nobody wants it any more.
    _place: Place,
}

impl Answer {
    pub(super) fn new(events: ModelStream, writing: Writing, place: Place) -> Self {
        Self { events, writing, ready: VecDeque::new(), is_over: false, _place: place }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            let Told { doing, event, end } = match ready!(self.events.poll_next_unpin(context)) {
                Some(event) => self.writing.take(event),
                None => Told { end: Some(self.writing.end()), ..Told::default() },
            };
            self.is_over = end.is_some();
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
}

impl Stream for Stages {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        loop {
            match &mut *self {
                Self::Answer(answer) => return answer.poll_next(context),
                Self::Before(before) => match ready!(before.poll_next_unpin(context)) {
                    Some(Before::Told(event)) => return Poll::Ready(Some(event)),
                    Some(Before::Answer(answer)) => *self = Self::Answer(answer),
                    None => return Poll::Ready(None),
                },
            }
        }
    }
}
