//! The sessions in memory: get or start one, let idle ones go, bring all to an end.
//!
//! Owns the map, and nothing of a session. A guard of the map is never held across an await: entries are cells, and
//! whoever comes first loads, outside of the guard, while the others wait for the cell. Every entry has one of a
//! bounded number of places (`room.rs`). `start.rs` puts a session into memory, and `overview.rs` tells of all of them;
//! `tend.rs` is what goes on meanwhile, and `checkpoints.rs` that of it which saves running answers. `elsewhere.rs` shows those of
//! other gateways. Uses `cluster`, `session`, `store`, `limits`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::task::TaskTracker;

use crate::{
    chat::{MessageId, Owner, SessionId, Timestamp, Title},
    cluster::Cluster,
    limits::{Capacity, Seat},
    run::Runner,
    session::{Clock, Closed, Deps, LOOK_UPS, SessionHandle, log::RETENTION},
    store::{MessagePage, Scope, SessionRecord, SessionStore, StoreError},
    telemetry::metrics::{RATE_LIMITED, TOKENS_DELIVERED},
};

mod ask;
mod checkpoints;
mod elsewhere;
mod overview;
mod room;
mod start;
mod tend;

pub use ask::{Ask, NotAsked};
pub use overview::Counts;
pub use tend::INTERRUPT_GRACE;

/// So many ask the store again at a time whether they may have a session that another gateway had.
const RETRIES: usize = 8;

/// How sessions are kept.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Without viewers and runs, in memory.
    pub idle: Duration,
    /// Unused, in the store.
    pub ttl: Duration,
    /// How long an answer goes on without a viewer; `None`: to its end.
    pub abandon: Option<Duration>,
    /// Messages given to the model.
    pub history_messages: usize,
    /// The most sessions in memory; 0 = no limit.
    pub sessions: usize,
}

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// What the store says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are as many sessions in memory as there may be, and all of them are in use.
    #[error("too many sessions are in use")]
    Full,
}

type Sessions = Arc<DashMap<SessionId, Arc<Slot>>>;

/// A session in memory, or on its way there.
#[derive(Debug)]
struct Slot {
    session: OnceCell<SessionHandle>,
    _place: Seat,
}

/// A hold on a slot while it is to be filled. One that stays empty goes with the last who hoped for it, whatever became
/// of them.
struct Filling<'a> {
    sessions: &'a Sessions,
    id: &'a SessionId,
    slot: Arc<Slot>,
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        if !self.slot.session.initialized() {
            // Ours and the map's: nobody else can take it while the map's entry is locked.
            let is_last = |slot: &Arc<Slot>| {
                Arc::ptr_eq(slot, &self.slot) && Arc::strong_count(slot) == 2 && !slot.session.initialized()
            };
            self.sessions.remove_if(self.id, |_, slot| is_last(slot));
        }
    }
}

/// The sessions in memory.
#[derive(Debug)]
pub struct Hub {
    sessions: Sessions,
    deps: Arc<Deps>,
    policy: Policy,
    places: Arc<Capacity>,
    /// The way to other gateways, where there is one.
    cluster: Option<Arc<Cluster>>,
    /// Turns of those who try again to have a session that another gateway had.
    retries: Semaphore,
    /// When it was told last that all places are taken; 0: never.
    told: AtomicU64,
    tasks: TaskTracker,
}

