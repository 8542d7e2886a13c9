//! What an operator wants to know of the parts. A caller who is known needs the scope `admin`; one who is not gets here
//! only where nobody has to be.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::gateway::Gateway;
use crate::telemetry::caches::{ANSWERS, CacheReport, EMBEDDINGS, RETRIEVAL};

/// How each target stands, without addresses and keys.
pub(super) async fn llm(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let reports = gateway.model.targets();
    let targets = reports.iter().map(|target| {
        json!({
            "name": target.name,
            "model": target.model,
            "breaker": target.breaker.as_str(),
            "open_for_ms": target.open_for.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            "failures": target.failures,
            "last_failure": target.last_failure,
            "tokens_left": target.tokens_left,
            "requests_left": target.requests_left,
        })
    });
    Json(json!({ "model": gateway.model.name().as_ref(), "targets": targets.collect::<Vec<_>>() }))
}

/// How each cache stands; those that are switched off too.
pub(super) async fn cache(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let known: Vec<_> = gateway.model.caches().into_iter().chain(gateway.retriever.caches().await).collect();
    let caches = [ANSWERS, EMBEDDINGS, RETRIEVAL].map(|name| {
        let report = known.iter().find(|report| report.name == name);
        let report = report.copied().unwrap_or_else(|| CacheReport::off(name));
        json!({
            "name": name,
            "enabled": report.enabled,
            "entries": report.entries,
            "capacity": report.capacity,
            "ttl_s": report.ttl.map(|ttl| ttl.as_secs_f64()),
            "hits": report.hits,
            "joined": report.joined,
            "misses": report.misses,
            "passed": report.passed,
        })
    });
    Json(json!({ "caches": caches }))
}
