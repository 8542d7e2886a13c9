//! Whether the store takes writes. To look costs a write with its fsync, and anybody may ask: one a second is enough.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::warn;

use crate::{store::SessionStore, telemetry::metrics::STORAGE_UP};

/// How long an answer of the store is good for.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the store answered last, and when.
#[derive(Debug, Default)]
pub struct StoreHealth(Mutex<Option<(Instant, bool)>>);

impl StoreHealth {
    /// Whether `store` takes writes, as of a second ago at the most.
    pub(super) async fn is_up(&self, store: &dyn SessionStore) -> bool {
        let mut last = self.0.lock().await; // Who comes meanwhile waits for this look.
        if let Some((_, up)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
            return up;
        }
        let up = match timeout(PATIENCE, store.check()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                warn!(%error, "the store is down");
                false
            }
            Err(_) => {
                warn!("the store does not answer");
                false
            }
        };
        metrics::gauge!(STORAGE_UP).set(f64::from(u8::from(up)));
        *last = Some((Instant::now(), up));
        up
    }
}