impl Hub {
    /// An empty hub.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, runner: Arc<Runner>, policy: Policy) -> Self {
        let deps = Arc::new(Deps {
            store,
            runner,
            history_messages: policy.history_messages,
            clock: Clock::start(),
            draining: AtomicBool::new(false),
            interrupting: AtomicBool::new(false),
            live: Arc::default(),
            lists: Arc::default(),
            look_ups: Semaphore::new(LOOK_UPS),
            tokens: metrics::counter!(TOKENS_DELIVERED),
        });
        let (sessions, places) = (Sessions::default(), Arc::new(Capacity::new(policy.sessions)));
        let (told, tasks) = (AtomicU64::new(0), TaskTracker::new());
        let retries = Semaphore::new(RETRIES);
        Self { sessions, deps, policy, places, cluster: None, retries, told, tasks }
    }

    /// One that shows sessions of other gateways, too.
    #[must_use]
    pub fn with_cluster(self, cluster: Arc<Cluster>) -> Self {
        Self { cluster: Some(cluster), ..self }
    }

    /// From now on at most so many sessions are in memory; 0 = no limit.
    pub fn set_most_sessions(&self, most: usize) {
        self.places.set_most(most);
    }

    /// The store behind the sessions.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        &self.deps.store
    }

    /// Makes a session for `owner`; a temporary one neither knows nor leaves any memories.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn create(
        &self,
        assistant: &str,
        owner: Option<&Owner>,
        metadata: Option<serde_json::Value>,
        is_temporary: bool,
    ) -> Result<SessionRecord, StoreError> {
        let record = SessionRecord { metadata, is_temporary, ..new_record(SessionId::random(), assistant, owner) };
        self.deps.store.create_session(record.clone()).await?;
        Ok(record)
    }

    /// Opens a session for `owner` that nobody promised to anybody: it is in memory only until its first message, which
    /// stores it, and is forgotten when it leaves memory before.
    ///
    /// # Errors
    /// [`HubError::Full`].
    pub fn open(&self, assistant: &str, owner: Option<&Owner>, is_temporary: bool) -> Result<SessionHandle, HubError> {
        let place = self.place()?;
        let record = SessionRecord { is_temporary, ..new_record(SessionId::random(), assistant, owner) };
        let id = record.id.clone();
        let handle = self.start(record, None, MessagePage::default());
        let slot = Slot { session: OnceCell::new_with(Some(handle.clone())), _place: place };
        self.sessions.insert(id, Arc::new(slot));
        handle.note_unused();
        if self.deps.draining.load(Ordering::SeqCst) {
            handle.close(Closed::Shutdown); // The drain may have looked at all sessions already.
        }
        Ok(handle)
    }

    /// When an unused session is deleted.
    #[must_use]
    pub fn expires_at(&self, record: &SessionRecord) -> Timestamp {
        record.updated_at.plus_seconds(self.policy.ttl.as_secs())
    }

    /// What is known of a session of `owner`. Somebody else's is answered as none is.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when there is none, or what the store says.
    pub async fn record(&self, id: &SessionId, owner: Option<&Owner>) -> Result<SessionRecord, StoreError> {
        let found = match self.in_memory(id).and_then(|handle| handle.unsaved()) {
            Some(unsaved) if self.deps.store.node().is_none() => Some(unsaved),
            unsaved => self.deps.store.session(id).await?.or(unsaved),
        };
        found.filter(|record| record.owner.as_ref() == owner).ok_or(StoreError::NoSession)
    }

    /// What is known of a session of `owner`, and `limit` of its messages: the newest that are older than `before`.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn conversation(
        &self,
        id: &SessionId,
        owner: Option<&Owner>,
        (before, limit, scope): (Option<&MessageId>, usize, Scope),
    ) -> Result<(SessionRecord, MessagePage), StoreError> {
        let record = self.record(id, owner).await?;
        match self.deps.store.messages(id, before, limit, scope).await {
            // It is not stored before its first message.
            Err(StoreError::NoSession) if record.message_count == 0 => Ok((record, MessagePage::default())),
            found => Ok((record, found?)),
        }
    }

    /// Calls a session of `owner` something else, and says what is known of it then. One in which nothing was said yet is
    /// not stored, and has no title to be changed.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn rename(
        &self,
        id: &SessionId,
        owner: Option<&Owner>,
        title: Title,
    ) -> Result<SessionRecord, StoreError> {
        let record = self.record(id, owner).await?;
        let is_there = self.deps.store.rename_session(id, title.clone()).await?;
        if is_there { Ok(SessionRecord { title: Some(title), ..record }) } else { Err(StoreError::NoSession) }
    }

    /// A session of `owner`, from memory or from the store. Somebody else's is answered as none is, and is not loaded.
    ///
    /// # Errors
    /// [`HubError`]; [`StoreError::NoSession`] when there is none.
    pub async fn get_own(&self, id: &SessionId, owner: Option<&Owner>) -> Result<SessionHandle, HubError> {
        match self.in_memory(id).map(|handle| handle.owner() == owner) {
            Some(true) => {}
            Some(false) => return Err(StoreError::NoSession.into()),
            None => drop(self.record(id, owner).await?),
        }
        self.get(id).await
    }

    /// The session, from memory or from the store, whoever asks.
    ///
    /// # Errors
    /// [`HubError`]; [`StoreError::NoSession`] when there is none.
    pub async fn get(&self, id: &SessionId) -> Result<SessionHandle, HubError> {
        self.fill(id, self.bring(id)).await
    }

    /// The session, when it is this gateway's or becomes that now; never as it is shown of another gateway.
    pub async fn get_here(&self, id: &SessionId) -> Option<SessionHandle> {
        let session = match self.in_memory(id) {
            Some(session) => session,
            None if self.deps.draining.load(Ordering::SeqCst) => return None,
            None => self.fill(id, self.load(id)).await.ok()?,
        };
        (!session.is_mirror() && !session.is_closed()).then_some(session)
    }

    /// The session of `owner` with this id. When there is none, one is opened as by [`open`](Self::open): who asks twice
    /// with one id gets one session.
    ///
    /// # Errors
    /// [`HubError`]; [`StoreError::NoSession`] when it is somebody else's.
    pub async fn get_or_open(
        &self,
        id: &SessionId,
        assistant: &str,
        owner: Option<&Owner>,
    ) -> Result<SessionHandle, HubError> {
        let load = async {
            match self.bring(id).await {
                Err(StoreError::NoSession) => {
                    let record = new_record(id.clone(), assistant, owner);
                    Ok(self.start(record, None, MessagePage::default()))
                }
                loaded => loaded,
            }
        };
        let handle = self.fill(id, load).await?;
        if handle.owner() == owner { Ok(handle) } else { Err(StoreError::NoSession.into()) }
    }

    /// The session in memory, where `load` brings it when it is not there.
    async fn fill(
        &self,
        id: &SessionId,
        load: impl Future<Output = Result<SessionHandle, StoreError>>,
    ) -> Result<SessionHandle, HubError> {
        if !self.deps.store.lease().is_certain {
            let reason = "nobody knows whether other gateways have taken the sessions that are in memory here";
            return Err(StoreError::Unavailable(reason.to_owned()).into());
        }
        self.forget_outdated(id).await?;
        let filling = Filling { sessions: &self.sessions, id, slot: self.slot(id)? };
        let slot = &filling.slot;
        let handle = slot.session.get_or_try_init(|| load).await.cloned()?;
        self.until_current(&handle).await?;
        if handle.is_mirror() && handle.is_closed() {
            // It ended before it was in its slot, where its actor would have found it: whoever asks again gets another.
            self.sessions.remove_if(id, |_, entry| Arc::ptr_eq(entry, slot));
            return Ok(handle);
        }
        // An entry is not let go while we hold its slot: it was deleted, or all were, while we loaded.
        if !self.sessions.get(id).is_some_and(|entry| Arc::ptr_eq(&entry, slot)) {
            let draining = self.deps.draining.load(Ordering::SeqCst);
            handle.close(if draining { Closed::Shutdown } else { Closed::Deleted });
        }
        handle.note_unused();
        Ok(handle)
    }

    /// Ends a session that was opened here and never stored, when it was opened and stored at another gateway as well:
    /// that one is the session.
    async fn forget_outdated(&self, id: &SessionId) -> Result<(), StoreError> {
        let Some(handle) = self.in_memory(id).filter(|handle| handle.unsaved().is_some()) else { return Ok(()) };
        // What is being committed here is here, or finds out by itself.
        if self.deps.store.node().is_some()
            && self.deps.store.session(id).await?.is_some()
            && !handle.is_busy()
            && handle.unsaved().is_some()
        {
            let session = handle.downgrade();
            self.sessions.remove_if(id, |_, slot| slot.session.get().is_some_and(|handle| handle.is(&session)));
            handle.close(Closed::Moved);
        }
        Ok(())
    }

    fn in_memory(&self, id: &SessionId) -> Option<SessionHandle> {
        self.sessions.get(id).and_then(|slot| slot.session.get().cloned())
    }

    fn slot(&self, id: &SessionId) -> Result<Arc<Slot>, HubError> {
        if let Some(slot) = self.sessions.get(id) {
            return Ok(slot.clone());
        }
        // Before the entry: to make room may take others out.
        let place = self.place()?;
        let new = || Arc::new(Slot { session: OnceCell::new(), _place: place });
        Ok(self.sessions.entry(id.clone()).or_insert_with(new).clone())
    }

    /// For how long after the last socket left a cursor is good: until the log forgets, or the session leaves memory.
    #[must_use]
    pub fn resume_ttl(&self) -> Duration {
        Duration::from_micros(RETENTION).min(self.policy.idle)
    }

    /// Deletes a session, and tells those who watch it; false when there was none.
    ///
    /// # Errors
    /// When the store could not delete it; then nothing has changed.
    pub async fn delete(self: &Arc<Self>, id: &SessionId) -> Result<bool, StoreError> {
        let (hub, id) = (self.clone(), id.clone());
        // On a task: who asked may leave in between, and the deleted session must not stay in memory.
        let deleting = self.tasks.spawn(async move {
            if hub.cluster.is_some() {
                // Whoever has it, and shows it to others, is to know.
                let _none_is_told_below = hub.get(&id).await;
            }
            // In memory the actor does it, so that no message can come in between.
            let deleted = match hub.in_memory(&id) {
                Some(session) => session.delete().await,
                None => None,
            };
            let existed = match deleted {
                Some(deleted) => deleted?,
                None => hub.deps.store.delete_session(&id).await?,
            };
            hub.forget(&id, Closed::Deleted);
            if let Some(cluster) = &hub.cluster {
                cluster.discard(&id).await;
            }
            Ok(existed)
        });
        deleting.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Has all viewers look at what they may, after something was taken back.
    pub fn wake(&self) {
        self.handles().iter().for_each(SessionHandle::wake);
    }

    /// The same for what one principal has: nobody else can be concerned.
    pub fn wake_own(&self, owner: &Owner) {
        let is_own = |session: &&SessionHandle| session.owner() == Some(owner);
        let own = self.sessions.iter().filter_map(|entry| entry.value().session.get().filter(is_own).cloned());
        // Outside of the map's guards.
        own.collect::<Vec<_>>().iter().for_each(SessionHandle::wake);
    }

    /// How long there is this hub, and with it the gateway.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_micros(self.deps.clock.now())
    }

    /// How many sessions are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The sessions in memory, outside of the map's guards.
    fn handles(&self) -> Vec<SessionHandle> {
        self.sessions.iter().filter_map(|entry| entry.value().session.get().cloned()).collect()
    }

    fn forget(&self, id: &SessionId, cause: Closed) {
        if let Some((_, slot)) = self.sessions.remove(id)
            && let Some(handle) = slot.session.get()
        {
            handle.close(cause);
        }
    }
}

fn new_record(id: SessionId, assistant: &str, owner: Option<&Owner>) -> SessionRecord {
    let now = Timestamp::now();
    SessionRecord {
        id,
        assistant: assistant.to_owned(),
        metadata: None,
        created_at: now,
        updated_at: now,
        message_count: 0,
        owner: owner.cloned(),
        is_temporary: false,
        title: None,
    }
}
