//! One conversation: its log, the actor that alone writes to it, and the viewers that read it.
//!
//! [`SessionHandle`]'s methods are the whole API. The actor owns the run and the order of things; the log is shared
//! under a short lock, so that a viewer reads without asking the actor. Uses `run`, `store`, `telemetry`, `chat`;
//! knows no socket and no frame.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_channel::mpsc;
use futures_util::SinkExt;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    chat::{Feedback, MessageId, Owner, RunId, SessionId},
    limits::OverLimit,
    session::{
        log::{Log, Moment},
        wakers::Wakers,
    },
    store::{SessionRecord, StoreError},
};

mod actor;
mod later;
pub mod live;
pub mod log;
pub mod text;
pub mod viewer;
mod wakers;

pub use actor::Deps;
pub use later::Lists;
pub use viewer::Viewer;

/// Commands waiting for a session's actor; senders wait beyond it, each with one of its own. A channel of tokio has room
/// for 32 from the beginning, which were 1.3 KB of every idle session.
const COMMANDS: usize = 8;

/// What to do with a message while an answer is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendMode {
    /// Refuse it.
    #[default]
    Reject,
    /// Answer it afterwards.
    Queue,
    /// Stop the answer, and all that wait, and answer this.
    Replace,
}

/// A user's message on its way in.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The client's id for it, by which a repetition is known; one is made when there is none.
    pub id: Option<MessageId>,
    /// The text; the caller has checked its bounds.
    pub text: String,
    /// What to do when an answer is being written.
    pub mode: SendMode,
}

/// A conversation that is to go on another way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redo {
    /// Answer a question anew.
    Regenerate {
        /// The question, or its answer; the newest answer when there is none.
        at: Option<MessageId>,
    },
    /// Put another question in the place of one, and answer that.
    Edit {
        /// The question to replace.
        at: MessageId,
        /// The text of the new one; the caller has checked its bounds.
        text: String,
    },
}

/// What became of a message. Given only after it is durably stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the question that is answered.
    pub message: MessageId,
    /// The run that answers it.
    pub run: Option<RunId>,
    /// Whether it had been accepted before; then nothing was stored and nothing runs twice.
    pub duplicate: bool,
    /// Whether its run waits for another one.
    pub queued: bool,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// An answer is being written, and the mode was [`SendMode::Reject`].
    #[error("an answer is being written")]
    Busy,
    /// Too many messages wait already.
    #[error("too many messages are waiting")]
    QueueFull,
    /// The gateway's limits allow no further run now.
    #[error(transparent)]
    Limit(OverLimit),
    /// The id belongs to another message of this session.
    #[error("this id belongs to another message")]
    IdempotencyConflict,
    /// There is no such message in the conversation; it may have been replaced.
    #[error("there is no such message in the conversation")]
    NotFound,
    /// Only what a user said can be edited.
    #[error("`message` is an answer, and only what a user said can be edited")]
    NotAQuestion,
    /// The store did not take it; nothing was changed.
    #[error("the message could not be stored")]
    StorageUnavailable,
    /// The session was deleted.
    #[error("the session is gone")]
    Gone,
    /// The gateway is about to end.
    #[error("the gateway is shutting down")]
    Draining,
    /// The session failed.
    #[error("the session failed")]
    Internal,
}

impl SendError {
    /// The error code that clients see (docs/protocol.md).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            // While it drains, too: the client comes back after the restart and repeats it.
            Self::Busy | Self::Draining => "busy",
            Self::QueueFull => "queue_full",
            Self::Limit(refusal) => refusal.code(),
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::NotFound | Self::Gone => "not_found",
            Self::NotAQuestion => "invalid_field",
            Self::StorageUnavailable => "storage_unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same may be accepted later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::IdempotencyConflict | Self::NotFound | Self::NotAQuestion | Self::Gone)
    }

    /// When, as far as that is known.
    #[must_use]
    pub const fn retry_in(self) -> Option<Duration> {
        if let Self::Limit(refusal) = self { refusal.retry_in() } else { None }
    }
}

/// Which run to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopTarget {
    /// The one that is being written.
    Active,
    /// This one, running or waiting.
    Run(RunId),
    /// The one that answers this message.
    For(MessageId),
}

/// The run is over, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such run to stop")]
pub struct RunNotActive;

/// Why a session ends for those who watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It was deleted.
    Deleted,
    /// The gateway ends.
    Shutdown,
    /// It failed; the stored part is intact and a new attempt finds it.
    Failed,
}

