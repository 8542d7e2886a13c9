//! Answers that gateways give again for one another: kept in the Redis that they have together.
//!
//! What lies there is sealed (`sealed`), and both its name and its seal are made of the question with all that makes it the
//! same. So who reads the Redis learns neither questions nor answers, who writes to it puts nothing into an answer and has none
//! given for longer, and whatever cannot be opened is none. It may be lost at any time, and nobody waits for it longer than
//! [`QUICKLY`]. What each gateway has there is bounded (`room`). Uses `ephemeral`.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};

pub(super) use self::{
    room::Asker,
    sealed::{Found, Key, LAYOUT, Names},
};
use self::{room::Room, sealed::MAX_BYTES};
use super::flight::Whole;
use crate::{
    chat::Timestamp,
    config::CacheRule,
    ephemeral::{Away, PATIENTLY, QUICKLY, Redis},
    telemetry::metrics::CACHE_SHARED_FAILURES,
};

mod room;
mod sealed;

/// The most answers that wait to be put there.
const MAX_WAITING: usize = 64;

/// An answer to be put there.
pub(super) struct Change {
    pub(super) names: Names,
    pub(super) asker: Asker,
    pub(super) whole: Arc<Whole>,
    /// Whether there may be a former one, here or at any gateway, which is not to be given any more: then all are told at
    /// least that, where the answer itself cannot be put there.
    pub(super) replaces: bool,
    pub(super) rule: CacheRule,
}

/// The answers of all gateways.
pub struct Answers {
    redis: Arc<Redis>,
    changes: mpsc::Sender<Change>,
    waiting: tokio::sync::Mutex<(mpsc::Receiver<Change>, Room)>,
}

impl Answers {
    /// Those in this Redis.
    #[must_use]
    pub fn over(redis: Arc<Redis>) -> Arc<Self> {
        let (changes, waiting) = mpsc::channel(MAX_WAITING);
        Arc::new(Self { redis, changes, waiting: (waiting, Room::default()).into() })
    }

    /// Puts answers there, for ever: who was told one does not wait for that.
    pub async fn keep(self: Arc<Self>) {
        let (waiting, room) = &mut *self.waiting.lock().await;
        while let Some(change) = waiting.recv().await {
            self.change(change, room).await;
        }
    }

    async fn change(&self, Change { names, asker, whole, replaces, rule }: Change, room: &mut Room) {
        let written_at = whole.written_at;
        let left = written_at.plus_millis(rule.ttl).0.saturating_sub(Timestamp::now().0).max(1);
        let has_room = room.has_for(&names.key, asker, &rule, Instant::now());
        let answer = names.seal(&Found::Answer(whole));
        if answer.is_some() && !has_room {
            failed("quota");
        }
        let sealed = match answer.filter(|_| has_room) {
            None if replaces => names.seal(&Found::Newer(written_at)),
            answer => answer,
        };
        let Some(sealed) = sealed else { return };
        // It has waited here, and another gateway may have been told another one since.
        let there = self.there(&names, PATIENTLY).await.ok().and_then(|sealed| names.open(sealed));
        if there.is_some_and(|there| there.written_at() > written_at) {
            return;
        }
        let mut set = redis::cmd("SET");
        set.arg(names.as_text()).arg(sealed).arg("PX").arg(left);
        match self.redis.ask_aside::<()>(&set, PATIENTLY).await {
            Ok(()) if has_room => room.note(names.key, asker, Instant::now()),
            Ok(()) => {}
            Err(Away) => failed("put"),
        }
    }

    /// What lies under this name, if it said so at once and its time is not over.
    pub(super) async fn get(&self, names: &Names, rule: &CacheRule) -> Option<Found> {
        let Ok(sealed) = self.there(names, QUICKLY).await else {
            failed("away");
            return None;
        };
        if sealed.is_empty() {
            return None;
        }
        let found = names.open(sealed);
        if found.is_none() {
            failed("invalid");
        }
        found.filter(|found| found.is_of(Timestamp::now(), rule.ttl))
    }

    /// What lies under this name, sealed; nothing: an empty one.
    async fn there(&self, names: &Names, patience: Duration) -> Result<Vec<u8>, Away> {
        let mut get = redis::cmd("GETRANGE");
        get.arg(names.as_text()).arg(0).arg(MAX_BYTES); // A byte more than there may be; what has more is not read whole.
        self.redis.ask_aside(&get, patience).await
    }

    /// Has it put there, for what is left of its time.
    pub(super) fn put(&self, change: Change) {
        if self.changes.try_send(change).is_err() {
            failed("put");
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("redis", &self.redis).finish_non_exhaustive()
    }
}

fn failed(reason: &'static str) {
    metrics::counter!(CACHE_SHARED_FAILURES, "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt, poll};
    use tokio::time::sleep;

    use super::*;
    use crate::ephemeral::{Server, stand_in::StandIn};

    #[tokio::test]
    async fn nobody_waits_longer_than_20_ms_and_not_at_all_for_what_is_known_to_be_away() {
        let silent = StandIn::saying("").await;
        let frozen = Answers::over(Redis::connected(silent.server.clone()).await);
        let away = Answers::over(Redis::at(Server::parse("redis://nowhere").unwrap()));
        let names = Names::of(&blake3::Hasher::new());
        let rule = CacheRule { ttl: Duration::from_secs(900), entries: 1000, shared: false };
        assert!(matches!(away.get(&names, &rule).now_or_never(), Some(None)));
        let mut look = pin!(frozen.get(&names, &rule));
        assert!(poll!(&mut look).is_pending());
        // Both are over in the order of their moments, however busy the machine is.
        tokio::select! {
            biased;
            found = look => assert!(found.is_none()),
            () = sleep(Duration::from_millis(22)) => panic!("it still waits"),
        }
    }
}
