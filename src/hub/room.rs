//! Places in memory at the bound: sessions that nobody uses leave, longest unused first.
//!
//! Their cursors get a snapshot later; nothing is lost. To look at all sessions takes time in proportion to their
//! number, so it frees many places at once, and when it cannot, it is not repeated for a while.

use std::time::Duration;

use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::{info, warn};

use super::{Hub, HubError, RATE_LIMITED, is_abandoned, is_unused};
use crate::{chat::SessionId, session::log::Moment};

/// The part of all sessions that is freed at once.
const BATCH: usize = 16;
/// How long nobody looks again after fewer were found.
const PAUSE: Duration = Duration::from_secs(1);

/// When all sessions may be looked at again.
#[derive(Debug, Default)]
pub(super) struct Scans {
    not_before: Option<Instant>,
}

impl Hub {
    /// A place for one more session.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, HubError> {
        let take = || self.places.clone().try_acquire_owned().ok();
        take().or_else(|| self.make_room().then(take).flatten()).ok_or_else(|| {
            metrics::counter!(RATE_LIMITED, "scope" => "sessions").increment(1);
            HubError::Full
        })
    }

    /// Lets the longest unused sessions go; whether there may be a place now.
    fn make_room(&self) -> bool {
        let mut scans = self.scans.lock();
        if self.places.available_permits() > 0 {
            return true; // Somebody else has made room meanwhile.
        }
        let now = Instant::now();
        if scans.not_before.is_some_and(|at| now < at) {
            return false;
        }
        let wanted = (self.policy.sessions / BATCH).max(1);
        let freed = self.let_go(wanted);
        scans.not_before = (freed < wanted).then(|| now + PAUSE);
        if freed == 0 {
            warn!(sessions = self.policy.sessions, "all sessions that fit into memory are in use");
        } else {
            info!(freed, "sessions left memory to make room");
        }
        freed > 0
    }

    /// Takes up to `wanted` unused sessions out of memory; how many it were.
    fn let_go(&self, wanted: usize) -> usize {
        let mut unused: Vec<(Moment, SessionId)> = self
            .sessions
            .iter()
            .filter(|entry| is_unused(entry.value(), 0) || is_abandoned(entry.value()))
            .map(|entry| (entry.value().session.get().map_or(0, |handle| handle.last_used()), entry.key().clone()))
            .collect();
        if unused.len() > wanted {
            unused.select_nth_unstable_by_key(wanted, |(used, _)| *used);
            unused.truncate(wanted);
        }
        // Somebody may have come for one since.
        let still = |id: &SessionId| self.sessions.remove_if(id, |_, slot| is_unused(slot, 0) || is_abandoned(slot));
        unused.iter().filter(|(_, id)| still(id).is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        hub::Policy,
        knowledge::NoKnowledge,
        llm::extractive::Extractive,
        run::{Retrieval, Runner},
        session::SessionHandle,
        store::memory::MemoryStore,
    };

    fn hub(sessions: usize) -> Hub {
        let runner = Runner {
            retriever: Arc::new(NoKnowledge),
            model: Arc::new(Extractive::default()),
            retrieval: Retrieval { collection: "default".to_owned(), top_k: 1, min_score: 0.0 },
            max_output_tokens: 1,
            line: Arc::default(),
            budgets: Arc::default(),
        };
        let hour = Duration::from_secs(3600);
        let policy = Policy { idle: hour, ttl: hour, abandon: None, history_messages: 1, sessions };
        Hub::new(Arc::<MemoryStore>::default(), Arc::new(runner), policy)
    }

    async fn open(hub: &Hub) -> Result<SessionHandle, HubError> {
        let record = hub.create("default", None, None).await?;
        hub.get(&record.id).await
    }

    #[tokio::test]
    async fn a_full_hub_looks_once_a_second() {
        let hub = hub(1);
        let used = open(&hub).await.expect("a place");
        assert!(matches!(hub.place(), Err(HubError::Full)));
        let looked = Instant::now();
        drop(used);
        let mut refused = 0;
        while hub.place().is_err() {
            refused += 1;
            tokio::task::yield_now().await;
        }
        assert!(refused > 0 && looked.elapsed() > PAUSE / 2, "after {:?}", looked.elapsed());
        assert!(hub.is_empty());
    }

    #[tokio::test]
    async fn many_leave_at_once_and_those_in_use_stay() {
        let hub = hub(64);
        let mut used = Vec::new();
        for n in 0..64 {
            let session = open(&hub).await.expect("a place");
            if n % 8 == 0 {
                used.push(session); // Old and young ones.
            }
        }
        for _ in 0..56 {
            open(&hub).await.expect("somebody leaves for it");
            assert!(hub.len() <= 64);
        }
        for session in &used {
            assert!(hub.get(session.id()).await.expect("in memory").is(&session.downgrade().upgrade().expect("alive")));
        }
        assert!(hub.scans.lock().not_before.is_none(), "each look found enough");
    }

    #[tokio::test]
    async fn sessions_that_do_not_exist_take_no_place_for_long() {
        let hub = hub(2);
        let _used = open(&hub).await.expect("a place");
        for _ in 0..10 {
            assert!(matches!(hub.get(&SessionId::random()).await, Err(HubError::Store(_))));
        }
        assert_eq!((hub.len(), hub.places.available_permits()), (1, 1));
    }
}
