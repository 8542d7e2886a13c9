//! A session as others have it: every wish becomes a command to its actor. Uses `chat`, `store`'s record and its
//! neighbours.

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
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    actor::{self, Deps},
    command::{Closed, Command, NewMessage, Receipt, Redo, RunNotActive, SendError, Stop, StopTarget},
    copies::{Follower, Mirror, Wishes},
    log::{Attachment, Log, There},
    report::{self, Activity, SessionReport},
    shared::{Place, Shared, Underway},
    viewer::Viewer,
    wakers::Wakers,
};
use crate::{
    chat::{Decision, Feedback, MessageId, Owner, RunId, SessionId},
    limits::Visitor,
    store::{Fence, SessionRecord, StoreError},
};

/// Commands waiting for a session's actor; senders wait beyond it, each with one of its own. A channel of tokio has room
/// for 32 from the beginning, which were 1.3 KB of every idle session.
const COMMANDS: usize = 8;
/// Within what time those come back who watch a gateway end that is to start again.
pub const BACK_WITHIN: Duration = Duration::from_secs(10);
/// A copy that is current has caught up with a reader within that, or the reader's cursor is none; and between two looks.
const CATCH_UP: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);
/// How long a wish waits until it is known that a session that moves is elsewhere, and between two looks.
const MOVED: Duration = Duration::from_secs(3);

/// A session in memory. Cheap to clone; the session stays in memory while a clone beyond the hub's exists.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Underway>,
}

impl SessionHandle {
    /// The session `record` over its `log`, and the future that drives it; the caller spawns that and watches its end.
    /// It was taken with this fence; with none it is stored with the first message.
    pub fn new(
        record: SessionRecord,
        taken: Option<Fence>,
        log: Log,
        deps: Arc<Deps>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let here = Place::Here(taken.unwrap_or(Fence::FIRST), deps.clock.now());
        let (handle, receiver) = Self::over(record, taken.is_none(), (log, here), &deps);
        handle.shared.note_aging(); // What a crash interrupted is told once more.
        let actor = actor::run(handle.shared.clone(), deps, receiver);
        (handle, actor)
    }

    /// The session `record` of another gateway, of which nothing is known here yet, and what is wanted of it.
    pub(crate) fn mirror(record: SessionRecord, deps: &Arc<Deps>) -> (Self, Mirror, Wishes) {
        let (empty, elsewhere) = (Log::empty_copy(deps.window()), Place::Elsewhere { is_current: true });
        let (handle, receiver) = Self::over(record, false, (empty, elsewhere), deps);
        let (mirror, wishes) = Mirror::of(&handle.shared, receiver);
        (handle, mirror, wishes)
    }