pub(crate) enum Command {
    Send(Box<NewMessage>, oneshot::Sender<Result<Receipt, SendError>>),
    Redo(Option<MessageId>, Box<Redo>, oneshot::Sender<Result<Receipt, SendError>>),
    Rate(MessageId, Box<Feedback>, oneshot::Sender<Result<(), SendError>>),
    Stop(Box<Stop>, oneshot::Sender<Result<RunId, RunNotActive>>),
    Delete(oneshot::Sender<Result<bool, StoreError>>),
    /// Nobody has watched for long: nothing that is answered, or waits for it, is wanted any more.
    Abandon,
    /// The gateway ends: what runs has to end, too.
    Interrupt,
}

/// A command on its way to the actor. It counts as a holder of the session, so that this stays in memory meanwhile.
pub(crate) struct Underway {
    pub(crate) command: Command,
    _session: Arc<Shared>,
}

/// A wish to stop, and where the session was when it came: what is done in between was in vain.
pub(crate) struct Stop {
    pub(crate) target: StopTarget,
    pub(crate) came: Moment,
    pub(crate) pieces: u64,
}

/// What the actor and the viewers of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: SessionId,
    pub(crate) owner: Option<Owner>,
    /// What the store is to have of the session with its first message; none once it has.
    pub(crate) unsaved: Mutex<Option<Box<SessionRecord>>>,
    pub(crate) log: Mutex<Log>,
    /// The viewers, to be woken after the log grew or the session closed.
    pub(crate) wakers: Wakers,
    /// The gateway is about to end.
    pub(crate) draining: AtomicBool,
    /// A run, a waiting message or a commit in flight: the session must stay in memory.
    pub(crate) busy: AtomicBool,
    /// When somebody last used the session.
    pub(crate) touched: AtomicU64,
    /// How many viewers there are, and how many of them type.
    pub(crate) viewers: AtomicUsize,
    pub(crate) typing: AtomicUsize,
    /// How many pieces of text came in all.
    pub(crate) pieces: AtomicU64,
    pub(crate) closed: OnceLock<Closed>,
    pub(crate) clock: Clock,
    /// Where it is noted when nobody uses it any more, and when there is something to forget.
    pub(crate) lists: Arc<Lists>,
    /// Whether it is noted there.
    pub(crate) unused: AtomicBool,
    pub(crate) aging: AtomicBool,
}

/// Measures [`Moment`]s from one fixed start.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn now(self) -> Moment {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A session in memory. Cheap to clone; the session stays in memory while a clone beyond the hub's exists.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Underway>,
}

impl SessionHandle {
    /// The session `record` over its `log`, and the future that drives it; the caller spawns that and watches its end.
    /// What is not `saved` is stored with the first message.
    pub fn new(
        record: SessionRecord,
        saved: bool,
        log: Log,
        deps: Arc<Deps>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let clock = deps.clock;
        let shared = Arc::new(Shared {
            id: record.id.clone(),
            owner: record.owner.clone(),
            unsaved: Mutex::new((!saved).then(|| Box::new(record))),
            log: Mutex::new(log),
            wakers: Wakers::default(),
            draining: AtomicBool::new(deps.draining.load(Ordering::SeqCst)),
            busy: AtomicBool::new(false),
            touched: AtomicU64::new(clock.now()),
            viewers: AtomicUsize::new(0),
            typing: AtomicUsize::new(0),
            pieces: AtomicU64::new(0),
            closed: OnceLock::new(),
            clock,
            lists: deps.lists.clone(),
            unused: AtomicBool::new(false),
            aging: AtomicBool::new(false),
        });
        shared.note_aging(); // What a crash interrupted is told once more.
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let actor = actor::run(shared.clone(), deps, receiver);
        (Self { shared, commands }, actor)
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.shared.id
    }

