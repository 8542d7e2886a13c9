//! Places in memory: who leaves when its time has come, and who leaves for others when all places are taken.
//!
//! Sessions note themselves when nobody uses them any more, so nobody looks at those that are in use, and a hub that is
//! full of them refuses at once. Those that leave are the longest unused ones. Their cursors get a snapshot later;
//! nothing is lost.

use std::sync::{Arc, atomic::Ordering};

use tokio::task::yield_now;
use tracing::warn;

use super::{Hub, HubError, RATE_LIMITED, Slot};
use crate::{chat::SessionId, limits::Seat, session::Moment};

/// So many are looked at before others have their turn.
const SLICE: usize = 256;
/// How often a full hub is told of in the log, in microseconds.
const TELL_EVERY: Moment = 1_000_000;

impl Hub {
    /// A place for one more session.
    pub(super) fn place(&self) -> Result<Seat, HubError> {
        loop {
            if let Some(place) = self.places.take() {
                return Ok(place);
            }
            // Another newcomer may take the place of whoever leaves: then the next one leaves.
            if self.let_go(self.deps.clock.now(), 1) == 0 {
                metrics::counter!(RATE_LIMITED, "scope" => "sessions").increment(1);
                self.tell_that_it_is_full();
                return Err(HubError::Full);
            }
        }
    }

    /// Lets those go that nobody has used for long.
    pub(super) async fn passivate(&self) {
        let idle = u64::try_from(self.policy.idle.as_micros()).unwrap_or(u64::MAX);
        while let Some(until) = self.deps.clock.now().checked_sub(idle)
            && self.let_go(until, SLICE) == SLICE
        {
            yield_now().await;
        }
    }

    /// Forgets what nobody can resume from any more.
    pub(super) async fn trim(&self) {
        let (now, mut looked) = (self.deps.clock.now(), 0);
        while let Some((_, session)) = self.deps.lists.aging.take(now) {
            session.log.lock().trim(now);
            session.note_aging();
            looked += 1;
            if looked % SLICE == 0 {
                yield_now().await;
            }
        }
    }

    /// Takes up to `most` sessions out of memory that nobody has used since `until`, longest unused first; how many it
    /// were.
    fn let_go(&self, until: Moment, most: usize) -> usize {
        let unused = &self.deps.lists.unused;
        let (mut left, mut held) = (0, Vec::new());
        while left < most
            && let Some((noted, session)) = unused.take(until)
        {
            if session.is_in_use() {
                continue; // It notes itself when it is not any more.
            }
            let used = session.touched.load(Ordering::Relaxed);
            if used > noted {
                unused.note(used, &session); // Its turn may come yet.
                continue;
            }
            let (id, weak) = (session.id.clone(), Arc::downgrade(&session));
            drop(session); // Or somebody would hold it: this.
            let mut known = false;
            let leaves = |_: &SessionId, slot: &Arc<Slot>| {
                let handle = slot.session.get().filter(|handle| handle.is(&weak));
                known = handle.is_some();
                Arc::strong_count(slot) == 1 && handle.is_some_and(|handle| handle.is_unused())
            };
            if self.sessions.remove_if(&id, leaves).is_some() {
                left += 1;
            } else if known {
                held.push(weak); // By a request, for a moment.
            }
        }
        for session in held.iter().filter_map(std::sync::Weak::upgrade) {
            unused.note(session.touched.load(Ordering::Relaxed), &session);
        }
        left
    }

