//! Whether the gateway lives, whether it takes work, and what it counts.
//!
//! Liveness looks at nothing: a restart mends no database. Readiness looks at what a chat needs, the store; chat works
//! without knowledge, so that is reported and not required.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::warn;

use super::Gateway;
use crate::{knowledge::KnowledgeStatus, llm::breaker::BreakerState};

pub(super) async fn live() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(gateway): State<Gateway>) -> (StatusCode, Json<Value>) {
    let (code, status) = if gateway.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if store_is_up(&gateway).await {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable")
    };
    (code, Json(json!({ "status": status, "knowledge": knowledge(&gateway) })))
}

pub(super) async fn health(State(gateway): State<Gateway>) -> (StatusCode, Json<Value>) {
    let store = store_is_up(&gateway).await;
    let knowledge = knowledge(&gateway);
    let model_is_resting = model(&gateway)["state"] == "down";
    let status = match (store, &knowledge) {
        (false, _) => "down",
        (true, KnowledgeStatus::Failed(_)) => "degraded",
        (true, _) if model_is_resting => "degraded",
        (true, _) => "ok",
    };
    let code = if store { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "components": {
            "store": { "state": if store { "ready" } else { "down" } },
            "knowledge": knowledge,
            "model": model(&gateway),
            "sessions": { "in_memory": gateway.hub.len() },
        },
    });
    (code, Json(body))
}

pub(super) async fn metrics(State(gateway): State<Gateway>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], gateway.metrics.render())
}

/// Whether the store answered last. A look costs a write with its fsync, and anybody may ask: one a second is enough.
#[derive(Debug, Default)]
pub struct StoreHealth(Mutex<Option<(Instant, bool)>>);

/// How long an answer of the store is good for.
const FRESH: Duration = Duration::from_secs(1);

async fn store_is_up(gateway: &Gateway) -> bool {
    let mut last = gateway.store_health.0.lock().await; // Who comes meanwhile waits for this look.
    if let Some((_, up)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
        return up;
    }
    let up = match timeout(PATIENCE, gateway.hub.store().check()).await {
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
    *last = Some((Instant::now(), up));
    up
}

/// The targets by name, and whether they are asked. A target that is left alone makes it `degraded`, all of them `down`.
fn model(gateway: &Gateway) -> Value {
    let targets = gateway.model.targets();
    let resting = targets.iter().filter(|target| matches!(target.breaker, BreakerState::Open(_))).count();
    let state = match resting {
        0 => "ready",
        some if some < targets.len() => "degraded",
        _ => "down",
    };
    let targets: Vec<_> =
        targets.iter().map(|target| json!({ "name": target.name, "breaker": target.breaker.as_str() })).collect();
    json!({ "name": gateway.model.name(), "state": state, "targets": targets })
}

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why it failed is for the log: clients learn that it did.
fn knowledge(gateway: &Gateway) -> KnowledgeStatus {
    match gateway.retriever.status() {
        KnowledgeStatus::Failed(_) => KnowledgeStatus::Failed("see the log".to_owned()),
        status => status,
    }
}
