//! Whether the gateway lives, whether it takes work, and what it counts.
//!
//! Liveness looks at nothing: a restart mends no database. Readiness looks at what a chat needs, the store; chat works
//! without knowledge, so that is reported and not required.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::Gateway;
use crate::knowledge::KnowledgeStatus;

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
    let status = match (store, &knowledge) {
        (false, _) => "down",
        (true, KnowledgeStatus::Failed(_)) => "degraded",
        (true, _) => "ok",
    };
    let code = if store { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "components": {
            "store": { "state": if store { "ready" } else { "down" } },
            "knowledge": knowledge,
            "model": { "name": &*gateway.model },
            "sessions": { "in_memory": gateway.hub.len() },
        },
    });
    (code, Json(body))
}

pub(super) async fn metrics(State(gateway): State<Gateway>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], gateway.metrics.render())
}

async fn store_is_up(gateway: &Gateway) -> bool {
    match gateway.hub.store().check().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "the store is down");
            false
        }
    }
}

/// Why it failed is for the log: clients learn that it did.
fn knowledge(gateway: &Gateway) -> KnowledgeStatus {
    match gateway.retriever.status() {
        KnowledgeStatus::Failed(_) => KnowledgeStatus::Failed("see the log".to_owned()),
        status => status,
    }
}
