//! The one task that writes to a session: takes messages, commits them, drives the run, ends it.
//!
//! The run is a stream polled here: no second task, no abort handle; dropping it cancels the upstream. Commits are
//! futures polled here too, so that a slow disk delays an ack but neither the tokens nor a `stop`. Order of things:
//! commit, then log, then ack; and at the end of a run: commit, then `run.done`, so that whatever a client was told
//! survives a crash.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use futures_channel::mpsc;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use metrics::Counter;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tracing::error;

use self::answer::Current;
use crate::{
    chat::{Message, MessageId, Role, RunId, Status, Timestamp},
    run::{Outcome, RunEvent, Runner},
    session::{Clock, Closed, Command, NewMessage, Receipt, RunNotActive, SendError, SendMode, Shared, StopTarget},
    store::{Appended, SessionStore, StoreError, Turn},
    telemetry::metrics::RUNS_ACTIVE,
};

mod answer;

/// The most messages that wait behind a running answer, commits in flight included.
const MAX_WAITING: usize = 16;
/// What every session needs from outside.
#[derive(Debug)]
pub struct Deps {
    /// Where messages survive.
    pub store: Arc<dyn SessionStore>,
    /// Generates answers.
    pub runner: Arc<Runner>,
    /// Messages of the conversation given to the model.
    pub history_messages: usize,
    /// The time of all sessions.
    pub clock: Clock,
    /// Cancelled when the gateway takes no more messages.
    pub draining: CancellationToken,
    /// Cancelled when running answers have to end now, as interrupted.
    pub interrupt: CancellationToken,
    /// Holds a token for every session that has something to finish.
    pub busy: TaskTracker,
    /// `tokens_delivered_total`, looked up once and not for every token.
    pub tokens: Counter,
}

pub(super) fn run(
    shared: Arc<Shared>,
    deps: Arc<Deps>,
    commands: mpsc::Receiver<Command>,
) -> impl Future<Output = ()> + Send + use<> {
    let actor = Actor {
        shared,
        deps,
        accepting: FuturesOrdered::new(),
        accepting_turns: Vec::new(),
        queue: VecDeque::new(),
        current: Current::Idle,
        busy: None,
    };
    actor.run(commands)
}

struct Actor {
    shared: Arc<Shared>,
    deps: Arc<Deps>,
    /// Looked up or being committed, in the order of arrival.
    accepting: FuturesOrdered<BoxFuture<'static, Accepting>>,
    /// What `accepting` will commit; whether it is to be stopped as soon as it begins.
    accepting_turns: Vec<WaitingTurn>,
    queue: VecDeque<WaitingTurn>,
    current: Current,
    busy: Option<TaskTrackerToken>,
}

/// A turn that is not being answered yet.
struct WaitingTurn {
    question: Arc<Message>,
    answer: MessageId,
    run: RunId,
    /// When it was handed in.
    since: Instant,
    /// Somebody stopped it before it began.
    stopped: bool,
}

/// A step of accepting a message that came back from the store.
enum Accepting {
    /// A message would be refused, but may be a repetition of one that the transcript in memory does not reach.
    LookedUp { text: String, refusal: SendError, reply: Reply, found: Result<Option<Message>, StoreError> },
    /// The commit is over.
    Committed { turn: Box<Turn>, mode: SendMode, reply: Reply, result: Result<Appended, StoreError> },
}

type Reply = oneshot::Sender<Result<Receipt, SendError>>;

