//! What was made once and is asked for again: kept for a while, within a bound, and made once for all who ask at the
//! same time. Uses `telemetry`.

use std::{future::Future, sync::Arc, time::Duration};

use moka::{future::Cache, policy::EvictionPolicy};

use crate::{
    chat::digest,
    telemetry::caches::{CacheReport, Lookup, Lookups},
};

/// A hash of everything that a value depends on.
pub(super) type Key = [u8; 32];

/// Values by the hash of what they were made from.
pub(super) struct Memo<V> {
    values: Cache<Key, V>,
    looks: Lookups,
    capacity: u64,
    ttl: Option<Duration>,
}

impl<V: Clone + Send + Sync + 'static> Memo<V> {
    /// Keeps `capacity` values, and each for `ttl` at most; the one that is longest unused leaves first.
    pub(super) fn new(name: &'static str, capacity: u64, ttl: Option<Duration>) -> Self {
        let builder = Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru());
        let values = match ttl {
            Some(ttl) => builder.time_to_live(ttl).build(),
            None => builder.build(),
        };
        Self { values, looks: Lookups::new(name), capacity, ttl }
    }

    /// The value that is known, or is just being made, or what `make` makes. An error is told to all who wait for it and
    /// not kept. When the one who makes it gives up, the next one does.
    pub(super) async fn get<E: Clone + Send + Sync + 'static>(
        &self,
        key: Key,
        make: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        if let Some(value) = self.values.get(&key).await {
            self.looks.count(Lookup::Hit);
            return Ok(value);
        }
        let mut is_own = false;
        let counted = async {
            is_own = true;
            self.looks.count(Lookup::Miss);
            make.await
        };
        let made = self.values.try_get_with(key, counted).await;
        if !is_own {
            self.looks.count(Lookup::Joined);
        }
        made.map_err(Arc::unwrap_or_clone)
    }

    /// Counts what nobody looked up.
    pub(super) fn pass(&self) {
        self.looks.count(Lookup::Passed);
    }

    /// How it stands.
    pub(super) async fn report(&self) -> CacheReport {
        self.values.run_pending_tasks().await; // Or the newest ones would be missing.
        self.looks.report(self.values.entry_count(), self.capacity, self.ttl)
    }
}

/// The key of these parts, whose borders cannot be mistaken.
pub(super) fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
    *digest(parts).as_bytes()
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::pending};
    use tokio::sync::oneshot;

    use super::*;

    fn memo(capacity: u64) -> Memo<u32> {
        Memo::new("test", capacity, None)
    }

    async fn looks(memo: &Memo<u32>) -> (u64, u64, u64) {
        let report = memo.report().await;
        (report.hits, report.joined, report.misses)
    }

    #[tokio::test]
    async fn a_value_is_made_once_for_all_who_ask_at_the_same_time() {
        let memo = memo(10);
        let (go, wait) = oneshot::channel::<u32>();
        let first = memo.get(key([]), async { wait.await.map_err(|_| ()) });
        let second = memo.get(key([]), async { Err(()) });
        let sent = async { go.send(7) };
        let (first, second, sent) = tokio::join!(first, second, sent);
        assert_eq!((first, second, sent), (Ok(7), Ok(7), Ok(())));
        assert_eq!(memo.get(key([]), async { Err(()) }).await, Ok(7));
        assert_eq!(looks(&memo).await, (1, 1, 1));
    }

    #[tokio::test]
    async fn errors_are_not_kept_and_who_gives_up_is_replaced() {
        let memo = memo(10);
        assert_eq!(memo.get(key([]), async { Err("no") }).await, Err("no"));
        let mut first = Box::pin(memo.get(key([]), pending::<Result<u32, &str>>()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(memo.get(key([]), async { Ok::<_, &str>(2) }));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(second.await, Ok(2));
    }

    #[tokio::test]
    async fn the_value_that_is_longest_unused_leaves_first() {
        let memo = memo(2);
        let parts: Vec<[u8; 1]> = vec![[0], [1], [2]];
        let keys: Vec<Key> = parts.iter().map(|part| key([&part[..]])).collect();
        let get = async |at: usize| memo.get(keys[at], async { Ok::<_, ()>(at as u32) }).await.unwrap();
        get(0).await;
        get(1).await;
        assert_eq!(memo.report().await.entries, 2);
        get(0).await;
        get(2).await;
        assert_eq!(memo.report().await.entries, 2);
        assert_eq!((memo.values.contains_key(&keys[0]), memo.values.contains_key(&keys[1])), (true, false));
    }

    #[test]
    fn borders_of_parts_matter() {
        assert_ne!(key([&b"ab"[..], b"c"]), key([&b"a"[..], b"bc"]));
    }
}
