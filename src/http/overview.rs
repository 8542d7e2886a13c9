//! `/admin/sessions`, `/admin/stats`, `/admin/feedback`, `/admin/drain`: the gateway at one glance, and its end.
//!
//! An admin of a tenant sees what is of the tenant, and nothing that tells of others; who administers all tenants sees all
//! of it, or one of them when it is named. Nobody sees here what was said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Extension, Json as Reply,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::{IntoParams, ToSchema};

use super::{
    admin::{self, Cache, Llm},
    census::{Jobs, documents},
    credentials::reachable,
    desk::page_limit,
    gateway::Gateway,
    identity::{allow, unauthenticated},
    problem::Problem,
    sessions::query,
};
use crate::{
    auth::{Caller, Right},
    chat::{Phase, RunId, SessionId, Timestamp},
    hub,
    session::{RunReport, SessionReport},
    store::FeedbackCount,
    telemetry::{
        metrics::{HTTP_IN_PROGRESS, RATE_LIMITED, RUN_TTFT, RUNS, RUNS_ACTIVE, TOKENS_DELIVERED, WS_CONNECTIONS},
        readings::Readings,
    },
};

/// The most days that feedback is counted of.
const MAX_DAYS: u64 = 90;
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Busiest {
    /// All that one may administer when absent.
    tenant: Option<String>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// All that one may administer when absent.
    tenant: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// All that one may administer when absent.
    tenant: Option<String>,
    /// How many days, today included; 30 when absent.
    #[param(minimum = 1, maximum = 90)]
    days: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LiveSessions {
    sessions: Vec<LiveSession>,
    counts: Counts,
}

/// The sessions in memory, in numbers.
#[derive(Serialize, ToSchema)]
struct Counts {
    in_memory: usize,
    /// Those of them that somebody watches.
    watched: usize,
    /// How many watch.
    viewers: usize,
    /// Those in which an answer is being written or waits.
    busy: usize,
}

/// A session in memory.
#[derive(Serialize, ToSchema)]
struct LiveSession {
    session: SessionId,
    tenant: Option<String>,
    user: Option<String>,
    viewers: usize,
    unused_s: u64,
    /// The answer that is being written.
    run: Option<LiveRun>,
}

#[derive(Serialize, ToSchema)]
struct LiveRun {
    run: RunId,
    /// Who answers, as far as it is known.
    model: String,
    phase: Phase,
    age_s: Option<f64>,
    /// The UTF-16 code units of its text so far.
    written: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Stats {
    at: Timestamp,
    version: &'static str,
    draining: bool,
    /// Whose sessions are counted; all when there is none.
    tenant: Option<String>,
    /// Whether there is a knowledge base.
    documents: bool,
    sessions: Counts,
    model: Llm,
    /// What is of nobody in particular, for who may administer all tenants.
    gateway: Option<Whole>,
}

/// The whole gateway, in numbers. Counters begin with the process; whoever asks again sees what came in between.
#[derive(Serialize, ToSchema)]
#[schema(as = GatewayStats)]
struct Whole {
    up_s: u64,
    sockets: f64,
    /// In progress.
    requests: f64,
    runs: Runs,
    /// Tokens delivered.
    tokens: f64,
    first_token: FirstToken,
    /// What was refused, by the limit.
    limited: BTreeMap<String, f64>,
    caches: [Cache; 4],
    knowledge: Option<KnowledgeStats>,
}

#[derive(Serialize, ToSchema)]
struct Runs {
    active: f64,
    /// By how they ended.
    ended: BTreeMap<String, f64>,
}

#[derive(Serialize, ToSchema)]
struct FirstToken {
    count: f64,
    sum_s: f64,
}

#[derive(Serialize, ToSchema)]
struct KnowledgeStats {
    /// By their state.
    documents: BTreeMap<&'static str, u64>,
    jobs: Jobs,
    chunks: usize,
    /// Of the newest versions.
    bytes: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct FeedbackReport {
    days: u64,
    feedback: Vec<DayFeedback>,
}

/// What was thought of a model's answers on a day, for a version of an assistant.
#[derive(Serialize, ToSchema)]
struct DayFeedback {
    #[schema(format = Date)]
    day: String,
    model: Option<String>,
    assistant: String,
    version: Option<String>,
    variant: Option<String>,
    good: u64,
    bad: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Draining {
    draining: bool,
    /// How long it may take.
    drain_s: u64,
}

/// The sessions in memory: the busiest first.
#[utoipa::path(
    get, path = "/admin/sessions", tag = "Administration", operation_id = "list_live_sessions",
    params(Busiest),
    responses((status = 200, description = "Some of them, and how many there are", body = LiveSessions)),
)]
pub(super) async fn sessions(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Busiest>, QueryRejection>,
) -> Result<Reply<LiveSessions>, Problem> {
    let Busiest { tenant, limit } = query(wanted)?;
    let (counts, reports) = gateway.hub.overview(whose(&caller, tenant.as_deref())?, page_limit(limit)?);
    let sessions = reports.into_iter().map(LiveSession::from).collect();
    Ok(Reply(LiveSessions { sessions, counts: counts.into() }))
}

/// Numbers: of the tenant, and where it is not the whole gateway that is asked for, of nothing else.
#[utoipa::path(
    get, path = "/admin/stats", tag = "Administration", operation_id = "get_stats",
    params(Of),
    responses((status = 200, description = "As of now", body = Stats)),
)]
pub(super) async fn stats(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Of>, QueryRejection>,
) -> Result<Reply<Stats>, Problem> {
    let tenant = query(wanted)?.tenant;
    let tenant = whose(&caller, tenant.as_deref())?;
    let (counts, _) = gateway.hub.overview(tenant, 0);
    let Reply(model) = admin::llm(State(gateway.clone())).await;
    let whole = if tenant.is_none() { Some(of_all(&gateway).await) } else { None };
    Ok(Reply(Stats {
        at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION"),
        draining: gateway.draining.is_cancelled(),
        tenant: tenant.map(str::to_owned),
        documents: gateway.documents.is_some(),
        sessions: counts.into(),
        model,
        gateway: whole,
    }))
}

