//! From what is stored, or from nothing, to a session in memory with its actor.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::error;

use super::{Hub, Sessions, Slot};
use crate::{
    chat::{Message, SessionId, Status},
    cluster::{Cluster, Inherited, KEPT},
    session::{Closed, Deps, SessionHandle, Shared, Wishes, inherit, log::Log},
    store::{Fence, FinishedAnswer, MessagePage, Scope, SessionRecord, StoreError},
    telemetry::metrics::{SESSION_PANICS, SESSIONS_ACTIVE},
};

/// So long at the most those who watch a session that moves wait until another gateway can have it.
const FREE_WITHIN: Duration = Duration::from_secs(2);

impl Hub {
    /// A session as it is stored.
    pub(super) async fn load(&self, id: &SessionId) -> Result<SessionHandle, StoreError> {
        let store = &self.deps.store;
        let fence = store.take(id).await?;
        let mut taken = Taken { hub: self, id, fence, is_kept: false };
        let record = store.session(id).await?.ok_or(StoreError::NoSession)?;
        if let Some(log) = self.carried(id, fence).await {
            taken.is_kept = true;
            return Ok(self.start_over(record, Some(fence), log));
        }
        let mut page = store.messages(id, None, self.deps.window(), Scope::Conversation).await?;
        for message in &mut page.messages {
            self.settle(id, fence, message).await?;
        }
        taken.is_kept = true;
        Ok(self.start(record, Some(fence), page))
    }

    /// The log with which a session was left at another gateway, to go on with.
    async fn carried(&self, id: &SessionId, fence: Fence) -> Option<Log> {
        let whole = self.cluster.as_ref()?.carried(id, fence).await?;
        Log::of_whole(whole, self.deps.window(), self.deps.clock.now()).ok()
    }

    /// Starts a session with its newest messages; it was taken with this fence, or is not stored yet.
    pub(super) fn start(&self, record: SessionRecord, taken: Option<Fence>, newest: MessagePage) -> SessionHandle {
        let epoch = uuid::Uuid::new_v4().simple().to_string();
        let now = self.deps.clock.now();
        let log = Log::new(&epoch[..12], newest.messages, newest.more, self.deps.window(), now);
        self.start_over(record, taken, log)
    }

    fn start_over(&self, record: SessionRecord, taken: Option<Fence>, log: Log) -> SessionHandle {
        let (handle, actor) = SessionHandle::new(record, taken, log, self.deps.clone());
        let (end, fence) = (End::of(self, &handle), handle.fence());
        metrics::gauge!(SESSIONS_ACTIVE).increment(1.0);
        // A combinator: an async block would have room for the actor twice.
        self.tasks.spawn(AssertUnwindSafe(actor).catch_unwind().then(move |ended| end.come(fence, ended.is_err())));
        handle
    }

    /// An answer that is pending while no actor writes it was left by a session that failed.
    async fn settle(&self, session: &SessionId, fence: Fence, message: &mut Message) -> Result<(), StoreError> {
        let (Status::Pending, Some(run)) = (message.status, message.run.clone()) else { return Ok(()) };
        *message = message.clone().interrupted();
        let answer = FinishedAnswer::of(message, run, None);
        match self.deps.store.finish_answer(session, fence, answer).await {
            // What is stored can be read all the same; whoever loads the session next tries again.
            Err(StoreError::Unavailable(reason)) => {
                error!(%session, reason, "an interrupted answer could not be marked as such");
                Ok(())
            }
            done => done,
        }
    }

    /// Drives the actor of a session that is shown here, and goes on with the session when that becomes this gateway's. With
    /// the actor goes the entry, and whoever asks again gets another.
    pub(super) fn watch_mirror(
        &self,
        handle: &SessionHandle,
        passing_on: impl Future<Output = Option<Inherited>> + Send + 'static,
    ) {
        let (end, tasks) = (End::of(self, handle), self.tasks.clone());
        self.tasks.spawn(async move {
            match AssertUnwindSafe(passing_on).catch_unwind().await {
                Ok(Some(Inherited { fence, wishes, mut underway })) => {
                    tasks.spawn(async move { while underway.next().await.is_some() {} });
                    end.go_on(fence, wishes, &tasks).await;
                }
                ended => end.come_elsewhere(ended.is_err()),
            }
        });
    }
}

