//! One answer over all of its attempts: the one retry loop of the house, as a state machine.
//!
//! Until the first visible text nobody sees who is asked: an attempt that fails is repeated at the same target or made at
//! the next one, as `retry.rs` decides, within the time that the whole answer has. A target whose breaker is open is
//! passed by. After the first visible text, the next target takes over once per answer, and everybody is told
//! ([`Failover`](crate::llm::Failover)): it writes anew, or goes on where the text ends, when it is declared able to. Until
//! its own first text is there, nothing is withdrawn. Usage is that of all attempts together, since each was paid for.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep};
use tracing::warn;

use super::{
    plan::Plan,
    shown::{AttemptsCost, Shown},
    turns::{Asking, Turns, exhausted, first_to_ask, need_of, paced},
};
use crate::{
    chat::Author,
    llm::{
        attempt::Said,
        error::{ModelError, Rejection},
        event::{FinishReason, ModelEvent},
        model::ModelStream,
        pacer::{Need, PacerTurn, Reservation},
        refusal,
        request::ChatRequest,
        retry::Next,
        seam::{Joined, Seam},
        stand_in,
        target::Target,
    },
};

/// Who waits for a rate limit looks again after so long, at the least and at the most: those before it may leave.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// How often a new place in line is told, at the most: with every place a frame to everybody would be a burden.
const TELL_EVERY: Duration = Duration::from_millis(500);

type Event = Result<ModelEvent, ModelError>;

/// An answer of the first target that gives one.
pub(super) struct Answer {
    plan: Plan,
    request: ChatRequest,
    need: Need,
    started: Instant,
    /// By when all of it has to end.
    latest: Instant,
    untried: Vec<Arc<Target>>,
    state: State,
    ready: VecDeque<Event>,
    shown: Shown,
    spent: AttemptsCost,
    /// How the last target failed.
    last: Option<ModelError>,
    /// The place in line that was told, and when.
    told: Option<(usize, Instant)>,
}

/// What is going on.
enum State {
    /// Somebody is to be asked.
    Choosing,
    /// Its rate limit lets a target wait.
    InLine(Turns, Reservation, Option<Pin<Box<Sleep>>>),
    /// A target is asked.
    Asking(Box<Asking>),
    /// A target is asked again after a pause.
    Pausing(Turns, Pin<Box<Sleep>>),
    Fallback(ModelStream),
    Over,
}

impl Answer {
    pub(super) fn new(plan: Plan, request: ChatRequest) -> Self {
        let started = Instant::now();
        Self {
            need: need_of(&request),
            started,
            latest: started + plan.total,
            // Rules that have begun an answer end it.
            untried: if stand_in::has_begun(&request) { Vec::new() } else { plan.in_order(&request) },
            plan,
            request,
            state: State::Choosing,
            ready: VecDeque::new(),
            shown: Shown::default(),
            spent: AttemptsCost::default(),
            last: None,
            told: None,
        }
    }

