//! The documents that a gateway brings along: ingested at every start, in the background.

use std::{future::Future, path::PathBuf, sync::Arc};

use super::{Own, ingest};
use crate::knowledge::{Collection, jobs::Documents};

/// Ingests `paths` into the default collection of the tenant `default`, and logs what came of it. From the call to its end
/// the knowledge is [`Loading`](crate::knowledge::KnowledgeStatus::Loading).
pub fn preload(documents: Arc<Documents>, paths: Vec<PathBuf>) -> impl Future<Output = ()> + Send {
    let loading = (!paths.is_empty()).then(|| documents.knowledge().loading());
    let own = Own::new(Arc::clone(&documents), Collection::default());
    async move {
        let _loading = loading;
        if let Err(error) = documents.knowledge().ready().await {
            return tracing::error!(%error, "questions are answered without passages");
        }
        if paths.is_empty() {
            return;
        }
        match ingest(&own, &paths, |_| ()).await {
            Ok(summary) => {
                for failure in &summary.failures {
                    tracing::warn!(document = %failure.uri, reason = %failure.reason, "not ingested");
                }
                tracing::info!(
                    files = summary.files,
                    added = summary.added,
                    replaced = summary.replaced,
                    unchanged = summary.unchanged,
                    chunks = summary.chunks,
                    seconds = summary.took.as_secs_f64(),
                    "knowledge is ready"
                );
            }
            Err(error) => tracing::error!(%error, "the knowledge could not be ingested"),
        }
    }
}