    fn tell_that_it_is_full(&self) {
        let (now, told) = (self.deps.clock.now(), self.told.load(Ordering::Relaxed));
        if now.saturating_sub(told) >= TELL_EVERY || told == 0 {
            self.told.store(now, Ordering::Relaxed);
            warn!(sessions = self.places.most(), "all sessions that fit into memory are in use");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        hub::Policy,
        knowledge::NoKnowledge,
        limits::Visitor,
        llm::extractive::Extractive,
        run::{Retrieval, Runner},
        session::{NewMessage, SendMode, SessionHandle, log::RETENTION},
        store::volatile::VolatileStore,
    };

    fn hub(sessions: usize) -> Hub {
        let runner = Runner {
            retriever: Arc::new(NoKnowledge),
            model: Arc::new(Extractive::default()),
            retrieval: Retrieval { top_k: 1, min_score: 0.0, rewrite: false },
            max_output_tokens: 1,
            line: Arc::default(),
            budgets: Arc::default(),
            rates: Arc::default(),
            assistants: Arc::default(),
            artifacts: Arc::default(),
            tools: Arc::default(),
        };
        let hour = Duration::from_secs(3600);
        let policy = Policy { idle: hour, ttl: hour, abandon: None, history_messages: 1, sessions };
        Hub::new(Arc::<VolatileStore>::default(), Arc::new(runner), policy)
    }

    async fn open(hub: &Hub) -> Result<SessionHandle, HubError> {
        let record = hub.create("default", None, None, false).await?;
        hub.get(&record.id).await
    }

    #[tokio::test]
    async fn a_full_hub_refuses_without_a_look_at_those_that_are_in_use() {
        let hub = hub(100);
        let mut viewers = Vec::new();
        while let Ok(session) = hub.open("default", None, false) {
            viewers.push(session.attach(None).0);
        }
        assert_eq!(viewers.len(), 100);
        assert!(hub.place().is_err());
        assert_eq!(hub.deps.lists.unused.len(), 0, "whoever is in use is not noted");
        viewers.swap_remove(50);
        assert!(hub.place().is_ok(), "at once");
        assert_eq!(hub.len(), 99);
        assert!(hub.place().is_ok());
        viewers.clear();
        hub.passivate().await;
        assert_eq!(hub.len(), 99, "an hour is not over");
    }

    #[tokio::test]
    async fn the_longest_unused_leaves_first_whatever_happened_in_between() {
        let hub = hub(3);
        let sessions: Vec<_> = (0..3).map(|_| hub.open("default", None, false).unwrap()).collect();
        let ids: Vec<_> = sessions.iter().map(|session| session.id().clone()).collect();
        drop(sessions[0].attach(None));
        let held = sessions[1].clone();
        drop(sessions);
        for next in [2, 0] {
            drop(hub.place().unwrap());
            assert!(hub.in_memory(&ids[next]).is_none(), "session {next}");
            drop(hub.open("default", None, false).unwrap().attach(None));
        }
        assert!(hub.in_memory(held.id()).is_some(), "somebody holds it");
    }

    #[tokio::test]
    async fn those_that_are_gone_are_not_remembered_for_long() {
        let hub = Arc::new(hub(0));
        for _ in 0..5_000 {
            let session = hub.open("default", None, false).unwrap();
            let id = session.id().clone();
            drop(session);
            assert!(hub.delete(&id).await.unwrap());
        }
        assert!(hub.deps.lists.unused.len() < 2_500, "{}", hub.deps.lists.unused.len());
    }

    #[tokio::test]
    async fn what_happened_in_a_session_is_looked_at_when_it_is_old_enough() {
        let hub = hub(0);
        let session = hub.open("default", None, false).unwrap();
        assert_eq!(hub.deps.lists.aging.len(), 0, "nothing has happened");
        for text in ["one", "two"] {
            let message = NewMessage {
                id: None,
                text: text.to_owned(),
                mode: SendMode::Reject,
                by: Visitor::at([127, 0, 0, 1].into()),
            };
            session.send(message).await.unwrap();
            while session.is_busy() {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(hub.deps.lists.aging.len(), 1);
        hub.trim().await;
        assert_eq!(hub.deps.lists.aging.len(), 1, "it is too young");
        let (at, _) = hub.deps.lists.aging.take(Moment::MAX).unwrap();
        assert!((RETENTION..=RETENTION + hub.deps.clock.now()).contains(&at), "{at}");
    }

    #[tokio::test]
    async fn whoever_stops_waiting_for_a_session_leaves_no_empty_place() {
        let hub = hub(1);
        let (id, other) = (SessionId::random(), SessionId::random());
        for gone in [&id, &other] {
            let mut loading = Box::pin(hub.get(gone));
            let _ = futures_util::poll!(loading.as_mut());
            drop(loading);
        }
        assert_eq!((hub.len(), hub.places.taken()), (0, 0));
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
            assert!(hub.get(session.id()).await.expect("in memory").is(&session.downgrade()));
        }
    }

    #[tokio::test]
    async fn sessions_that_do_not_exist_take_no_place_for_long() {
        let hub = hub(2);
        let _used = open(&hub).await.expect("a place");
        for _ in 0..10 {
            assert!(matches!(hub.get(&SessionId::random()).await, Err(HubError::Store(_))));
        }
        assert_eq!((hub.len(), hub.places.taken()), (1, 1));
    }
}
