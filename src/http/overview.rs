//! `/admin/sessions`, `/admin/stats`, `/admin/feedback`, `/admin/drain`: the gateway at one glance, and its end.
//!
//! An admin of a tenant sees what is of the tenant, and nothing that tells of others; who administers all tenants sees all
//! of it, or one of them when it is named. Nobody sees here what was said.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json as Reply,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use super::{
    admin,
    credentials::reachable,
    desk::page_limit,
    gateway::Gateway,
    identity::{allow, unauthenticated},
    problem::Problem,
    sessions::query,
};
use crate::{
    auth::{Caller, Right},
    chat::Timestamp,
    hub::Counts,
    session::{RunReport, SessionReport},
    telemetry::{
        metrics::{HTTP_IN_PROGRESS, RATE_LIMITED, RUN_TTFT, RUNS, RUNS_ACTIVE, TOKENS_DELIVERED, WS_CONNECTIONS},
        readings::Readings,
    },
};

/// The most days that feedback is counted of.
const MAX_DAYS: u64 = 90;
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
pub(super) struct Wanted {
    tenant: Option<String>,
    limit: Option<usize>,
    days: Option<u64>,
}

/// The sessions in memory: the busiest first.
pub(super) async fn sessions(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Reply<Value>, Problem> {
    let Wanted { tenant, limit, .. } = query(wanted)?;
    let (counts, reports) = gateway.hub.overview(whose(&caller, tenant.as_deref())?, page_limit(limit)?);
    let sessions: Vec<_> = reports.iter().map(session).collect();
    Ok(Reply(json!({ "sessions": sessions, "counts": counted(counts) })))
}

/// Numbers: of the tenant, and where it is not the whole gateway that is asked for, of nothing else.
pub(super) async fn stats(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Reply<Value>, Problem> {
    let tenant = query(wanted)?.tenant;
    let tenant = whose(&caller, tenant.as_deref())?;
    let (counts, _) = gateway.hub.overview(tenant, 0);
    let Reply(model) = admin::llm(State(gateway.clone())).await;
    let whole = if tenant.is_none() { Some(of_all(&gateway).await) } else { None };
    Ok(Reply(json!({
        "at": Timestamp::now(),
        "version": env!("CARGO_PKG_VERSION"),
        "draining": gateway.draining.is_cancelled(),
        "tenant": tenant,
        "documents": gateway.documents.is_some(),
        "sessions": counted(counts),
        "model": model,
        "gateway": whole,
    })))
}

/// What was thought of answers, by the day and the model.
pub(super) async fn feedback(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Reply<Value>, Problem> {
    let Wanted { tenant, days, .. } = query(wanted)?;
    let days = days.unwrap_or(30);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::invalid_field("days", &format!("must be 1 to {MAX_DAYS}")));
    }
    // Today is the last of them.
    let today = Timestamp::now().0 / DAY.as_millis() as u64;
    let since = Timestamp((today + 1).saturating_sub(days) * DAY.as_millis() as u64);
    let found = gateway.hub.store().opinions(whose(&caller, tenant.as_deref())?, since).await?;
    let rows = found.iter().map(|row| {
        let day = &row.day.to_string()[..10];
        json!({ "day": day, "model": row.model, "good": row.good, "bad": row.bad })
    });
    Ok(Reply(json!({ "days": days, "feedback": rows.collect::<Vec<_>>() })))
}

/// Has the gateway end as SIGTERM does: whoever started it decides whether it comes back.
pub(super) async fn drain(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Reply<Value>), Problem> {
    let Some(grant) = &caller.0 else {
        return Err(unauthenticated("this address needs a token with the scope `admin:tenants`"));
    };
    allow(&caller, Right::AdministerTenants)?;
    if !gateway.draining.is_cancelled() {
        warn!(tenant = grant.principal.tenant(), "an administrator has the gateway end");
        gateway.draining.cancel();
    }
    Ok((StatusCode::ACCEPTED, Reply(json!({ "draining": true, "drain_s": gateway.drain.as_secs() }))))
}

/// The tenant that is meant; `None`: all of them, which takes who may administer all.
fn whose<'a>(caller: &'a Caller, named: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    if named.is_none() && caller.may(Right::AdministerTenants) {
        return Ok(None);
    }
    reachable(caller, named).map(Some)
}

fn counted(counts: Counts) -> Value {
    let Counts { sessions, watched, viewers, busy } = counts;
    json!({ "in_memory": sessions, "watched": watched, "viewers": viewers, "busy": busy })
}

fn session(report: &SessionReport) -> Value {
    let (tenant, user) = report.owner.as_ref().and_then(|owner| owner.as_str().split_once('/')).unzip();
    json!({
        "session": report.id,
        "tenant": tenant,
        "user": user,
        "viewers": report.viewers,
        "unused_s": report.unused.as_secs(),
        "run": report.run.as_ref().map(run),
    })
}

fn run(report: &RunReport) -> Value {
    json!({
        "run": report.run,
        "model": report.model,
        "phase": report.phase,
        "age_s": report.age.map(|age| age.as_secs_f64()),
        "written": report.written,
    })
}

/// What is of nobody in particular. Counters begin with the process; whoever asks again sees what came in between.
async fn of_all(gateway: &Arc<Gateway>) -> Value {
    let text = gateway.metrics.render();
    let read = Readings::of(&text);
    let Reply(caches) = admin::cache(State(gateway.clone())).await;
    let kept = gateway.documents.as_ref().and_then(|documents| documents.health());
    let knowledge = kept.map(|kept| {
        let documents: serde_json::Map<_, _> =
            kept.census.documents.iter().map(|(state, count)| (state.as_str().to_owned(), json!(count))).collect();
        json!({
            "documents": documents,
            "jobs": { "queued": kept.census.queued, "running": kept.census.running },
            "chunks": kept.index.chunks,
            "bytes": kept.index.bytes,
        })
    });
    json!({
        "up_s": gateway.hub.age().as_secs(),
        "sockets": read.sum(WS_CONNECTIONS),
        "requests": read.sum(HTTP_IN_PROGRESS),
        "runs": { "active": read.sum(RUNS_ACTIVE), "ended": read.by(RUNS, "status") },
        "tokens": read.sum(TOKENS_DELIVERED),
        "first_token": {
            "count": read.sum(&format!("{RUN_TTFT}_count")),
            "sum_s": read.sum(&format!("{RUN_TTFT}_sum")),
        },
        "limited": read.by(RATE_LIMITED, "scope"),
        "caches": caches["caches"],
        "knowledge": knowledge,
    })
}
