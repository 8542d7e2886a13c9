//! Vectors of what was kept, and how much there is.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::warn;

use super::{Inner, Memories};
use crate::{
    chat::{MemoryId, MemoryKind},
    memory::recall,
    store::StoreError,
    telemetry::metrics::MEMORY_ITEMS,
};

/// Texts whose vectors are made at once.
const BATCH: usize = 32;
/// How often it is looked for what has no vector yet, when nobody says that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(60);

impl Memories {
    /// Makes vectors of what has none yet, and counts what there is, until it is dropped.
    pub async fn tend(&self) {
        let Ok(inner) = self.inner() else { return };
        loop {
            match inner.embed_some().await {
                Ok(0) => {
                    if let Ok((facts, episodes)) = inner.store.count_memories().await {
                        for (kind, count) in [(MemoryKind::Fact, facts), (MemoryKind::Episode, episodes)] {
                            metrics::gauge!(MEMORY_ITEMS, "kind" => kind.as_str()).set(count as f64);
                        }
                    }
                    drop(timeout(LOOK_EVERY, inner.kept.notified()).await);
                }
                Ok(_) => {}
                Err(reason) => {
                    warn!(reason, "memories have no vectors yet, and are found by their words");
                    sleep(LOOK_EVERY).await;
                }
            }
        }
    }
}

impl Inner {
    /// Makes vectors of some episodes; of how many.
    async fn embed_some(&self) -> Result<usize, String> {
        let Some(vectors) = &self.vectors else { return Ok(0) };
        let told = |error: StoreError| error.to_string();
        let without = self.store.without_vector(vectors.model(), BATCH).await.map_err(told)?;
        let (ids, texts): (Vec<MemoryId>, Vec<String>) = without.into_iter().unzip();
        if ids.is_empty() {
            return Ok(0);
        }
        let embedded = vectors.embed(texts).await.map_err(|error| error.to_string())?;
        let made = embedded.vectors.iter().map(|vector| recall::quantized(vector));
        let made: Vec<(MemoryId, Vec<i8>)> = ids.into_iter().zip(made).collect();
        let count = made.len();
        self.store.set_vectors(vectors.model(), made).await.map_err(told)?;
        Ok(count)
    }
}
