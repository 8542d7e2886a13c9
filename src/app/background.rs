//! What is done all the time beside serving. A panic in such a task is a bug, and would else go unnoticed until what it looks
//! after fails: it begins again.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::{interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};

use super::stores::Stores;
use crate::{
    auth::{Authenticator, jwks::KeySource},
    chat::Timestamp,
    datasets::Datasets,
    http::Gateway,
    hub::Hub,
    memory::Memories,
    store::{MemoryStore, memories::MAX_EXPIRED_MEMORIES},
    telemetry::logging::Log,
};

/// How often recorded samples are folded into their histograms, so that they do not pile up while nobody asks.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// How often old datasets are looked for: they go after days.
const DATASETS_UPKEEP: Duration = Duration::from_secs(3600);
/// How often memories are looked for whose time is over: it is over after months.
const MEMORIES_UPKEEP: Duration = Duration::from_secs(3600);
/// How often it is looked what other gateways have taken back: it has to end here within a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(400);
/// When it begins again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is done all the time beside serving, until the `ending`.
pub(super) fn look_after(
    background: &TaskTracker,
    ending: &CancellationToken,
    gateway: &Gateway,
    stores: &Stores,
    log: &Log,
) {
    let (hub, stop) = (gateway.hub.clone(), ending.clone());
    background.spawn(lasting("sessions", move || hub.clone().tend(stop.clone())));
    let (budgets, kept, stop) = (gateway.runner.budgets.clone(), stores.spending.clone(), ending.clone());
    background.spawn(lasting("budgets", move || budgets.clone().keep(kept.clone(), stop.clone())));
    let (auth, stop) = (gateway.auth.clone(), ending.clone());
    background.spawn(lasting("uses of API keys", move || keep_uses(auth.clone(), stop.clone())));
    if stores.are_shared() {
        let (auth, hub, stop) = (gateway.auth.clone(), gateway.hub.clone(), ending.clone());
        let follow = move || until(stop.clone(), follow_credentials(auth.clone(), hub.clone()));
        background.spawn(lasting("credentials that are taken back elsewhere", follow));
    }
    let (metrics, log, stop) = (gateway.metrics.clone(), log.clone(), ending.clone());
    background.spawn(lasting("metrics", move || until(stop.clone(), tidy_up(metrics.clone(), log.clone()))));
    if let Some(source) = gateway.auth.key_source() {
        let stop = ending.clone();
        background.spawn(lasting("keys of others", move || keep_keys(source.clone(), stop.clone())));
    }
    let (datasets, stop) = (gateway.runner.tools.datasets.clone(), ending.clone());
    background.spawn(lasting("datasets", move || until(stop.clone(), keep_datasets(datasets.clone()))));
    let (memories, stop) = (gateway.runner.tools.memories.clone(), ending.clone());
    background.spawn(lasting("memories", move || until(stop.clone(), tend_memories(memories.clone()))));
    let (memories, stop) = (stores.memories.clone(), ending.clone());
    background
        .spawn(lasting("memories whose time is over", move || until(stop.clone(), keep_memories(memories.clone()))));
    if let Some(documents) = gateway.documents.clone() {
        let stop = ending.clone();
        background.spawn(lasting("documents", move || documents.clone().run(stop.clone())));
    }
}

/// Does `work` until it comes to its end.
pub(super) async fn lasting<F: Future<Output = ()>>(task: &'static str, work: impl Fn() -> F) {
    while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
        error!(task, "a task failed, and begins again");
        sleep(AGAIN).await;
    }
}

async fn keep_keys(source: Arc<KeySource>, stop: CancellationToken) {
    source.keep(stop).await;
}

/// Reads those of the operator, and then takes away what is old.
async fn keep_datasets(datasets: Arc<Datasets>) {
    datasets.preload().await;
    let mut every = interval(DATASETS_UPKEEP);
    loop {
        every.tick().await;
        datasets.sweep().await;
    }
}

async fn tend_memories(memories: Arc<Memories>) {
    memories.tend().await;
}

/// Deletes what is to be forgotten by itself.
async fn keep_memories(memories: Arc<dyn MemoryStore>) {
    let mut every = interval(MEMORIES_UPKEEP);
    loop {
        every.tick().await;
        loop {
            match memories.delete_expired_memories(Timestamp::now(), MAX_EXPIRED_MEMORIES).await {
                Ok(0) => break,
                Ok(memories) => info!(memories, "deleted memories whose time was over"),
                Err(error) => {
                    error!(%error, "memories whose time is over could not be deleted");
                    break;
                }
            }
        }
    }
}

async fn keep_uses(auth: Arc<Authenticator>, stop: CancellationToken) {
    if let Some(keys) = auth.keys() {
        keys.keep(stop).await;
    }
}

/// Has what other gateways take back end here, too.
async fn follow_credentials(auth: Arc<Authenticator>, hub: Arc<Hub>) {
    loop {
        sleep(FOLLOW_EVERY).await;
        match auth.follow().await {
            Ok(true) => hub.wake(),
            Ok(false) => {}
            Err(error) => error!(%error, "what other gateways take back is not known here"),
        }
    }
}

async fn tidy_up(metrics: PrometheusHandle, log: Log) {
    let mut every = interval(METRICS_UPKEEP);
    loop {
        every.tick().await;
        metrics.run_upkeep();
        log.tell_left_out();
    }
}

/// Does `work` until the `ending`, or to its end.
pub(super) async fn until(ending: CancellationToken, work: impl Future<Output = ()>) {
    ending.run_until_cancelled(work).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_panics_begins_again_and_what_ends_does_not() {
        let begun = Cell::new(0);
        lasting("a test", || async {
            begun.set(begun.get() + 1);
            assert!(begun.get() > 2, "on purpose");
        })
        .await;
        assert_eq!(begun.get(), 3);
    }
}
