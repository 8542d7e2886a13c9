//! Buckets that all gateways have together, in their Redis.
//!
//! One bucket is one key, and taking from it one script there, by the clock of the server: the rule is that of `quota`. A
//! key is gone when its bucket is full. Who was refused is told so here until it is worth asking again, so that a flood
//! costs the server no more than what it lets through.

use std::sync::{Arc, LazyLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use moka::sync::Cache;
use redis::Script;
use serde::Serialize;
use tokio::time::Instant;

use super::quota::{Left, Micros, Quota, TAKE};
use crate::ephemeral::{Away, QUICKLY, Redis, script};

/// The most who are known to have been refused; more are asked for once more.
const MAX_REFUSED: u64 = 50_000;
static TAKING: LazyLock<Script> = LazyLock::new(|| script(TAKE));

/// Whose bucket it is, and of what: a hash, so that the server has no names.
pub(super) type Key = [u8; 16];

/// The key of `whose` bucket.
pub(super) fn key(whose: &impl Serialize) -> Key {
    let hash = blake3::hash(&rmp_serde::to_vec(whose).unwrap_or_default());
    *hash.as_bytes().first_chunk().unwrap_or(&[0; 16])
}

/// The same as text.
pub(super) fn name(whose: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(key(whose))
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Shared {
    redis: Arc<Redis>,
    refused: Cache<Key, Refusal>,
}

#[derive(Debug, Clone, Copy)]
struct Refusal {
    at: Instant,
    quota: Quota,
    /// How long the bucket took to be full then.
    missing: Micros,
}

impl Shared {
    pub(super) fn over(redis: Arc<Redis>) -> Self {
        Self { redis, refused: Cache::new(MAX_REFUSED) }
    }

    /// Takes one, as [`Quota::take`] does.
    ///
    /// # Errors
    /// [`Away`]; one may have been taken.
    pub(super) async fn take(&self, quota: Quota, key: Key) -> Result<Result<Left, Left>, Away> {
        if let Some(left) = self.refused.get(&key).and_then(|refusal| refusal.left(quota, Instant::now())) {
            return Ok(Err(left));
        }
        let (every, span) = quota.times();
        let mut taking = TAKING.key(format!("rivulet:rate:{}", URL_SAFE_NO_PAD.encode(key)));
        let (is_taken, missing): (bool, Micros) = self.redis.run(taking.arg(every).arg(span), QUICKLY).await?;
        if is_taken {
            return Ok(Ok(quota.left(missing)));
        }
        self.refused.insert(key, Refusal { at: Instant::now(), quota, missing });
        Ok(Err(quota.left(missing)))
    }
}

impl Refusal {
    /// What is left now, as long as it is sure that there is none.
    fn left(&self, quota: Quota, now: Instant) -> Option<Left> {
        let since = now.duration_since(self.at);
        let is_sure = quota == self.quota && since < quota.left(self.missing).more_in;
        let since = Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX);
        is_sure.then(|| quota.left(self.missing.saturating_sub(since)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refusal_is_remembered_until_there_may_be_one_again() {
        let (quota, now) = (Quota::new(10, Duration::from_secs(10)), Instant::now());
        let mut bucket = 0;
        for _ in 0..10 {
            quota.take(&mut bucket, 5).unwrap();
        }
        let refusal = Refusal { at: now, quota, missing: bucket - 5 };
        let after = |millis| refusal.left(quota, now + Duration::from_millis(millis));
        assert_eq!(after(0), quota.take(&mut bucket, 5).err());
        assert_eq!(after(999), quota.take(&mut bucket, 999_005).err());
        assert_eq!(after(1000), None);
        assert_eq!(refusal.left(quota.share(2), now), None, "another rule, another answer");
        assert_eq!(key(&("a", "b")), key(&("a", "b")));
        assert_ne!(key(&("a", "b")), key(&("ab", "")));
    }
}
