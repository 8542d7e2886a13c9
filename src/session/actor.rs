//! The one task that writes to a session: takes messages, commits them, drives the run, ends it.
//!
//! The run is a stream polled here: no second task, no abort handle; dropping it cancels the upstream. Commits are
//! futures polled here too, so that a slow disk delays an ack but neither the tokens nor a `stop`. Order of things:
//! commit, then log, then ack; and at the end of a run: commit, then `run.done`, so that whatever a client was told
//! survives a crash.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{BoxStream, FuturesOrdered},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Sleep, sleep},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tracing::{error, warn};

use crate::{
    chat::{Message, MessageId, Role, RunError, RunId, SessionId, Source, Status, Timestamp, Timing},
    run::{Outcome, RunEvent, RunRequest, Runner, citations},
    session::{
        Clock, Closed, Command, NewMessage, Receipt, RunNotActive, SendError, SendMode, Shared, StopTarget, log::Ending,
    },
    store::{Appended, FinishedAnswer, SessionStore, StoreError, Turn},
    telemetry::metrics::{RUN_TTFT, RUNS, RUNS_ACTIVE, TOKENS_DELIVERED},
};

/// The most messages that wait behind a running answer, commits in flight included.
const MAX_WAITING: usize = 16;
/// How often the text of a running answer is stored.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Pauses before the commit of an answer is tried again.
const COMMIT_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

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

/// What the session is busy with.
enum Current {
    Idle,
    Running(Box<Running>),
    Storing(Box<Storing>),
}

/// A run in progress.
struct Running {
    turn: WaitingTurn,
    events: BoxStream<'static, RunEvent>,
    started: Instant,
    timing: Timing,
    sources: Arc<[Source]>,
    checkpoint: Checkpoint,
    /// Text that no checkpoint has.
    dirty: bool,
}

/// A run that is over, while its answer is being committed.
struct Storing {
    turn: WaitingTurn,
    answer: Arc<Message>,
    ending: Ending,
    committed: BoxFuture<'static, Result<(), StoreError>>,
}

