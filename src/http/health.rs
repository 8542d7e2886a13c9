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
use utoipa::ToSchema;

use super::{
    census::{Jobs, documents},
    gateway::Gateway,
};
use crate::{
    auth::jwks::SourceState,
    datasets::About,
    knowledge::{KnowledgeStatus, jobs::IndexHealth},
    llm::breaker::BreakerState,
    telemetry::{metrics::BREAKER_STATE, recorder},
    tools::ServerState,
};

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ready`, `draining` or `storage_unavailable`.
    status: &'static str,
    knowledge: KnowledgeStatus,
}

#[derive(Serialize, ToSchema)]
pub(super) struct InOneWord {
    /// `ok`, `degraded` or `down`.
    status: &'static str,
}

/// How the gateway is.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct Report {
    /// `ok`, `degraded` or `down`.
    status: &'static str,
    version: &'static str,
    components: Components,
}

#[derive(Serialize, ToSchema)]
struct Components {
    store: Store,
    knowledge: Knowledge,
    model: Model,
    sessions: Sessions,
    /// Those that speak MCP and were asked for a tool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<Server>,
    /// Those of the operator that could be read, where there are some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datasets: Vec<Dataset>,
    /// Other gateways, where there is a way to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<Cluster>,
    /// Those of an identity provider, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Keys>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StoreHealth)]
struct Store {
    /// `ready` or `down`.
    state: &'static str,
}

/// The knowledge base, and what is in it.
#[derive(Serialize, ToSchema)]
#[schema(as = KnowledgeHealth)]
struct Knowledge {
    #[serde(flatten)]
    status: KnowledgeStatus,
    /// By their state.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<BTreeMap<&'static str, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<Jobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<IndexHealth>,
}

/// The targets by name, and whether they are asked. A target that is left alone makes it `degraded`, all of them `down`.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelHealth)]
struct Model {
    name: String,
    /// `ready`, `degraded` or `down`.
    state: &'static str,
    targets: Vec<Target>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TargetHealth)]
struct Target {
    name: String,
    /// `closed`, `probing` or `open`.
    breaker: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SessionsHealth)]
struct Sessions {
    in_memory: usize,
}

/// A dataset that everybody can ask.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetHealth)]
struct Dataset {
    name: String,
    rows: usize,
    columns: usize,
}

/// A server of tools. One that is left alone, or has a tool that is off, makes it `degraded`.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerHealth)]
struct Server {
    name: String,
    /// `ready` or `left_alone`.
    state: &'static str,
    /// The tools that are not as they were pinned, and are not called.
    off: Vec<String>,
}

/// Without the way to others, sessions that they have cannot be shown here, and limits and tickets are this gateway's own:
/// `degraded`.
#[derive(Serialize, ToSchema)]
#[schema(as = ClusterHealth)]
struct Cluster {
    /// `ready`, `apart` (gateways with the same database cannot be reached: they use another Redis) or `down`.
    state: &'static str,
    /// Whether sessions are shared; without a database that is shared, limits and tickets alone.
    sessions: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeysHealth)]
struct Keys {
    /// `ready`, `stale` or `missing`.
    state: &'static str,
    known: usize,
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/livez", tag = "Health", operation_id = "is_alive",
    responses((status = 200, description = "It does", body = String)),
)]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Whether it takes work. Also at `/ready`.
#[utoipa::path(
    get, path = "/readyz", tag = "Health", operation_id = "is_ready",
    responses(
        (status = 200, description = "It does", body = Readiness),
        (status = 503, description = "It does not", body = Readiness),
    ),
)]
pub(super) async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Readiness>) {
    let (code, status) = if gateway.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if gateway.store_health.is_up(&**gateway.hub.store()).await {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable")
    };
    (code, Json(Readiness { status, knowledge: knowledge(&gateway) }))
}

/// How it is, in one word.
#[utoipa::path(
    get, path = "/health", tag = "Health", operation_id = "get_health_in_one_word",
    responses(
        (status = 200, description = "It works, or most of it does", body = InOneWord),
        (status = 503, description = "It does not", body = InOneWord),
    ),
)]
pub(super) async fn status(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<InOneWord>) {
    let (code, Json(report)) = health(State(gateway)).await;
    (code, Json(InOneWord { status: report.status }))
}

/// A report on its parts.
#[utoipa::path(
    get, path = "/health", tag = "Health", operation_id = "get_health",
    responses(
        (status = 200, description = "It works, or most of it does", body = Report),
        (status = 503, description = "It does not", body = Report),
    ),
)]
pub(super) async fn health(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Report>) {
    let store = gateway.store_health.is_up(&**gateway.hub.store()).await;
    let kept = gateway.documents.as_ref().and_then(|documents| documents.health());
    let source = gateway.auth.key_source().map(|source| source.state());
    let (knowledge, model) = (knowledge(&gateway), model(&gateway));
    let (others, unreached) = (gateway.hub.reaches_others(), gateway.hub.unreached());
    let counted = gateway.redis.as_ref().map(|redis| redis.is_up());
    let is_damaged = kept.as_ref().is_some_and(|kept| kept.index.failed + kept.index.unwritable > 0);
    let servers = gateway.runner.tools.servers();
    let is_degraded = is_damaged
        || servers.iter().any(|server| server.is_left_alone || !server.off.is_empty())
        || matches!(knowledge, KnowledgeStatus::Failed(_))
        || model.state == "down"
        || others == Some(false)
        || unreached > 0
        || counted == Some(false)
        || source.is_some_and(|(state, _)| state != SourceState::Ready);
    let (code, status) = match (store, is_degraded) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        (true, true) => (StatusCode::OK, "degraded"),
        (true, false) => (StatusCode::OK, "ok"),
    };
    let components = Components {
        store: Store { state: if store { "ready" } else { "down" } },
        knowledge: Knowledge {
            status: knowledge,
            documents: kept.as_ref().map(|kept| documents(&kept.census)),
            jobs: kept.as_ref().map(|kept| Jobs::from(&kept.census)),
            index: kept.map(|kept| kept.index),
        },
        model,
        sessions: Sessions { in_memory: gateway.hub.len() },
        servers: servers.into_iter().map(Server::from).collect(),
        datasets: datasets(&gateway),
        cluster: counted.map(|counted| Cluster {
            state: match counted && others != Some(false) {
                true if unreached > 0 => "apart",
                true => "ready",
                false => "down",
            },
            sessions: others.is_some(),
        }),
        keys: source.map(|(state, known)| Keys { state: state.as_str(), known }),
    };
    (code, Json(Report { status, version: env!("CARGO_PKG_VERSION"), components }))
}

/// Counters, in Prometheus' text format.
///
/// Some of it is found out for this answer: whether the store takes writes, for nobody else may ask, and how the breakers
/// stand of the targets that there are, for those that were replaced may still be answering.
#[utoipa::path(
    get, path = "/metrics", tag = "Health", operation_id = "get_metrics",
    responses((status = 200, description = "All of them", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    gateway.store_health.is_up(&**gateway.hub.store()).await;
    for target in gateway.model.targets() {
        metrics::gauge!(BREAKER_STATE, "target" => target.name).set(target.breaker.level());
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder::render(&gateway.metrics))
}

fn model(gateway: &Gateway) -> Model {
    let targets = gateway.model.targets();
    let resting = targets.iter().filter(|target| matches!(target.breaker, BreakerState::Open(_))).count();
    let state = match resting {
        0 => "ready",
        some if some < targets.len() => "degraded",
        _ => "down",
    };
    let targets = targets.into_iter().map(|target| Target { name: target.name, breaker: target.breaker.as_str() });
    Model { name: gateway.model.name().to_string(), state, targets: targets.collect() }
}

impl From<ServerState> for Server {
    fn from(ServerState { name, is_left_alone, off }: ServerState) -> Self {
        Self { name, state: if is_left_alone { "left_alone" } else { "ready" }, off }
    }
}

fn datasets(gateway: &Gateway) -> Vec<Dataset> {
    let preloaded = gateway.runner.tools.datasets.preloaded();
    let shown = |about: &About| Dataset { name: about.name.clone(), rows: about.rows, columns: about.columns.len() };
    preloaded.iter().map(|dataset| shown(&dataset.about)).collect()
}

/// Why it failed is for the log: clients learn that it did.
fn knowledge(gateway: &Gateway) -> KnowledgeStatus {
    match gateway.retriever.status() {
        KnowledgeStatus::Failed(_) => KnowledgeStatus::Failed("see the log".to_owned()),
        status => status,
    }
}