/// What was thought of answers, by the day, the model and the version of the assistant.
#[utoipa::path(
    get, path = "/admin/feedback", tag = "Administration", operation_id = "get_feedback",
    params(Since),
    responses((status = 200, description = "Days with feedback, newest first", body = FeedbackReport)),
)]
pub(super) async fn feedback(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Since>, QueryRejection>,
) -> Result<Reply<FeedbackReport>, Problem> {
    let Since { tenant, days } = query(wanted)?;
    let days = days.unwrap_or(30);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::invalid_field("days", &format!("must be 1 to {MAX_DAYS}")));
    }
    // Today is the last of them.
    let today = Timestamp::now().0 / DAY.as_millis() as u64;
    let since = Timestamp((today + 1).saturating_sub(days) * DAY.as_millis() as u64);
    let found = gateway.hub.store().feedback(whose(&caller, tenant.as_deref())?, since).await?;
    let feedback = found.into_iter().map(|row| {
        let day = row.day.to_string()[..10].to_owned();
        let FeedbackCount { model, assistant, version, variant, good, bad, .. } = row;
        DayFeedback { day, model, assistant, version, variant, good, bad }
    });
    Ok(Reply(FeedbackReport { days, feedback: feedback.collect() }))
}

/// Has the gateway end as SIGTERM does: whoever started it decides whether it comes back.
#[utoipa::path(
    post, path = "/admin/drain", tag = "Administration", operation_id = "drain",
    security(("bearer" = ["admin:tenants"])),
    responses((status = 202, description = "It is ending", body = Draining)),
)]
pub(super) async fn drain(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Reply<Draining>), Problem> {
    let Some(grant) = &caller.0 else {
        return Err(unauthenticated("this address needs a token with the scope `admin:tenants`"));
    };
    allow(&caller, Right::AdministerTenants)?;
    if !gateway.draining.is_cancelled() {
        warn!(tenant = grant.principal.tenant(), "an administrator has the gateway end");
        gateway.draining.cancel();
    }
    Ok((StatusCode::ACCEPTED, Reply(Draining { draining: true, drain_s: gateway.drain.as_secs() })))
}

/// The tenant that is meant; `None`: all of them, which takes who may administer all.
fn whose<'a>(caller: &'a Caller, named: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    if named.is_none() && caller.may(Right::AdministerTenants) {
        return Ok(None);
    }
    reachable(caller, named).map(Some)
}

impl From<hub::Counts> for Counts {
    fn from(counts: hub::Counts) -> Self {
        let hub::Counts { sessions: in_memory, watched, viewers, busy } = counts;
        Self { in_memory, watched, viewers, busy }
    }
}

impl From<SessionReport> for LiveSession {
    fn from(report: SessionReport) -> Self {
        let SessionReport { id: session, owner, viewers, unused, run } = report;
        let (tenant, user) = owner.as_ref().and_then(|owner| owner.as_str().split_once('/')).unzip();
        let (tenant, user) = (tenant.map(str::to_owned), user.map(str::to_owned));
        Self { session, tenant, user, viewers, unused_s: unused.as_secs(), run: run.map(LiveRun::from) }
    }
}

impl From<RunReport> for LiveRun {
    fn from(report: RunReport) -> Self {
        let RunReport { run, model, phase, age, written } = report;
        Self { run, model: model.to_string(), phase, age_s: age.as_ref().map(Duration::as_secs_f64), written }
    }
}

async fn of_all(gateway: &Gateway) -> Whole {
    let text = gateway.metrics.render();
    let read = Readings::of(&text);
    let by = |metric, label| read.by(metric, label).into_iter().map(|(value, sum)| (value.to_owned(), sum)).collect();
    let kept = gateway.documents.as_ref().and_then(|documents| documents.health());
    Whole {
        up_s: gateway.hub.age().as_secs(),
        sockets: read.sum(WS_CONNECTIONS),
        requests: read.sum(HTTP_IN_PROGRESS),
        runs: Runs { active: read.sum(RUNS_ACTIVE), ended: by(RUNS, "status") },
        tokens: read.sum(TOKENS_DELIVERED),
        first_token: FirstToken {
            count: read.sum(&format!("{RUN_TTFT}_count")),
            sum_s: read.sum(&format!("{RUN_TTFT}_sum")),
        },
        limited: by(RATE_LIMITED, "scope"),
        caches: admin::caches(gateway).await,
        knowledge: kept.map(|kept| KnowledgeStats {
            documents: documents(&kept.census),
            jobs: (&kept.census).into(),
            chunks: kept.index.chunks,
            bytes: kept.index.bytes,
        }),
    }
}
