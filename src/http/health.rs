//! Whether the gateway lives, whether it takes work, and what it counts.
//!
//! Liveness looks at nothing: a restart mends no database. Readiness looks at what a chat needs, the store; chat works
//! without knowledge, so that is reported and not required.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::gateway::Gateway;
use crate::{
    auth::jwks::SourceState,
    knowledge::{
        KnowledgeStatus,
        jobs::{Health, IndexHealth},
    },
    llm::breaker::BreakerState,
    telemetry::{metrics::BREAKER_STATE, recorder},
};

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

/// The report of [`health`] in one word, for who is not to know more.
pub(super) async fn status(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let (code, Json(report)) = health(State(gateway)).await;
    (code, Json(json!({ "status": report["status"] })))
}

pub(super) async fn health(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let store = gateway.store_health.is_up(&**gateway.hub.store()).await;
    let knowledge = knowledge(&gateway);
    let model_is_resting = model(&gateway)["state"] == "down";
    let kept = gateway.documents.as_ref().and_then(|documents| documents.health());
    let keys = gateway.auth.key_source().map(|source| source.state());
    let is_damaged = kept.as_ref().is_some_and(|kept| kept.index.failed + kept.index.unwritable > 0);
    let status = match (store, &knowledge) {
        (false, _) => "down",
        (true, KnowledgeStatus::Failed(_)) => "degraded",
        (true, _) if is_damaged => "degraded",
        (true, _) if model_is_resting => "degraded",
        (true, _) if keys.is_some_and(|(state, _)| state != SourceState::Ready) => "degraded",
        (true, _) => "ok",
    };
    let code = if store { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "components": {
            "store": { "state": if store { "ready" } else { "down" } },
            "knowledge": Kept { status: knowledge, about: kept.as_ref().map(About::from) },
            "model": model(&gateway),
            "sessions": { "in_memory": gateway.hub.len() },
        },
    });
    if let Some((state, known)) = keys {
        body["components"]["keys"] = json!({ "state": state.as_str(), "known": known });
    }
    (code, Json(body))
}

/// Some of it is found out for this answer: whether the store takes writes, for nobody else may ask, and how the breakers
/// stand of the targets that there are, for those that were replaced may still be answering.
pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    gateway.store_health.is_up(&**gateway.hub.store()).await;
    for target in gateway.model.targets() {
        metrics::gauge!(BREAKER_STATE, "target" => target.name).set(target.breaker.level());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder::render(&gateway.metrics))
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
    json!({ "name": gateway.model.name().as_ref(), "state": state, "targets": targets })
}

/// The knowledge base, and what is in it.
#[derive(Serialize)]
struct Kept {
    #[serde(flatten)]
    status: KnowledgeStatus,
    #[serde(flatten)]
    about: Option<About>,
}

#[derive(Serialize)]
struct About {
    documents: BTreeMap<&'static str, u64>,
    jobs: Value,
    index: IndexHealth,
}

impl From<&Health> for About {
    fn from(Health { census, index }: &Health) -> Self {
        Self {
            documents: census.documents.iter().map(|(state, count)| (state.as_str(), *count)).collect(),
            jobs: json!({ "queued": census.queued, "running": census.running }),
            index: index.clone(),
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
