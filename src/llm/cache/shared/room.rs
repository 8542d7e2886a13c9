//! How many answers a gateway may have in the Redis of all, and how many of them for one who asks. Pure.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use super::sealed::Key;
use crate::{
    chat::{Circle, Owner, SessionId},
    config::CacheRule,
};

/// One of so many parts of the room is the most that one who asks can have.
const PARTS: u64 = 4;

/// Who asks, to be told apart: a user, of strangers a conversation, or all others together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct Asker([u8; 16]);

impl Asker {
    /// Whoever asks in this name, or in this conversation.
    pub(in super::super) fn of(owner: Option<&Owner>, session: Option<&SessionId>) -> Self {
        let alone = Circle::of(owner, session, false);
        let hash = blake3::hash(alone.as_ref().map_or("", Circle::as_str).as_bytes());
        Self(*hash.as_bytes().first_chunk().unwrap_or(&[0; 16]))
    }
}

/// What was put there and may be there still. Never more than a rule lets it be.
#[derive(Debug, Default)]
pub(super) struct Room {
    names: HashMap<Key, (Instant, Asker)>,
    by_age: BTreeSet<(Instant, Key)>,
    counts: HashMap<Asker, u64>,
}

impl Room {
    /// Whether there is room for `key`, which is there as long as what was put under it before.
    pub(super) fn has_for(&mut self, key: &Key, asker: Asker, rule: &CacheRule, now: Instant) -> bool {
        self.forget(rule.ttl, now);
        let count = self.counts.get(&asker).copied().unwrap_or(0);
        let is_free = |count, most| u64::try_from(count).is_ok_and(|count: u64| count < most);
        self.names.contains_key(key)
            || (is_free(self.names.len(), rule.entries) && count < (rule.entries / PARTS).max(1))
    }

    /// Notes that it was put there now.
    pub(super) fn note(&mut self, key: Key, asker: Asker, now: Instant) {
        self.remove(&key);
        self.names.insert(key, (now, asker));
        self.by_age.insert((now, key));
        *self.counts.entry(asker).or_default() += 1;
    }

    fn forget(&mut self, ttl: Duration, now: Instant) {
        while let Some((at, key)) = self.by_age.first().copied()
            && now.duration_since(at) >= ttl
        {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some((at, asker)) = self.names.remove(key) else { return };
        self.by_age.remove(&(at, *key));
        if let Some(count) = self.counts.get_mut(&asker) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_a_gateway_keeps_by_itself_and_of_one_who_asks_a_quarter() {
        let rule = CacheRule { ttl: Duration::from_secs(10), entries: 8, shared: true };
        let askers = ["ann", "bob", "cid", "dan", "eve"].map(|name| Asker::of(Some(&Owner::new(name)), None));
        let mut room = Room::default();
        let now = Instant::now();
        let put = |room: &mut Room, n: u8, asker, now| {
            let has_room = room.has_for(&[n; 32], asker, &rule, now);
            if has_room {
                room.note([n; 32], asker, now);
            }
            has_room
        };
        assert_eq!([0, 1, 2].map(|n| put(&mut room, n, askers[0], now)), [true, true, false], "a quarter");
        assert_eq!([0, 1, 0].map(|n| put(&mut room, n, askers[0], now)), [true; 3], "the same again costs nothing");
        for (n, asker) in (1..).zip(&askers[1..4]) {
            assert_eq!([2 * n, 2 * n + 1].map(|n| put(&mut room, n, *asker, now)), [true, true]);
        }
        assert!(!put(&mut room, 9, askers[4], now), "there are eight");
        let then = now + rule.ttl / 2;
        assert!(put(&mut room, 0, askers[0], then), "it is there for longer now");
        assert!(!room.has_for(&[9; 32], askers[4], &rule, now + rule.ttl - Duration::from_nanos(1)));
        assert!(room.has_for(&[9; 32], askers[4], &rule, now + rule.ttl));
        assert_eq!((room.names.len(), room.by_age.len(), room.counts.len()), (1, 1, 1), "the one that was put again");
        assert!(room.has_for(&[9; 32], askers[4], &rule, then + rule.ttl) && room.counts.is_empty());
        assert!(room.by_age.is_empty() && room.names.is_empty());
        let small = CacheRule { entries: 1, ..rule };
        assert!(room.has_for(&[9; 32], askers[4], &small, now), "one at least");
        assert_ne!(Asker::of(None, SessionId::parse("one").ok().as_ref()), Asker::of(None, None));
    }
}