    /// Takes the next step. Ready when something may have changed.
    fn poll_state(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Choosing => self.choose(),
            State::InLine(turns, reservation, pause) => return self.wait(turns, reservation, pause, context),
            State::Asking(asking) => return self.hear(asking, context),
            State::Pausing(turns, mut pause) => match pause.poll_unpin(context) {
                Poll::Pending => {
                    self.state = State::Pausing(turns, pause);
                    return Poll::Pending;
                }
                Poll::Ready(()) => self.line_up(turns),
            },
            State::Fallback(mut events) => {
                let event = events.poll_next_unpin(context);
                if !matches!(event, Poll::Ready(None)) {
                    self.state = State::Fallback(events);
                }
                if let Some(event) = ready!(event) {
                    self.ready.push_back(event.map(|event| match event {
                        ModelEvent::Usage(usage) => ModelEvent::Usage(self.spent.with(usage)),
                        event => event,
                    }));
                }
            }
            State::Over => {}
        }
        Poll::Ready(())
    }

    /// The next target that may be asked.
    fn choose(&mut self) {
        let (shown, request) = (&self.shown, &self.request);
        self.untried
            .retain(|target| shown.may_be_joined_by(target, request) && target.may_be_asked(request.asker.as_ref()));
        let Some(at) = first_to_ask(&self.untried, self.need) else { return self.give_up() };
        let target = self.untried.remove(at);
        let continues = self.shown.has_broken_off() && target.continues();
        self.line_up(Turns { target, admission: None, failed: 0, error: None, continues, has_refused: false });
    }

    fn line_up(&mut self, turns: Turns) {
        let reservation = turns.target.line_up(self.need);
        self.state = State::InLine(turns, reservation, None);
    }

    /// Waits until a target's rate limit allows it. The wait may grow while it lasts: others may use up more than they
    /// said.
    fn wait(
        &mut self,
        turns: Turns,
        mut reservation: Reservation,
        pause: Option<Pin<Box<Sleep>>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if let Some(mut pause) = pause
            && pause.poll_unpin(context).is_pending()
        {
            self.state = State::InLine(turns, reservation, Some(pause));
            return Poll::Pending;
        }
        let now = Instant::now();
        match reservation.turn(now) {
            PacerTurn::Come => {
                if self.told.take().is_some() {
                    paced(&turns.target, "waited");
                    self.ready.push_back(Ok(ModelEvent::Asked));
                }
                self.ask(turns, reservation);
            }
            PacerTurn::Wait(wait, _) if now + wait > self.plan.patience(self.started) => {
                paced(&turns.target, "refused");
                let error = turns.error.clone().unwrap_or_else(|| exhausted(&turns.target, wait));
                self.conclude(turns, error);
            }
            PacerTurn::Wait(wait, position) => {
                if self.told.is_none_or(|(told, at)| told != position && now - at >= TELL_EVERY) {
                    self.told = Some((position, now));
                    self.ready.push_back(Ok(ModelEvent::Queued(position)));
                }
                let pause = Box::pin(sleep(wait.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1)));
                self.state = State::InLine(turns, reservation, Some(pause));
            }
        }
        Poll::Ready(())
    }

    fn ask(&mut self, mut turns: Turns, reservation: Reservation) {
        if turns.admission.is_none() {
            turns.admission = turns.target.admit(self.request.asker.as_ref());
        }
        if turns.admission.is_none() {
            // Somebody else's failure has come in between.
            self.state = State::Choosing;
            return;
        }
        let request = self.shown.request(&self.request, turns.continues);
        let attempt = turns.target.ask(request, reservation, self.latest);
        let seam = self.shown.seam(turns.continues);
        self.shown.begins_attempt();
        let asking = Asking { turns, attempt, seam, is_committed: false, has_finished: false, failure: None };
        self.state = State::Asking(Box::new(asking));
    }

    /// What an attempt says.
    fn hear(&mut self, mut asking: Box<Asking>, context: &mut Context<'_>) -> Poll<()> {
        let said = asking.attempt.poll_next_unpin(context);
        match said {
            Poll::Pending => {
                self.state = State::Asking(asking);
                return Poll::Pending;
            }
            Poll::Ready(None) => {
                self.spent.close();
                self.has_ended(*asking);
                return Poll::Ready(());
            }
            Poll::Ready(Some(Err(error))) => asking.failure = Some(error),
            Poll::Ready(Some(Ok(said))) => self.take(&mut asking, said),
        }
        self.state = State::Asking(asking);
        Poll::Ready(())
    }

    fn take(&mut self, asking: &mut Asking, said: Said) {
        match said {
            Said::Thinking(bytes) => self.ready.push_back(Ok(ModelEvent::Thinking(bytes))),
            Said::Usage(usage) => self.ready.push_back(Ok(ModelEvent::Usage(self.spent.with(usage)))),
            Said::Text(text) => match &mut asking.seam {
                Some(seam) => {
                    if let Some(joined) = seam.push(&text) {
                        self.join(asking, joined);
                    }
                }
                None => {
                    self.commit(asking);
                    self.shown.text.push_str(&text);
                    self.ready.push_back(Ok(ModelEvent::Text(text)));
                }
            },
            Said::Calls(calls) => {
                if let Some(joined) = asking.seam.as_mut().map(Seam::join) {
                    self.join(asking, joined);
                }
                self.commit(asking);
                self.ready.push_back(Ok(ModelEvent::Calls(calls)));
            }
            Said::Withdrawn => self.withdraw(asking),
            Said::Finish(reason) => {
                if let Some(joined) = asking.seam.as_mut().and_then(Seam::end) {
                    self.join(asking, joined);
                }
                asking.has_finished = true;
                // Where there was text of somebody else, an answer without any is no end of that.
                if asking.is_committed || !self.shown.has_broken_off() {
                    self.ready.push_back(Ok(ModelEvent::Finish(reason)));
                }
            }
        }
    }

    /// What an attempt says is passed on from now on.
    fn commit(&mut self, asking: &mut Asking) {
        if !asking.is_committed {
            asking.commit();
            self.ready.push_back(Ok(ModelEvent::By(Author::new(asking.turns.target.model()))));
        }
    }

    fn join(&mut self, asking: &mut Asking, joined: Joined) {
        asking.seam = None;
        asking.commit();
        self.ready.extend(self.shown.take_over(&asking.turns.target, joined).map(Ok));
    }

    /// What an attempt has said was reasoning.
    fn withdraw(&mut self, asking: &mut Asking) {
        if let Some(seam) = &mut asking.seam {
            seam.clear();
        } else if self.request.may_withdraw {
            self.ready.extend(self.shown.withdraw(&asking.turns.target).map(Ok));
        } else if asking.is_committed {
            asking.attempt.fail("reasoning was passed on as text, and cannot be withdrawn");
        }
    }

    /// An attempt is over.
    fn has_ended(&mut self, asking: Asking) {
        let Asking { mut turns, is_committed, has_finished, failure, .. } = asking;
        let error = match failure {
            Some(error) => error,
            None if is_committed => {
                if let Some(admission) = turns.admission {
                    admission.succeeded();
                }
                return;
            }
            // An empty answer may be what the caller has ordered, and says nothing about the server.
            None if has_finished && !self.shown.has_broken_off() => return,
            None => ModelError::Unusable {
                target: turns.target.name().to_owned(),
                detail: "the answer that was to take over is empty".to_owned(),
            },
        };
        if is_committed {
            return self.conclude(turns, error);
        }
        if self.refuses_to_continue(&mut turns, &error) {
            return self.line_up(turns);
        }
        let (now, failed) = (Instant::now(), turns.failed);
        match self.plan.rule.after(&error, failed, self.started, now, rand::random()) {
            Next::Again(pause) if now + pause < self.latest => {
                warn!(%error, ?pause, "a model did not answer, asking it again");
                turns.failed += 1;
                turns.error = Some(error);
                self.state = State::Pausing(turns, Box::pin(sleep(pause)));
            }
            Next::Again(_) | Next::Other | Next::Nobody => self.conclude(turns, error),
        }
    }

    /// Whether a target does not take the beginning that it was given: then it is asked again at once, to write anew.
    fn refuses_to_continue(&self, turns: &mut Turns, error: &ModelError) -> bool {
        let ModelError::Rejected { status: 400 | 422, reason: Rejection::Request, detail, .. } = error else {
            return false;
        };
        if !std::mem::take(&mut turns.continues) {
            return false;
        }
        if refusal::is_of_beginning(detail) {
            turns.target.does_not_continue();
        }
        turns.has_refused = self.request.may_withdraw;
        turns.has_refused
    }

    /// A target did not answer, or not to the end.
    fn conclude(&mut self, turns: Turns, error: ModelError) {
        let Some(admission) = turns.admission else {
            // Nobody was asked.
            self.last.get_or_insert(error);
            self.state = State::Choosing;
            return;
        };
        warn!(%error, "a model did not answer, or not to the end");
        admission.failed(&error);
        if matches!(error, ModelError::Rejected { reason: Rejection::Filter, .. }) {
            self.ready.push_back(Ok(ModelEvent::Finish(FinishReason::Filtered)));
            return;
        }
        let may_go_on = self.shown.broke_off(&turns.target, &error) && Instant::now() < self.latest;
        self.last = Some(error);
        if may_go_on {
            self.state = State::Choosing;
        } else {
            self.give_up();
        }
    }

    /// Nobody is left to be asked. When an answer broke off and nobody took over, its own failure is the reason.
    fn give_up(&mut self) {
        let fallback = self.plan.fallback.take().filter(|_| self.shown.text.is_empty());
        let Some(fallback) = fallback else {
            let error = self.shown.failure.take().or(self.last.take());
            self.ready.push_back(Err(error.unwrap_or_else(|| self.plan.nobody(&self.request))));
            return;
        };
        self.state = State::Fallback(fallback.instead(self.request.clone()));
    }
}

impl Stream for Answer {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Poll::Ready(Some(told));
            }
            if matches!(self.state, State::Over) {
                return Poll::Ready(None);
            }
            ready!(self.poll_state(context));
        }
    }
}
