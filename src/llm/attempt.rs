//! One attempt at a target, as a stream: asked, read, watched by its clocks and counted.
//!
//! It ends with its usage, when there is something to count, behind its finish and before its error. Uses nothing of
//! ours beside its neighbours.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, Stream, future::BoxFuture};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    call::Call,
    clocks::{Clocks, Due, Progress},
    error::{ModelError, Stage},
    event::FinishReason,
    ledger::Ledger,
    openai::{Body, Endpoint},
    pacer::Reservation,
    reading::{End, Step},
    request::ChatRequest,
};
use crate::chat::{Owner, Usage};

/// What an attempt tells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// The model works on what nobody sees: so many bytes of that.
    Thinking(u32),
    /// A piece of visible text, never empty.
    Text(String),
    /// What was passed on before was reasoning, and does not count.
    Withdrawn,
    /// What it wants to be called, whole; its finish follows.
    Calls(Vec<Call>),
    /// Why the text ends, with proof that it does.
    Finish(FinishReason),
    /// What it cost.
    Usage(Usage),
}

/// An attempt. Nothing happens before it is polled; dropping it closes the connection.
pub(super) struct Attempt {
    endpoint: Arc<Endpoint>,
    asker: Option<Owner>,
    ledger: Ledger,
    progress: Progress,
    /// Reset only when it fires: most deadlines are overtaken by text and never looked at.
    timer: Pin<Box<Sleep>>,
    state: State,
    /// What is told at the end.
    last: VecDeque<Result<Said, ModelError>>,
}

enum State {
    Opening(BoxFuture<'static, Result<Body, ModelError>>),
    Reading(Box<Body>),
    Over,
}

impl Attempt {
    /// Asks `endpoint` under these clocks. Ends by `latest`, whatever they say.
    pub(super) fn new(
        endpoint: &Arc<Endpoint>,
        prices: Option<(f64, f64)>,
        clocks: Clocks,
        latest: Instant,
        request: ChatRequest,
        reservation: Reservation,
    ) -> Self {
        let ledger = Ledger::open(Arc::clone(endpoint), prices, &request);
        let progress = Progress::start(clocks, ledger.started(), latest);
        Self {
            timer: Box::pin(sleep_until(progress.deadline())),
            asker: request.asker.clone(),
            state: State::Opening(Arc::clone(endpoint).open(request, reservation).boxed()),
            endpoint: Arc::clone(endpoint),
            ledger,
            progress,
            last: VecDeque::new(),
        }
    }

    /// Ends it: what it has said cannot be used.
    pub(super) fn fail(&mut self, detail: &str) {
        self.close(Err(self.endpoint.truncated(detail)));
    }

    /// What comes of the connection. `None`: nothing to be told.
    fn poll_source(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<Option<Said>> {
        match &mut self.state {
            State::Opening(opening) => match std::task::ready!(opening.poll_unpin(context)) {
                Ok(body) => {
                    self.progress.head();
                    self.ledger.taken();
                    self.state = State::Reading(Box::new(body));
                    Poll::Ready(None)
                }
                Err(error) => {
                    self.close(Err(error));
                    Poll::Ready(None)
                }
            },
            State::Reading(body) => {
                let step = std::task::ready!(body.poll_step(context));
                Poll::Ready(self.take(step, now))
            }
            State::Over => Poll::Ready(None),
        }
    }

    fn take(&mut self, step: Step, now: Instant) -> Option<Said> {
        match step {
            Step::Thinking(bytes) => {
                self.progress.works(now);
                self.ledger.said(bytes as usize, now);
                Some(Said::Thinking(bytes))
            }
            Step::Text(text) => {
                self.progress.speaks(now);
                self.ledger.said(text.len(), now);
                Some(Said::Text(text))
            }
            Step::Withdrawn => {
                self.endpoint.has_thought(self.asker.as_ref());
                Some(Said::Withdrawn)
            }
            Step::Calls(calls) => {
                self.ledger.called();
                Some(Said::Calls(calls))
            }
            Step::BadEvent => {
                self.endpoint.count_bad_event();
                None
            }
            Step::End(end) => {
                self.close(match end {
                    End::Finished(reason) => Ok(reason),
                    End::Failed(error) => Err(self.endpoint.said(&error)),
                    End::Truncated(detail) => Err(self.endpoint.truncated(&detail)),
                    End::Unusable(detail) => Err(self.endpoint.unusable(detail)),
                });
                None
            }
        }
    }

    /// What is over ends it; or the timer is put off, and it waits.
    fn look_at_the_clocks(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        if let State::Reading(body) = &self.state {
            self.progress.rests(body.has_finished(), now);
        }
        match (self.progress.due(now), &mut self.state) {
            (None, _) => {
                let deadline = self.progress.deadline();
                if self.timer.is_elapsed() || deadline < self.timer.deadline() {
                    self.timer.as_mut().reset(deadline);
                }
                return self.timer.poll_unpin(context);
            }
            (Some(Due::Rest), State::Reading(body)) => {
                body.silent();
                self.progress.rests(false, now);
            }
            (Some(Due::Rest), _) => {}
            (Some(Due::Clock(clock)), _) => {
                let (target, stage) = (self.endpoint.name().to_owned(), self.progress.stage());
                self.close(Err(ModelError::Timeout { target, clock, stage }));
            }
        }
        Poll::Ready(())
    }

    fn close(&mut self, ending: Result<FinishReason, ModelError>) {
        let counted = match std::mem::replace(&mut self.state, State::Over) {
            State::Reading(body) => {
                match ending {
                    Ok(FinishReason::Stop) if self.progress.stage() == Stage::Committed && !body.closes_alone() => {
                        self.endpoint.has_not_thought();
                    }
                    Ok(_) => {}
                    Err(_) => self.endpoint.failed_as(body.id()),
                }
                body.usage()
            }
            State::Opening(_) | State::Over => None,
        };
        let usage = self.ledger.close(ending.as_ref().copied(), counted);
        let (finish, error) = (ending.as_ref().ok().copied(), ending.err());
        self.last.extend(finish.map(|reason| Ok(Said::Finish(reason))));
        self.last.extend(usage.map(|usage| Ok(Said::Usage(usage))));
        self.last.extend(error.map(Err));
    }
}

impl Stream for Attempt {
    type Item = Result<Said, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(told) = this.last.pop_front() {
                return Poll::Ready(Some(told));
            }
            if matches!(this.state, State::Over) {
                return Poll::Ready(None);
            }
            let now = Instant::now();
            match this.poll_source(context, now) {
                Poll::Ready(Some(said)) => {
                    // Text that is always there would keep them from their turn.
                    if this.progress.due(now).is_some() {
                        let _it_goes_on_with_what_is_over: Poll<()> = this.look_at_the_clocks(context, now);
                    }
                    return Poll::Ready(Some(Ok(said)));
                }
                Poll::Ready(None) => {}
                Poll::Pending if this.look_at_the_clocks(context, now).is_pending() => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }
}