enum Happened {
    Command(Option<Command>),
    Accepted(Accepting),
    Run(Option<RunEvent>),
    CheckpointDue,
    Checkpointed(Result<(), StoreError>),
    Finished(Result<(), StoreError>),
    Interrupted,
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut open = true;
        let deps = self.deps.clone();
        let mut interrupted = pin!(deps.interrupt.cancelled()); // Once, and not anew for every token.
        while open || self.is_busy() {
            // Commands first: a model that always has text ready must not starve a stop.
            let happened = tokio::select! {
                biased;
                command = commands.next(), if open => Happened::Command(command),
                Some(accepting) = self.accepting.next(), if !self.accepting.is_empty() => Happened::Accepted(accepting),
                () = &mut interrupted, if matches!(self.current, Current::Running(_)) => Happened::Interrupted,
                happened = self.current.happened() => happened,
            };
            match happened {
                Happened::Command(None) => {
                    open = false;
                    if self.shared.closed.get() == Some(&Closed::Deleted) {
                        self.abandon();
                    }
                }
                Happened::Command(Some(Command::Send(message, reply))) => self.on_send(*message, reply),
                Happened::Command(Some(Command::Stop(target, reply))) => {
                    let _gone_asker_does_not_matter = reply.send(self.on_stop(&target));
                }
                Happened::Accepted(accepting) => self.on_accepted(accepting),
                Happened::Run(event) => self.on_run_event(event),
                Happened::CheckpointDue => self.checkpoint(),
                Happened::Checkpointed(result) => self.on_checkpointed(&result),
                Happened::Finished(result) => self.on_finished(result),
                Happened::Interrupted => {
                    self.end_run(|_| Outcome { status: Status::Interrupted, usage: None, error: None });
                }
            }
            self.note_busy();
        }
    }

    /// A repetition is answered first, whatever else would speak against the message.
    fn on_send(&mut self, message: NewMessage, reply: Reply) {
        let (known, whole) = {
            let log = self.shared.log.lock();
            (message.id.as_ref().and_then(|id| log.transcript().message(id).cloned()), log.transcript().is_whole())
        };
        if let Some(known) = known {
            let _gone_asker_does_not_matter = reply.send(self.repeated(&message.text, &known));
            return;
        }
        // While its twin is being committed: the store keeps the order of writes, so it will know the answer.
        let has_twin = self.accepting_turns.iter().any(|turn| Some(&turn.question.id) == message.id.as_ref());
        match (self.refusal(message.mode), &message.id) {
            (None, _) => self.commit(message, reply),
            (Some(_), _) if has_twin => self.commit(message, reply),
            (Some(refusal), Some(id)) if !whole => {
                let (store, session, id) = (self.deps.store.clone(), self.shared.id.clone(), id.clone());
                let text = message.text;
                let look_up = async move {
                    let found = store.message(&session, &id).await;
                    Accepting::LookedUp { text, refusal, reply, found }
                };
                self.accepting.push_back(look_up.boxed());
            }
            (Some(refusal), _) => {
                let _gone_asker_does_not_matter = reply.send(Err(refusal));
            }
        }
    }

    /// Why a new message may not come in now.
    fn refusal(&self, mode: SendMode) -> Option<SendError> {
        let occupied = !matches!(self.current, Current::Idle) || self.waiting() > 0;
        match mode {
            _ if self.deps.draining.is_cancelled() => Some(SendError::Draining),
            SendMode::Reject if occupied => Some(SendError::Busy),
            // What a replacement stops still has to be committed, one after the other: the bound holds for both.
            SendMode::Queue | SendMode::Replace if self.waiting() >= MAX_WAITING => Some(SendError::QueueFull),
            _ => None,
        }
    }

    fn commit(&mut self, message: NewMessage, reply: Reply) {
        let NewMessage { id, text, mode } = message;
        let turn = new_turn(id.unwrap_or_else(MessageId::random), text);
        self.accepting_turns.push(WaitingTurn {
            question: Arc::new(turn.question.clone()),
            answer: turn.answer.id.clone(),
            run: turn.run(),
            since: Instant::now(),
            stopped: false,
        });
        let (store, session) = (self.deps.store.clone(), self.shared.id.clone());
        self.accepting.push_back(
            async move {
                let result = store.append_turn(&session, turn.clone()).await;
                Accepting::Committed { turn: Box::new(turn), mode, reply, result }
            }
            .boxed(),
        );
    }

    fn on_accepted(&mut self, accepting: Accepting) {
        match accepting {
            Accepting::LookedUp { text, refusal, reply, found } => {
                let answer = match found {
                    Ok(None) => Err(refusal),
                    Ok(Some(known)) => self.repeated(&text, &known),
                    Err(error) => Err(self.storage_failed("look-up", &error)),
                };
                let _gone_asker_does_not_matter = reply.send(answer);
            }
            Accepting::Committed { turn, mode, reply, result } => {
                let Some(at) = self.accepting_turns.iter().position(|t| t.answer == turn.answer.id) else { return };
                let waiting = self.accepting_turns.remove(at);
                let answer = match result {
                    Ok(Appended::Stored) => Ok(self.on_committed(*turn, waiting, mode)),
                    Ok(Appended::Exists(known)) => self.repeated(&turn.question.text, &known),
                    Err(error) => Err(self.storage_failed("message", &error)),
                };
                let _gone_asker_does_not_matter = reply.send(answer);
            }
        }
    }

    /// The message is durable: now it exists for everybody.
    fn on_committed(&mut self, turn: Turn, waiting: WaitingTurn, mode: SendMode) -> Receipt {
        let (message, run) = (waiting.question.id.clone(), waiting.run.clone());
        let now = self.deps.clock.now();
        self.shared.log.lock().append_turn(waiting.question.clone(), Arc::new(turn.answer), now);
        if mode == SendMode::Replace {
            for earlier in &mut self.queue {
                earlier.stopped = true;
            }
            self.stop_current();
        }
        self.queue.push_back(waiting);
        // A replacement waits for a commit only, not for another answer.
        let queued = mode != SendMode::Replace && !matches!(self.current, Current::Idle);
        self.start_next();
        self.shared.wake.notify_waiters();
        Receipt { message, run: Some(run), duplicate: false, queued }
    }

    /// The answer to a message whose id is known.
    fn repeated(&self, text: &str, known: &Message) -> Result<Receipt, SendError> {
        if known.role != Role::User || known.text != text {
            return Err(SendError::IdempotencyConflict);
        }
        let queued = self.queue.iter().any(|turn| turn.question.id == known.id);
        Ok(Receipt { message: known.id.clone(), run: known.run.clone(), duplicate: true, queued })
    }

    fn storage_failed(&self, what: &str, error: &StoreError) -> SendError {
        match error {
            StoreError::NoSession => SendError::Gone,
            StoreError::Unavailable(_) => {
                error!(session = %self.shared.id, %error, what, "the store refused");
                SendError::StorageUnavailable
            }
        }
    }

    fn on_stop(&mut self, target: &StopTarget) -> Result<RunId, RunNotActive> {
        let wanted = |turn: &WaitingTurn| match target {
            StopTarget::Active => true,
            StopTarget::Run(run) => turn.run == *run,
            StopTarget::For(message) => turn.question.id == *message,
        };
        if let Current::Running(running) = &self.current
            && wanted(&running.turn)
        {
            let run = running.turn.run.clone();
            self.stop_current();
            return Ok(run);
        }
        if let Current::Storing(storing) = &self.current
            && wanted(&storing.turn)
        {
            return Err(RunNotActive); // It is over; a second click must not stop what comes next.
        }
        let mut waiting = self.queue.iter_mut().chain(&mut self.accepting_turns);
        let turn = waiting.find(|turn| !turn.stopped && wanted(turn)).ok_or(RunNotActive)?;
        turn.stopped = true;
        Ok(turn.run.clone())
    }

    /// The session was deleted: nothing of it is wanted any more.
    fn abandon(&mut self) {
        for turn in self.queue.iter_mut().chain(&mut self.accepting_turns) {
            turn.stopped = true;
        }
        self.stop_current();
    }

    fn waiting(&self) -> usize {
        self.queue.len() + self.accepting_turns.len()
    }

    fn is_busy(&self) -> bool {
        !matches!(self.current, Current::Idle) || !self.accepting.is_empty() || !self.queue.is_empty()
    }

    /// Tells the hub, and a drain, whether there is something to finish.
    fn note_busy(&mut self) {
        let busy = self.is_busy();
        if busy != self.busy.is_some() {
            self.busy = busy.then(|| self.deps.busy.token());
            self.shared.busy.store(busy, Ordering::Release);
            if !busy && self.deps.draining.is_cancelled() {
                self.shared.close(Closed::Shutdown); // Who watched until the end can go elsewhere now.
            }
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // After a panic the gauge would count this run for ever.
        if !matches!(self.current, Current::Idle) {
            metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
        }
    }
}

impl Turn {
    fn run(&self) -> RunId {
        self.answer.run.clone().unwrap_or_else(RunId::random)
    }
}

fn new_turn(question: MessageId, text: String) -> Turn {
    let run = RunId::random();
    let created_at = Timestamp::now();
    let blank = |id, role, text, status| Message {
        id,
        role,
        text,
        status,
        run: Some(run.clone()),
        model: None,
        citations: Vec::new(),
        sources: Vec::new(),
        created_at,
    };
    Turn {
        question: blank(question, Role::User, text, Status::Complete),
        answer: blank(MessageId::random(), Role::Assistant, String::new(), Status::Pending),
    }
}