enum Checkpoint {
    Due(Pin<Box<Sleep>>),
    Writing(BoxFuture<'static, Result<(), StoreError>>),
}

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
        while open || self.is_busy() {
            let interrupt = self.deps.interrupt.clone();
            // Commands first: a model that always has text ready must not starve a stop.
            let happened = tokio::select! {
                biased;
                command = commands.recv(), if open => Happened::Command(command),
                Some(accepting) = self.accepting.next(), if !self.accepting.is_empty() => Happened::Accepted(accepting),
                () = interrupt.cancelled(), if matches!(self.current, Current::Running(_)) => Happened::Interrupted,
                happened = self.current.happened() => happened,
            };
            match happened {
                Happened::Command(None) => {
                    open = false;
                    if self.shared.closed.get() == Some(&Closed::Deleted) {
                        self.abandon();
                    }
                }
                Happened::Command(Some(Command::Send(message, reply))) => self.on_send(message, reply),
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
    fn on_send(&mut self, message: Box<NewMessage>, reply: Reply) {
        let (known, whole) = {
            let log = self.shared.log.lock();
            (message.id.as_ref().and_then(|id| log.message(id).cloned()), log.transcript_is_whole())
        };
        if let Some(known) = known {
            let _gone_asker_does_not_matter = reply.send(self.repeated(&message.text, &known));
            return;
        }
        // While its twin is being committed: the store keeps the order of writes, so it will know the answer.
        let has_twin = self.accepting_turns.iter().any(|turn| Some(&turn.question.id) == message.id.as_ref());
        match (self.refusal(message.mode), &message.id) {
            (None, _) => self.commit(*message, reply),
            (Some(_), _) if has_twin => self.commit(*message, reply),
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

    fn stop_current(&mut self) {
        self.end_run(|_| Outcome { status: Status::Stopped, usage: None, error: None });
    }

    /// The session was deleted: nothing of it is wanted any more.
    fn abandon(&mut self) {
        for turn in self.queue.iter_mut().chain(&mut self.accepting_turns) {
            turn.stopped = true;
        }
        self.stop_current();
    }

    /// Begins the next run, when none is in progress.
    fn start_next(&mut self) {
        if !matches!(self.current, Current::Idle) {
            return;
        }
        let Some(turn) = self.queue.pop_front() else { return };
        let model: Arc<str> = self.deps.runner.model_name().into();
        let request = {
            let mut log = self.shared.log.lock();
            let now = self.deps.clock.now();
            log.start_run(turn.run.clone(), turn.answer.clone(), turn.question.id.clone(), model, now);
            let before = log.transcript().rev().skip_while(|m| m.id != turn.question.id).skip(1);
            let mut history: Vec<_> =
                before.filter(|m| !m.text.is_empty()).take(self.deps.history_messages).cloned().collect();
            history.reverse();
            RunRequest { question: turn.question.text.as_str().into(), history }
        };
        metrics::gauge!(RUNS_ACTIVE).increment(1.0);
        let stopped = turn.stopped;
        let queue_ms = millis(turn.since.elapsed());
        self.current = Current::Running(Box::new(Running {
            turn,
            events: self.deps.runner.clone().start(request),
            started: Instant::now(),
            timing: Timing { queue_ms, ..Timing::default() },
            sources: Arc::from([]),
            checkpoint: Checkpoint::Due(Box::pin(sleep(CHECKPOINT_EVERY))),
            dirty: false,
        }));
        if stopped {
            self.stop_current();
        }
    }

    fn on_run_event(&mut self, event: Option<RunEvent>) {
        let Current::Running(running) = &mut self.current else { return };
        let now = self.deps.clock.now();
        match event {
            Some(RunEvent::Phase(phase)) => self.shared.log.lock().set_phase(phase),
            Some(RunEvent::Retrieved { sources, took }) => {
                running.timing.retrieval_ms = millis(took);
                running.sources = sources;
                if !running.sources.is_empty() {
                    self.shared.log.lock().append_sources(running.sources.clone(), now);
                }
            }
            Some(RunEvent::Text(text)) => {
                if running.timing.ttft_ms == 0 {
                    let ttft = running.started.elapsed();
                    running.timing.ttft_ms = millis(ttft).max(1);
                    metrics::histogram!(RUN_TTFT).record(ttft.as_secs_f64());
                }
                running.dirty = true;
                self.shared.log.lock().append_text(&text, now);
                metrics::counter!(TOKENS_DELIVERED).increment(1);
            }
            Some(RunEvent::End(outcome)) => return self.end_run(|_| outcome),
            None => {
                error!(session = %self.shared.id, "a run ended without saying how");
                return self.end_run(|text| Outcome::broken_off(text.is_empty()));
            }
        }
        self.shared.wake.notify_waiters();
    }

    /// Ends the run in progress: cancels what still generates and commits the answer. `run.done` follows the commit.
    fn end_run(&mut self, outcome: impl FnOnce(&str) -> Outcome) {
        let running = match std::mem::replace(&mut self.current, Current::Idle) {
            Current::Running(running) => running,
            over_already => {
                self.current = over_already;
                return;
            }
        };
        let Running { turn, events, started, mut timing, sources, .. } = *running;
        drop(events); // Closes the upstream connection, before anything else takes its time.
        let (text, model) = {
            let log = self.shared.log.lock();
            (log.live_text().unwrap_or_default().to_owned(), self.deps.runner.model_name().to_owned())
        };
        let outcome = outcome(&text);
        timing.total_ms = millis(started.elapsed());
        let created_at = self.shared.log.lock().message(&turn.answer).map_or_else(Timestamp::now, |m| m.created_at);
        let answer = Arc::new(Message {
            id: turn.answer.clone(),
            role: Role::Assistant,
            status: outcome.status,
            run: Some(turn.run.clone()),
            model: Some(model),
            citations: citations::find(&text, sources.len()),
            sources: sources.to_vec(),
            created_at,
            text,
        });
        let ending = Ending { citations: answer.citations.clone(), usage: outcome.usage, timing, error: outcome.error };
        let (store, session) = (self.deps.store.clone(), self.shared.id.clone());
        let finished = finished(&answer, turn.run.clone(), outcome.usage);
        let committed = commit_answer(store, session, finished).boxed();
        self.current = Current::Storing(Box::new(Storing { turn, answer, ending, committed }));
    }

    /// The answer is durable, or will not be: either way everybody hears how it ended.
    fn on_finished(&mut self, result: Result<(), StoreError>) {
        let Current::Storing(storing) = std::mem::replace(&mut self.current, Current::Idle) else { return };
        let Storing { mut answer, mut ending, .. } = *storing;
        if let Err(error @ StoreError::Unavailable(_)) = result {
            error!(session = %self.shared.id, %error, "an answer could not be stored");
            answer = Arc::new(Message { status: Status::Error, ..(*answer).clone() });
            ending.error = Some(RunError {
                code: "storage_unavailable",
                message: "The answer could not be stored.".to_owned(),
                retryable: true,
            });
        }
        let now = self.deps.clock.now();
        metrics::counter!(RUNS, "status" => answer.status.as_str()).increment(1);
        metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
        self.shared.log.lock().finish_run(answer, ending, now);
        self.shared.touched.store(now, Ordering::Relaxed);
        self.start_next();
        self.shared.wake.notify_waiters();
    }

    fn checkpoint(&mut self) {
        let Current::Running(running) = &mut self.current else { return };
        if !running.dirty {
            running.checkpoint = Checkpoint::Due(Box::pin(sleep(CHECKPOINT_EVERY)));
            return;
        }
        running.dirty = false;
        let text = self.shared.log.lock().live_text().unwrap_or_default().to_owned();
        let (store, session, answer) = (self.deps.store.clone(), self.shared.id.clone(), running.turn.answer.clone());
        running.checkpoint =
            Checkpoint::Writing(async move { store.checkpoint(&session, &answer, text).await }.boxed());
    }

    fn on_checkpointed(&mut self, result: &Result<(), StoreError>) {
        let Current::Running(running) = &mut self.current else { return };
        if let Err(StoreError::NoSession) = result {
            return self.stop_current();
        }
        if let Err(error) = result {
            // The answer goes on: its end is stored again, and reported if that fails too.
            warn!(session = %self.shared.id, %error, "a checkpoint was not stored");
            running.dirty = true;
        }
        running.checkpoint = Checkpoint::Due(Box::pin(sleep(CHECKPOINT_EVERY)));
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
        }
    }
}

impl Current {
    async fn happened(&mut self) -> Happened {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Storing(storing) => Happened::Finished((&mut storing.committed).await),
            Self::Running(running) => {
                let Running { events, checkpoint, .. } = &mut **running;
                // The checkpoint is rarely ready; after a model that always is, its turn would never come.
                tokio::select! {
                    biased;
                    happened = checkpoint.happened() => happened,
                    event = events.next() => Happened::Run(event),
                }
            }
        }
    }
}

impl Checkpoint {
    async fn happened(&mut self) -> Happened {
        match self {
            Self::Due(sleep) => {
                sleep.await;
                Happened::CheckpointDue
            }
            Self::Writing(written) => Happened::Checkpointed(written.await),
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

/// Commits an answer. A store that is busy for a moment must not turn a whole answer into an error.
async fn commit_answer(
    store: Arc<dyn SessionStore>,
    session: SessionId,
    answer: FinishedAnswer,
) -> Result<(), StoreError> {
    for pause in COMMIT_PAUSES {
        match store.finish_answer(&session, answer.clone()).await {
            Err(StoreError::Unavailable(reason)) => {
                warn!(session = %session, reason, "an answer was not stored, trying again");
                sleep(pause).await;
            }
            done => return done,
        }
    }
    store.finish_answer(&session, answer).await
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

fn finished(answer: &Message, run: RunId, usage: Option<crate::chat::Usage>) -> FinishedAnswer {
    FinishedAnswer {
        id: answer.id.clone(),
        run,
        text: answer.text.clone(),
        status: answer.status,
        model: answer.model.clone(),
        citations: answer.citations.clone(),
        sources: answer.sources.clone(),
        usage,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