    fn over(
        record: SessionRecord,
        is_unsaved: bool,
        (log, place): (Log, Place),
        deps: &Arc<Deps>,
    ) -> (Self, mpsc::Receiver<Underway>) {
        let clock = deps.clock;
        let shared = Arc::new(Shared {
            id: record.id.clone(),
            owner: record.owner.clone(),
            assistant: record.assistant.clone(),
            is_temporary: record.is_temporary,
            place: Mutex::new(place),
            unsaved: Mutex::new(is_unsaved.then(|| Box::new(record))),
            log: Mutex::new(log),
            wakers: Wakers::default(),
            goes_away: if deps.draining.load(Ordering::SeqCst) { BACK_WITHIN.into() } else { OnceLock::new() },
            busy: AtomicBool::new(false),
            touched: AtomicU64::new(clock.now()),
            viewers: AtomicUsize::new(0),
            typing: AtomicUsize::new(0),
            viewers_elsewhere: AtomicUsize::new(0),
            typing_elsewhere: AtomicUsize::new(0),
            pieces: AtomicU64::new(0),
            closed: OnceLock::new(),
            leaves: AtomicBool::new(false),
            clock,
            lists: deps.lists.clone(),
            unused: AtomicBool::new(false),
            aging: AtomicBool::new(false),
        });
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { shared, commands }, receiver)
    }

    /// Whether it is over for those who watch it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get().is_some()
    }

    /// Whether another gateway has it, and it is only shown here.
    #[must_use]
    pub fn is_mirror(&self) -> bool {
        self.shared.is_mirror()
    }

    /// Whether it is this gateway's, or what is shown of it is current as far as is known.
    #[must_use]
    pub fn is_current(&self) -> bool {
        *self.shared.place.lock() != Place::Elsewhere { is_current: false }
    }

    /// A reader for a copy at another gateway, which carries the cursor `at` and has heard of so many revisions, and where
    /// so many watch.
    pub(crate) fn follow(&self, at: Option<&str>, revision: u64, there: There) -> Follower {
        self.touch();
        Follower::new(self.shared.clone(), at, revision, there)
    }

    /// Hands in the wish to stop a run that came from elsewhere.
    pub(crate) fn wish_to_stop(&self, target: StopTarget) -> Option<oneshot::Receiver<Result<RunId, RunNotActive>>> {
        let stop = self.stop_now(target);
        self.wish(|reply| Command::Stop(Box::new(stop), reply))
    }

    fn stop_now(&self, mut target: StopTarget) -> Stop {
        if self.is_mirror()
            && target == StopTarget::Active
            && let Some(live) = self.shared.log.lock().progress()
        {
            target = StopTarget::Run(live.run); // By the time that it is said there, another one may run.
        }
        Stop { target, came: self.shared.clock.now(), pieces: self.shared.pieces.load(Ordering::Relaxed) }
    }

    /// Hands in a wish that came from elsewhere, at once, so that wishes stay in their order; `None` when the session has
    /// ended.
    pub(crate) fn wish<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<oneshot::Receiver<T>> {
        self.touch();
        let (reply, answer) = oneshot::channel();
        // A sender that was just cloned has a place of its own.
        let handed_in = self.commands.clone().try_send(Underway::to(&self.shared, command(reply)));
        handed_in.is_ok().then_some(answer)
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.shared.id
    }

    /// Wakes all viewers, whether there is something to read or not.
    pub fn wake(&self) {
        self.shared.wakers.wake();
    }

    /// The name of who answers in it.
    #[must_use]
    pub fn assistant(&self) -> &str {
        &self.shared.assistant
    }

    /// To whom it belongs.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.shared.owner.as_ref()
    }

    /// By what this gateway may write to it.
    pub(crate) fn fence(&self) -> Fence {
        self.shared.fence()
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
    /// `id` changes nothing, and is not counted among the messages of `by`: it becomes the id of the new question, or of the new answer when the question stays.
    ///
    /// # Errors
    /// [`SendError`], [`SendError::Busy`] while an answer is being written or waits; nothing was stored then, except
    /// perhaps before [`SendError::Internal`].
    pub async fn redo(&self, id: Option<MessageId>, redo: Redo, by: Visitor) -> Result<Receipt, SendError> {
        self.ask(|reply| Command::Redo(id, Box::new((redo, by)), reply)).await
    }

    /// Goes on with the call that waits, or without it; returns after that is stored. It is counted among the messages of `by`.
    ///
    /// # Errors
    /// As of [`SessionHandle::redo`], and [`SendError::Undecided`].
    pub async fn decide(&self, decision: Decision, by: Visitor) -> Result<Receipt, SendError> {
        let id = decision.answer().map_err(SendError::Undecided)?;
        self.redo(Some(id), Redo::Decide(decision), by).await
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
        let answered = match self.hand_in(command(reply)).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        match answered {
            Some(answer) => answer,
            None => {
                self.has_moved().await;
                Err(self.gone())
            }
        }
    }

    /// Waits until those who watch a session that moves are told, and come back with what they want where it is then: it
    /// need not be refused before.
    async fn has_moved(&self) {
        let until = Instant::now() + MOVED;
        while self.shared.leaves() && !self.is_closed() && Instant::now() < until {
            sleep(LOOK).await;
        }
    }

    /// Stops a run; its `run.done` follows in the log. Returns which one it was.
    ///
    /// # Errors
    /// [`RunNotActive`] when it is over or unknown.
    pub async fn stop(&self, target: StopTarget) -> Result<RunId, RunNotActive> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Stop(Box::new(self.stop_now(target)), reply);
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

    /// Has another gateway go on with it, unless something happens in it.
    pub fn leave(&self) {
        self.tell(Command::Leave);
    }

    /// Hands in a command that nobody waits for. A sender that was just cloned has a place of its own in the channel, so
    /// it only fails when the session has ended.
    fn tell(&self, command: Command) {
        let _ended_already = self.commands.clone().try_send(Underway::to(&self.shared, command));
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
        self.commands.clone().send(Underway::to(&self.shared, command)).await
    }

    /// Waits until what is shown here of another gateway's session has come as far as a reader that holds the cursor `resume`:
    /// they may have read the last of it there a moment ago.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] when nothing is heard from there; they would be shown less than they have seen.
    pub async fn catch_up(&self, resume: Option<&str>) -> Result<(), StoreError> {
        let Some(resume) = resume else { return Ok(()) };
        let until = Instant::now() + CATCH_UP;
        while self.is_mirror() && !self.is_closed() && self.shared.log.lock().is_behind(resume) {
            if !self.is_current() {
                return Err(StoreError::Elsewhere(None));
            }
            if Instant::now() > until {
                break; // There is no such place.
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// A reader of the log that begins behind the cursor `resume`, or at a snapshot.
    #[must_use]
    pub fn attach(&self, resume: Option<&str>) -> (Viewer, Attachment) {
        self.touch();
        Viewer::attach(self.shared.clone(), resume)
    }

    /// Ends the session for everybody who watches it. The first cause stays.
    pub fn close(&self, cause: Closed) {
        self.shared.close(cause);
    }

    /// Tells everybody who watches that the gateway is about to end, and that they should be back within so long.
    pub fn drain(&self, back_within: Duration) {
        let _told_already = self.shared.goes_away.set(back_within);
        self.shared.wakers.wake();
    }

    /// How much goes on in it.
    #[must_use]
    pub fn activity(&self) -> Activity {
        report::activity(&self.shared)
    }

    /// What is to be told of it to whoever looks after all sessions.
    #[must_use]
    pub fn report(&self) -> SessionReport {
        report::report(&self.shared)
    }

    /// How many are said to watch it at other gateways.
    #[cfg(test)]
    pub(crate) fn viewers_elsewhere(&self) -> usize {
        self.shared.viewers_elsewhere.load(Ordering::Acquire)
    }

    /// Whether nobody but the hub and the actor holds the session, and nothing happens in it.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        // The actor of a mirror does not hold it.
        let held = if self.is_mirror() { 1 } else { 2 };
        Arc::strong_count(&self.shared) == held && !self.is_busy()
    }

    /// Whether nobody has used it for so long, nothing happens in it, and all of it is stored.
    pub(crate) fn is_free(&self, unused: Duration) -> bool {
        !self.is_busy() && self.shared.unused() >= unused && self.shared.is_stored()
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
        self.shared.touch();
    }

    fn gone(&self) -> SendError {
        match self.shared.closed.get() {
            Some(Closed::Deleted) => SendError::Gone,
            Some(Closed::Shutdown) => SendError::Draining,
            Some(Closed::Moved) => SendError::Elsewhere,
            None if self.shared.leaves.load(Ordering::Acquire) => SendError::Elsewhere,
            Some(Closed::Failed) | None => SendError::Internal,
        }
    }
}
