//! Whether the gateway lives, whether it takes work, and what it counts.
//!
//! Liveness looks at nothing: a restart mends no database. Readiness looks at what a chat needs, the store; chat works
//! without knowledge, so that is reported and not required.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::gateway::Gateway;
use crate::{knowledge::KnowledgeStatus, llm::breaker::BreakerState};

pub(super) async fn live() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let (code, status) = if gateway.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if gateway.store_health.is_up(&**gateway.hub.store()).await {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable")
    };
    (code, Json(json!({ "status": status, "knowledge": knowledge(&gateway) })))
}

pub(super) async fn health(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let store = gateway.store_health.is_up(&**gateway.hub.store()).await;
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

pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], gateway.metrics.render())
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

/// Why it failed is for the log: clients learn that it did.
fn knowledge(gateway: &Gateway) -> KnowledgeStatus {
    match gateway.retriever.status() {
        KnowledgeStatus::Failed(_) => KnowledgeStatus::Failed("see the log".to_owned()),
        status => status,
    }
}
