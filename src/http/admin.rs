//! What an operator wants to know of the parts. A caller who is known needs the scope `admin`; one who is not gets here
//! only where nobody has to be.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::gateway::Gateway;
use crate::{
    llm::TargetReport,
    telemetry::caches::{ANSWERS, CacheReport, EMBEDDINGS, FORECASTS, RETRIEVAL},
};

/// What answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Llm {
    /// Its name, as clients see it.
    model: String,
    targets: Vec<Target>,
}

/// How a model's server stands.
#[derive(Serialize, ToSchema)]
struct Target {
    name: String,
    model: String,
    /// `closed`: it is asked; `open`: it is left alone; `probing`: it is being found out whether it is back.
    breaker: &'static str,
    /// How long it is left alone from now on.
    open_for_ms: Option<u64>,
    /// Failed runs since its last success.
    failures: u32,
    last_failure: Option<&'static str>,
    /// What its rate limit has left, where the provider tells.
    tokens_left: Option<u64>,
    requests_left: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Caches {
    caches: [Cache; 4],
}

/// How a cache stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Cache {
    name: &'static str,
    /// Whether anything is kept.
    enabled: bool,
    entries: u64,
    capacity: u64,
    ttl_s: Option<f64>,
    /// Looks that found it.
    hits: u64,
    /// Looks that found it in the Redis of all gateways.
    hits_shared: u64,
    /// Looks that shared what was just being made.
    joined: u64,
    /// Looks in vain.
    misses: u64,
    /// What was not looked up.
    passed: u64,
}

/// How each model's server stands, without addresses and keys.
#[utoipa::path(
    get, path = "/admin/llm", tag = "Administration", operation_id = "get_targets",
    responses((status = 200, description = "In the order in which they are asked", body = Llm)),
)]
pub(super) async fn llm(State(gateway): State<Arc<Gateway>>) -> Json<Llm> {
    let targets = gateway.model.targets().into_iter().map(Target::from).collect();
    Json(Llm { model: gateway.model.name().to_string(), targets })
}

/// How each cache stands; those that are switched off too.
#[utoipa::path(
    get, path = "/admin/cache", tag = "Administration", operation_id = "get_caches",
    responses((status = 200, description = "All of them", body = Caches)),
)]
pub(super) async fn cache(State(gateway): State<Arc<Gateway>>) -> Json<Caches> {
    Json(Caches { caches: caches(&gateway).await })
}

pub(super) async fn caches(gateway: &Gateway) -> [Cache; 4] {
    let known = gateway.model.caches().into_iter().chain(gateway.retriever.caches().await);
    let known: Vec<_> = known.chain([gateway.runner.tools.cache()]).collect();
    [ANSWERS, EMBEDDINGS, RETRIEVAL, FORECASTS].map(|name| {
        let report = known.iter().find(|report| report.name == name);
        report.copied().unwrap_or_else(|| CacheReport::off(name)).into()
    })
}

impl From<TargetReport> for Target {
    fn from(report: TargetReport) -> Self {
        let TargetReport { name, model, breaker, open_for, failures, last_failure, tokens_left, requests_left, .. } =
            report;
        let open_for_ms = open_for.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        let breaker = breaker.as_str();
        Self { name, model, breaker, open_for_ms, failures, last_failure, tokens_left, requests_left }
    }
}

impl From<CacheReport> for Cache {
    fn from(report: CacheReport) -> Self {
        let CacheReport { name, enabled, entries, capacity, ttl, hits, hits_shared, joined, misses, passed } = report;
        let ttl_s = ttl.as_ref().map(Duration::as_secs_f64);
        Self { name, enabled, entries, capacity, ttl_s, hits, hits_shared, joined, misses, passed }
    }
}
