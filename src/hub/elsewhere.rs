//! Sessions of other gateways, as they are shown here.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

use super::Hub;
use crate::{
    chat::SessionId,
    cluster::{Cluster, Mirroring},
    session::{Closed, SessionHandle},
    store::{NodeId, StoreError},
};

/// How long somebody is held whose session nobody can show or take: a gateway that is gone is known to be after six
/// seconds and a half.
const HOLD: Duration = Duration::from_secs(7);
/// How long the gateway that has a session may take to tell of it, and between two attempts.
const FIRST_WORD: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(250);
/// Without a way to others for so long, a session that nobody has watched for so long is theirs.
const ALONE: Duration = Duration::from_secs(5);

impl Hub {
    /// Whether other gateways can be reached at the moment; `None` where there is no way to them.
    #[must_use]
    pub fn reaches_others(&self) -> Option<bool> {
        self.cluster.as_ref().map(|cluster| cluster.is_up())
    }

    /// How many gateways of the same store live and cannot be reached, although there is a way.
    #[must_use]
    pub fn unreached(&self) -> usize {
        self.cluster.as_ref().map_or(0, |cluster| cluster.unreached())
    }

    /// A session as it is stored, or as another gateway has it.
    pub(super) async fn bring(&self, id: &SessionId) -> Result<SessionHandle, StoreError> {
        let (until, mut loaded) = (Instant::now() + HOLD, self.load(id).await);
        loop {
            let Err(StoreError::Elsewhere(owner)) = loaded else { return loaded };
            let Some(cluster) = self.cluster.as_ref().filter(|cluster| cluster.is_up()) else {
                return Err(StoreError::Elsewhere(owner));
            };
            if let Some(owner) = &owner
                && let Some(session) = self.show(cluster, id, owner.clone(), until).await?
            {
                return Ok(session);
            }
            if Instant::now() + PAUSE >= until || self.deps.draining.load(Ordering::SeqCst) {
                return Err(StoreError::Elsewhere(owner));
            }
            sleep(PAUSE).await;
            // All that was at a gateway which is gone may be asked for at once.
            let Ok(_turn) = self.retries.acquire().await else { return Err(StoreError::Elsewhere(owner)) };
            loaded = self.load(id).await;
        }
    }

    /// While others, or some of them, cannot be reached they cannot show what is here: they may have what nobody uses here, so that whoever
    /// comes to them is served.
    pub(super) fn free_unwatched(&self) {
        if self.cluster.as_ref().is_none_or(|cluster| cluster.down_for() < ALONE) {
            return;
        }
        let is_free = |handle: &&SessionHandle| !handle.is_mirror() && handle.is_free(ALONE);
        self.handles().iter().filter(is_free).for_each(SessionHandle::leave);
    }

    /// Holds a newcomer while what is shown here may be older than what they have seen elsewhere.
    pub(super) async fn until_current(&self, session: &SessionHandle) -> Result<(), StoreError> {
        let until = Instant::now() + HOLD;
        while session.is_mirror() && !session.is_closed() {
            let is_up = self.reaches_others() == Some(true);
            if is_up && session.is_current() {
                break;
            }
            if !is_up || Instant::now() >= until {
                return Err(StoreError::Elsewhere(None));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Shows a session of `owner`; `None` when that does not tell of it.
    async fn show(
        &self,
        cluster: &Arc<Cluster>,
        id: &SessionId,
        owner: NodeId,
        until: Instant,
    ) -> Result<Option<SessionHandle>, StoreError> {
        let record = self.deps.store.session(id).await?.ok_or(StoreError::NoSession)?;
        let (handle, mirror, wishes) = SessionHandle::mirror(record, &self.deps);
        let ((seen, is_seen), (alive, is_alive)) = (oneshot::channel(), oneshot::channel());
        self.watch_mirror(&handle, cluster.clone().pass_on(id.clone(), wishes, is_alive));
        cluster.mirror(Mirroring { session: id.clone(), owner, mirror, seen, alive }).await;
        let first_word = until.min(Instant::now() + FIRST_WORD);
        if matches!(timeout_at(first_word, is_seen).await, Ok(Ok(_))) {
            return Ok(Some(handle));
        }
        handle.close(Closed::Moved);
        Ok(None)
    }
}

#[cfg(test)]
impl Hub {
    /// How many mirrors are in memory, and how many are said to watch sessions of this gateway elsewhere.
    pub(crate) fn copies(&self) -> (usize, usize) {
        let (mirrors, own): (Vec<_>, Vec<_>) = self.handles().into_iter().partition(SessionHandle::is_mirror);
        (mirrors.len(), own.iter().map(SessionHandle::viewers_elsewhere).sum())
    }
}
