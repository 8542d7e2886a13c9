//! What an operator wants to know of the parts.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::Gateway;

/// How each target stands. Neither addresses nor keys: whoever reaches the gateway may ask.
pub(super) async fn llm(State(gateway): State<Gateway>) -> Json<Value> {
    let reports = gateway.model.targets();
    let targets = reports.iter().map(|target| {
        json!({
            "name": target.name,
            "model": target.model,
            "breaker": target.breaker.as_str(),
            "open_for_ms": target.open_for.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            "failures": target.failures,
            "last_failure": target.last_failure,
        })
    });
    Json(json!({ "model": gateway.model.name(), "targets": targets.collect::<Vec<_>>() }))
}
