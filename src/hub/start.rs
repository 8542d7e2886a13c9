//! From what is stored, or from nothing, to a session in memory with its actor.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::error;

use super::Hub;
use crate::{
    chat::{Message, SessionId, Status},
    session::{Closed, SessionHandle, log::Log},
    store::{Fence, FinishedAnswer, MessagePage, Scope, SessionRecord, StoreError},
    telemetry::metrics::{SESSION_PANICS, SESSIONS_ACTIVE},
};

impl Hub {
    /// A session as it is stored.
    pub(super) async fn load(&self, id: &SessionId) -> Result<SessionHandle, StoreError> {
        let store = &self.deps.store;
        let fence = store.take(id).await?;
        let record = store.session(id).await?.ok_or(StoreError::NoSession)?;
        let mut page = store.messages(id, None, self.deps.window(), Scope::Conversation).await?;
        for message in &mut page.messages {
            self.settle(id, fence, message).await?;
        }
        Ok(self.start(record, Some(fence), page))
    }

    /// Starts a session with its newest messages; it was taken with this fence, or is not stored yet.
    pub(super) fn start(&self, record: SessionRecord, taken: Option<Fence>, newest: MessagePage) -> SessionHandle {
        let epoch = uuid::Uuid::new_v4().simple().to_string();
        let now = self.deps.clock.now();
        let log = Log::new(&epoch[..12], newest.messages, newest.more, self.deps.window(), now);
        let (handle, actor) = SessionHandle::new(record, taken, log, self.deps.clone());
        self.watch(handle.clone(), actor);
        handle
    }

    /// An answer that is pending while no actor writes it was left by a session that failed.
    async fn settle(&self, session: &SessionId, fence: Fence, message: &mut Message) -> Result<(), StoreError> {
        let (Status::Pending, Some(run)) = (message.status, message.run.clone()) else { return Ok(()) };
        message.status = Status::Interrupted;
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

    /// Drives the actor of a session that is shown here. With it goes the entry, and whoever asks again gets another.
    pub(super) fn watch_mirror(&self, handle: &SessionHandle, actor: impl Future<Output = ()> + Send + 'static) {
        let (sessions, id, session) = (self.sessions.clone(), handle.id().clone(), handle.downgrade());
        self.tasks.spawn(AssertUnwindSafe(actor).catch_unwind().map(move |ended| {
            if ended.is_err() {
                error!(session = %id, "what passes on to another gateway failed");
                metrics::counter!(SESSION_PANICS).increment(1);
            }
            if let Some(shown) = session.upgrade() {
                shown.close(Closed::Moved);
            }
            sessions.remove_if(&id, |_, slot| slot.session.get().is_some_and(|handle| handle.is(&session)));
        }));
    }

    /// Drives a session's actor. A panic ends this session only: those who watch it are told, and the next one who
    /// asks for it gets it from the store. Nothing writes to a session whose actor is over, so others may have it.
    fn watch(&self, handle: SessionHandle, actor: impl Future<Output = ()> + Send + 'static) {
        metrics::gauge!(SESSIONS_ACTIVE).increment(1.0);
        let id = handle.id().clone();
        let (session, fence) = (handle.downgrade(), handle.fence());
        drop(handle); // Only the hub's counts: a session that nobody else holds can leave memory.
        let (sessions, store) = (self.sessions.clone(), self.deps.store.clone());
        // A combinator: an async block would have room for the actor twice.
        self.tasks.spawn(AssertUnwindSafe(actor).catch_unwind().map(move |ended| {
            if ended.is_err() {
                error!(session = %id, "a session failed");
                metrics::counter!(SESSION_PANICS).increment(1);
                if let Some(failed) = session.upgrade() {
                    failed.close(Closed::Failed);
                }
            }
            sessions.remove_if(&id, |_, slot| slot.session.get().is_some_and(|handle| handle.is(&session)));
            store.give_up(&id, fence);
            metrics::gauge!(SESSIONS_ACTIVE).decrement(1.0);
        }));
    }
}
