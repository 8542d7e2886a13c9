//! `/jobs`: how far work on documents is, as it is and as it goes on; cancelled, begun again.

use std::sync::Arc;

use async_stream::stream;
use axum::{
    Json as Answer,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    desk::{Desk, page_limit},
    event_stream::{Heard, KEEP_ALIVE, Listener, event_stream},
    gateway::Gateway,
    identity::{Asking, listening},
    parameters::{Parameters, parameters},
    places::ConnectionPermit,
    problem::Problem,
    rates,
    sessions::query,
};
use crate::{
    auth::Right,
    chat::{DocumentId, JobId, Timestamp},
    store::documents::{Fault, JobKind, JobRecord, JobState, Stage},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// The last id of the page before.
    before: Option<String>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    state: Option<JobState>,
}

/// A piece of work.
#[derive(Serialize, ToSchema)]
pub(super) struct Job {
    job: JobId,
    kind: JobKind,
    collection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<DocumentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    state: JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Stage>,
    /// Steps of the stage,
    done: u32,
    /// of so many.
    total: u32,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    /// Grows with every change.
    revision: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub(super) struct JobList {
    jobs: Vec<Job>,
    /// Whether there are older ones; ask again with `before` set to the last one's id.
    more: bool,
}

impl From<JobRecord> for Job {
    fn from(record: JobRecord) -> Self {
        Self {
            job: record.id,
            kind: record.kind,
            collection: record.collection,
            document: record.document,
            version: record.version,
            state: record.state,
            stage: record.progress.stage,
            done: record.progress.done,
            total: record.progress.total,
            attempts: record.attempts,
            error: record.fault,
            revision: record.progress.revision,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

fn no_job() -> Problem {
    Problem::not_found("job")
}

fn job_id(text: &str) -> Result<JobId, Problem> {
    JobId::parse(text).map_err(|_| no_job())
}

/// Lists the work on documents, newest first.
#[utoipa::path(
    get, path = "/jobs", tag = "Knowledge", operation_id = "list_jobs",
    params(Listing),
    responses((status = 200, description = "A page of it", body = JobList)),
)]
pub(super) async fn list(
    desk: Desk,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Answer<JobList>, Problem> {
    let Listing { before, limit, state } = query(listing)?;
    let before = before.as_deref().map(job_id).transpose()?;
    let page = desk.documents.store().jobs(&desk.tenant, state, before.as_ref(), page_limit(limit)?).await?;
    let page = page.ok_or_else(no_job)?;
    let jobs = page.items.into_iter().map(Job::from).collect();
    Ok(Answer(JobList { jobs, more: page.more }))
}

/// How far work is.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "Knowledge", operation_id = "get_job",
    params(("id" = JobId, Path)),
    responses((status = 200, description = "The work", body = Job)),
)]
pub(super) async fn show(desk: Desk, Path(id): Path<String>) -> Result<Answer<Job>, Problem> {
    let job = desk.documents.job(&desk.tenant, &job_id(&id)?).await?;
    Ok(Answer(job.ok_or_else(no_job)?.into()))
}

/// Ends work on a document.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "Knowledge", operation_id = "cancel_job",
    params(("id" = JobId, Path)),
    responses((status = 202, description = "It is being ended", body = Job)),
)]
pub(super) async fn cancel(desk: Desk, Path(id): Path<String>) -> Result<(StatusCode, Answer<Job>), Problem> {
    let id = job_id(&id)?;
    let cancelled = desk.documents.cancel(&desk.tenant, &id).await?;
    taken(&desk, &id, cancelled, "not_cancellable", "what is deleted is removed in any case").await
}

/// Begins work again that failed or was cancelled.
#[utoipa::path(
    post, path = "/jobs/{id}/retry", tag = "Knowledge", operation_id = "retry_job",
    params(("id" = JobId, Path)),
    responses((status = 202, description = "It is begun again", body = Job)),
)]
pub(super) async fn retry(desk: Desk, Path(id): Path<String>) -> Result<(StatusCode, Answer<Job>), Problem> {
    let id = job_id(&id)?;
    let begun = desk.documents.retry(&desk.tenant, &id).await?;
    let refusal = "only the last work on a document that failed or was cancelled can be begun again";
    taken(&desk, &id, begun, "not_retryable", refusal).await
}

/// What became of a wish about a job: the work as it is now, or why not, or that there is none such.
async fn taken(
    desk: &Desk,
    id: &JobId,
    changed: Option<JobRecord>,
    code: &'static str,
    refusal: &str,
) -> Result<(StatusCode, Answer<Job>), Problem> {
    if let Some(job) = changed {
        return Ok((StatusCode::ACCEPTED, Answer(job.into())));
    }
    desk.documents.job(&desk.tenant, id).await?.ok_or_else(no_job)?;
    Err(Problem::new(StatusCode::CONFLICT, code, refusal))
}

/// Work as it goes on, as server-sent events.
///
/// Every event has the whole state, so whoever comes back needs nothing of what it missed. The stream ends with the work.
#[utoipa::path(
    get, path = "/jobs/{id}/events", tag = "Knowledge", operation_id = "watch_job",
    params(("id" = JobId, Path), Parameters),
    security(("bearer" = ["knowledge:read"]), ("ticket" = [])),
    responses((status = 200, description = "Events, each a `Job`", content(("text/event-stream")))),
)]
pub(super) async fn events(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    given: Result<Query<Parameters>, QueryRejection>,
    mut request: Request,
) -> Result<Response, Problem> {
    let told = parameters(given)?;
    let head = (request.headers(), request.extensions());
    let Asking { caller, standing, .. } =
        listening(&gateway, head, told.ticket.as_deref(), Right::ReadKnowledge).await?;
    let desk = Desk::of(&gateway, &caller)?;
    let mut watched = desk.documents.watch(&desk.tenant, &job_id(&id)?).await?.ok_or_else(no_job)?;
    let draining = gateway.draining.clone();
    let permit = request.extensions_mut().remove::<ConnectionPermit>();
    let events = stream! {
        let _held_while_the_stream_is_open = permit;
        let (mut seen, listener) = (None, Listener::new(gateway.auth.clone(), caller));
        loop {
            let job = watched.borrow_and_update().clone();
            if seen.replace(job.progress.revision) != Some(job.progress.revision) {
                let has_ended = job.state.has_ended();
                let (revision, job) = (job.progress.revision, Job::from(job));
                let Ok(text) = serde_json::to_string(&job) else { return };
                yield format!("id: {revision}\ndata: {text}\n\n");
                if has_ended {
                    return;
                }
            }
            if !listener.may_go_on() {
                return;
            }
            let heard = tokio::select! {
                () = draining.cancelled() => return, // Browsers come back by themselves.
                heard = listener.wait(watched.changed()) => heard,
            };
            match heard {
                Heard::Change(Ok(())) => {}
                Heard::Change(Err(_)) | Heard::Over => return,
            }
        }
    };
    let mut response = event_stream(KEEP_ALIVE, events);
    rates::note(&mut response, standing);
    Ok(response)
}