    /// To whom it belongs.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.shared.owner.as_ref()
    }

    /// What is known of the session while the store does not have it: it has no messages yet.
    #[must_use]
    pub fn unsaved(&self) -> Option<SessionRecord> {
        self.shared.unsaved.lock().as_deref().cloned()
    }

    /// Hands in a message; returns after it is stored, or refused.
    ///
    /// # Errors
    /// [`SendError`]; nothing was stored then, except perhaps before [`SendError::Internal`].
    pub async fn send(&self, message: NewMessage) -> Result<Receipt, SendError> {
        self.ask(|reply| Command::Send(Box::new(message), reply)).await
    }

    /// Lets the conversation go on another way; returns after that is stored, or refused. A repetition with the same
    /// `id` changes nothing: it becomes the id of the new question, or of the new answer when the question stays.
    ///
    /// # Errors
    /// [`SendError`], [`SendError::Busy`] while an answer is being written or waits; nothing was stored then, except
    /// perhaps before [`SendError::Internal`].
    pub async fn redo(&self, id: Option<MessageId>, redo: Redo) -> Result<Receipt, SendError> {
        self.ask(|reply| Command::Redo(id, Box::new(redo), reply)).await
    }

    /// Keeps what the person thinks of a message; returns after that is stored.
    ///
    /// # Errors
    /// [`SendError::NotFound`] when there is no such message, and what speaks against storing.
    pub async fn rate(&self, message: MessageId, feedback: Feedback) -> Result<(), SendError> {
        self.ask(|reply| Command::Rate(message, Box::new(feedback), reply)).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SendError>>) -> Command,
    ) -> Result<T, SendError> {
        self.touch();
        let (reply, answer) = oneshot::channel();
        self.hand_in(command(reply)).await.map_err(|_| self.gone())?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Stops a run; its `run.done` follows in the log. Returns which one it was.
    ///
    /// # Errors
    /// [`RunNotActive`] when it is over or unknown.
    pub async fn stop(&self, target: StopTarget) -> Result<RunId, RunNotActive> {
        let (reply, answer) = oneshot::channel();
        let (came, pieces) = (self.shared.clock.now(), self.shared.pieces.load(Ordering::Relaxed));
        let command = Command::Stop(Box::new(Stop { target, came, pieces }), reply);
        self.hand_in(command).await.map_err(|_| RunNotActive)?;
        answer.await.unwrap_or(Err(RunNotActive))
    }

    /// Stops what is answered and waits for it.
    pub fn abandon(&self) {
        self.tell(Command::Abandon);
    }

    /// Ends a run that goes on, as interrupted.
    pub fn interrupt(&self) {
        self.tell(Command::Interrupt);
    }

    /// Hands in a command that nobody waits for. A sender that was just cloned has a place of its own in the channel, so
    /// it only fails when the session has ended.
    fn tell(&self, command: Command) {
        let underway = Underway { command, _session: self.shared.clone() };
        let _ended_already = self.commands.clone().try_send(underway);
    }

    /// Deletes the session, after what is being committed and before all that comes later; false when the store never had
    /// it, and nobody is to miss it. Those who watch it are told.
    ///
    /// # Errors
    /// When the store could not delete it; then nothing has changed. `None` when the session has failed.
    pub(crate) async fn delete(&self) -> Option<Result<bool, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(Command::Delete(reply)).await.ok()?;
        answer.await.ok()
    }

    async fn hand_in(&self, command: Command) -> Result<(), mpsc::SendError> {
        self.commands.clone().send(Underway { command, _session: self.shared.clone() }).await
    }

    /// A reader of the log that begins behind the cursor `resume`, or at a snapshot.
    #[must_use]
    pub fn attach(&self, resume: Option<&str>) -> (Viewer, log::Attachment) {
        self.touch();
        Viewer::attach(self.shared.clone(), resume)
    }

    /// Ends the session for everybody who watches it. The first cause stays.
    pub fn close(&self, cause: Closed) {
        self.shared.close(cause);
    }

    /// Tells everybody who watches that the gateway is about to end.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.wakers.wake();
    }

    /// Whether nobody but the hub and the actor holds the session, and nothing happens in it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        Arc::strong_count(&self.shared) == 2 && !self.is_busy()
    }

    /// Whether an answer is being written, waits, or is being committed.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.busy.load(Ordering::SeqCst)
    }

    /// Has it looked at when it was unused for long, or there is no room for others. Whoever watches it says so again when
    /// they leave; for all others, whoever takes it from the map does.
    pub(crate) fn note_unused(&self) {
        self.shared.note_unused();
    }

    /// Something that does not keep the session in memory.
    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    /// Whether this is a handle of `shared`, and not of another incarnation.
    pub(crate) fn is(&self, shared: &Weak<Shared>) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.shared), shared.as_ptr())
    }

    fn touch(&self) {
        self.shared.touched.store(self.shared.clock.now(), Ordering::Relaxed);
    }

    fn gone(&self) -> SendError {
        match self.shared.closed.get() {
            Some(Closed::Deleted) => SendError::Gone,
            Some(Closed::Shutdown) => SendError::Draining,
            Some(Closed::Failed) | None => SendError::Internal,
        }
    }
}

impl Shared {
    pub(crate) fn close(&self, cause: Closed) {
        let _first_cause_stays = self.closed.set(cause);
        self.wakers.wake();
    }
}
