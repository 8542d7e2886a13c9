//! The log of a session on its way from the gateway that had it to the one that will: readers go on in it where they were.
//!
//! It lies in the Redis for a while, under the fence of who left it. Who takes the session next takes it out, and goes on
//! with it if nobody has had the session in between. When it is not there the session comes from the store, as an
//! incarnation of its own.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::peers::Cluster;
use crate::{
    chat::SessionId,
    ephemeral::{Away, PATIENTLY},
    session::log::Whole,
    store::Fence,
    telemetry::metrics::CLUSTER_MOVES,
};

/// For how long a log waits.
pub(crate) const KEPT: Duration = Duration::from_secs(120);
/// A longer one is not carried. What a session may have in its log is more, and rare.
const MAX_BYTES: usize = 256 << 10;
/// What one gateway leaves in as long as it waits: the Redis has other things to keep, too. Those beyond are not carried.
const MAX_BYTES_OF_ALL: usize = 256 << 20;

/// What this gateway has left lately.
#[derive(Debug, Default)]
pub(super) struct Left {
    since: Option<Instant>,
    bytes: usize,
}

impl Left {
    /// Whether so many bytes may follow; then they count. Twice the bound at the worst lies there at a time.
    fn has_room_for(&mut self, bytes: usize, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= KEPT) {
            *self = Self { since: Some(now), bytes: 0 };
        }
        let has_room = self.bytes + bytes <= MAX_BYTES_OF_ALL;
        self.bytes += if has_room { bytes } else { 0 };
        has_room
    }
}

impl Cluster {
    /// Leaves the log of a session that this gateway had under `fence` for whoever takes it next.
    pub(crate) async fn carry(&self, session: &SessionId, fence: Fence, log: impl FnOnce() -> Whole) {
        let Ok(_turn) = self.carrying.acquire().await else { return }; // It is never closed.
        if !self.redis.is_up() {
            return;
        }
        let carried = match rmp_serde::to_vec_named(&(fence, log())) {
            Ok(carry) if carry.len() > MAX_BYTES => "large",
            Ok(carry) if !self.left.lock().has_room_for(carry.len(), Instant::now()) => "full",
            Ok(carry) => {
                let kept = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
                let mut leave = redis::cmd("SET");
                match self.redis.ask::<()>(leave.arg(key(session)).arg(carry).arg("PX").arg(kept), PATIENTLY).await {
                    Ok(()) => "left",
                    Err(Away) => "failed",
                }
            }
            Err(error) => {
                debug!(%error, "a log cannot be written down");
                "failed"
            }
        };
        metrics::counter!(CLUSTER_MOVES, "outcome" => carried).increment(1);
    }

    /// Takes away the log that was left of a session: it went on without it, or is deleted.
    pub(crate) async fn discard(&self, session: &SessionId) {
        let _gone_by_itself_soon = self.redis.ask::<u64>(redis::cmd("DEL").arg(key(session)), PATIENTLY).await;
    }

    /// The log that was left of a session, which this gateway has just taken with `fence`.
    pub(crate) async fn carried(&self, session: &SessionId, fence: Fence) -> Option<Whole> {
        if fence == Fence::FIRST {
            return None;
        }
        let carry: Option<Vec<u8>> = self.redis.ask(redis::cmd("GETDEL").arg(key(session)), PATIENTLY).await.ok()?;
        let found = rmp_serde::from_slice(&carry?).ok().filter(|(before, _)| fence.is_next_after(*before));
        metrics::counter!(CLUSTER_MOVES, "outcome" => if found.is_some() { "found" } else { "stale" }).increment(1);
        found.map(|(_, log): (Fence, Whole)| log)
    }
}

fn key(session: &SessionId) -> String {
    format!("log:{session}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_gateway_leaves_is_bounded() {
        let (mut left, now) = (Left::default(), Instant::now());
        let most = MAX_BYTES_OF_ALL / MAX_BYTES;
        assert_eq!((0..2 * most).filter(|_| left.has_room_for(MAX_BYTES, now)).count(), most);
        assert!(!left.has_room_for(1, now + KEPT / 2));
        assert!(left.has_room_for(MAX_BYTES, now + KEPT));
    }
}