/// A session that was taken, and belongs to nobody here until it has an actor: whoever wanted it may be gone meanwhile.
struct Taken<'a> {
    hub: &'a Hub,
    id: &'a SessionId,
    fence: Fence,
    is_kept: bool,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            drop(self.hub.deps.store.give_up(self.id, self.fence));
        }
    }
}

/// What is left to be done when the actor of a session is over.
struct End {
    id: SessionId,
    /// Does not keep it: a session that nobody else holds can leave memory.
    session: Weak<Shared>,
    sessions: Sessions,
    deps: Arc<Deps>,
    cluster: Option<Arc<Cluster>>,
}

impl End {
    fn of(hub: &Hub, handle: &SessionHandle) -> Self {
        let (id, session) = (handle.id().clone(), handle.downgrade());
        Self { id, session, sessions: hub.sessions.clone(), deps: hub.deps.clone(), cluster: hub.cluster.clone() }
    }

    /// Nothing writes to the session any more, so others may have it. A panic ends this session only: those who watch it
    /// are told, and the next one who asks for it gets it from the store.
    async fn come(self, fence: Fence, failed: bool) {
        metrics::gauge!(SESSIONS_ACTIVE).decrement(1.0);
        if failed {
            self.tell_of_failure(Closed::Failed);
        }
        let Some(left) = self.session.upgrade().filter(|session| session.leaves()) else {
            self.forget();
            drop(self.deps.store.give_up(&self.id, fence));
            return;
        };
        let whole = || left.log.lock().whole(self.deps.clock.now());
        if let Some(cluster) = self.cluster.as_ref().filter(|_| left.is_stored() && left.unused() < KEPT) {
            cluster.carry(&self.id, fence, whole).await;
        }
        // Who is told comes back at once, to any gateway.
        let _free_later_at_the_latest = timeout(FREE_WITHIN, self.deps.store.give_up(&self.id, fence)).await;
        self.forget();
        let draining = self.deps.draining.load(Ordering::SeqCst);
        left.close(if draining { Closed::Shutdown } else { Closed::Moved });
    }

    /// The session is another gateway's.
    fn come_elsewhere(self, failed: bool) {
        if failed {
            self.tell_of_failure(Closed::Moved);
        } else if let Some(shown) = self.session.upgrade() {
            shown.close(Closed::Moved);
        }
        self.forget();
    }

    /// The session was another gateway's, and is this one's.
    async fn go_on(self, fence: Fence, wishes: Wishes, tasks: &TaskTracker) {
        let Some(session) = self.session.upgrade() else {
            self.forget();
            drop(self.deps.store.give_up(&self.id, fence));
            return;
        };
        let actor = inherit(session, fence, wishes, self.deps.clone());
        if let Some(cluster) = self.cluster.clone() {
            let id = self.id.clone();
            tasks.spawn(async move { cluster.discard(&id).await });
        }
        metrics::gauge!(SESSIONS_ACTIVE).increment(1.0);
        let ended = AssertUnwindSafe(actor).catch_unwind().await;
        self.come(fence, ended.is_err()).await;
    }

    fn tell_of_failure(&self, cause: Closed) {
        error!(session = %self.id, "a session failed");
        metrics::counter!(SESSION_PANICS).increment(1);
        if let Some(failed) = self.session.upgrade() {
            failed.close(cause);
        }
    }

    fn forget(&self) {
        let is_it = |slot: &Slot| slot.session.get().is_some_and(|handle| handle.is(&self.session));
        self.sessions.remove_if(&self.id, |_, slot| is_it(slot));
    }
}
