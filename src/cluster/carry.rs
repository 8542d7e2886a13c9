//! The log of a session on its way from the gateway that had it to the one that will: readers go on in it where they were.
//!
//! It lies in the Redis for a while, under the fence of who left it. Who takes the session next takes it out, and goes on
//! with it if nobody has had the session in between. When it is not there the session comes from the store, as an
//! incarnation of its own.

use tokio::time::Instant;
use tracing::debug;

use super::{left::KEPT, peers::Cluster};
use crate::{
    chat::SessionId,
    ephemeral::{Away, PATIENTLY},
    session::log::Whole,
    store::Fence,
    telemetry::metrics::CLUSTER_MOVES,
};

/// A longer one is not carried. What a session may have in its log is more, and rare.
const MAX_BYTES: usize = 256 << 10;

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
