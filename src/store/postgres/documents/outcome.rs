//! Work as the one who works sees it: taken on, kept, ended.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::{
    jobs, lead,
    lock::lock,
    row::{JOB, VERSION, Value, job_row, one, tenant, version_row, without_nul},
};
use crate::{
    chat::{DocumentId, JobId, Timestamp},
    store::{
        Fence,
        columns::{integer, json_list, millis},
        documents::{
            Claimed, DocumentState, Fault, Indexed, JobKind, JobRecord, JobState, Lane, MAX_ATTEMPTS, Outcome,
            Progress, Stage,
        },
        postgres::{connect::Link, rows::get, writer::Failure},
    },
};

/// The code of what is held back.
const QUARANTINED: &str = "quarantined";

/// Whether there is work that nobody is at, or none that somebody should be at.
pub(super) async fn is_anything_due(
    link: Arc<Link>,
    fence: Fence,
    lane: Lane,
    now: Timestamp,
) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT FROM jobs WHERE state = 'queued' AND (kind = 'index') = $1 AND not_before <= $2)
        OR EXISTS (SELECT FROM jobs WHERE state = 'running' AND (lease < $2 OR fence <> $3))";
    let values: [Value<'_>; 3] =
        [(&(lane == Lane::Index), Type::BOOL), (&millis(now), Type::INT8), (&integer(fence.0), Type::INT8)];
    Ok(get(&link.client.query_typed_one(sql, &values).await?, 0)?)
}

pub(super) async fn claim(
    link: Arc<Link>,
    fence: Fence,
    lane: Lane,
    now: Timestamp,
    lease: Timestamp,
) -> Result<Option<Claimed>, Failure> {
    lead::hold(&link, fence).await?;
    give_up_expired(&link, fence, now).await?;
    let next = "SELECT position, tenant FROM jobs j
        WHERE state = 'queued' AND (kind = 'index') = $1 AND not_before <= $2
          AND NOT EXISTS (
            SELECT FROM jobs r WHERE r.state = 'running'
              AND (r.document = j.document
                   OR (j.kind = 'drop' AND r.tenant = j.tenant AND r.collection = j.collection)))
        ORDER BY (SELECT count(*) FROM jobs r WHERE r.state = 'running' AND r.tenant = j.tenant), position
        LIMIT 1";
    let values: [Value<'_>; 2] = [(&(lane == Lane::Index), Type::BOOL), (&millis(now), Type::INT8)];
    let Some(next) = one(&link, next, &values).await? else { return Ok(None) };
    let position: i64 = get(&next, 0)?;
    lock(&link, &tenant(&next, 1)?).await?;
    let sql = format!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, lease = $2, revision = revision + 1,
                         updated_at = $3, fence = $4
         WHERE position = $1 AND state = 'queued' RETURNING {JOB}"
    );
    let values: [Value<'_>; 4] = [
        (&position, Type::INT8),
        (&millis(lease), Type::INT8),
        (&millis(now), Type::INT8),
        (&integer(fence.0), Type::INT8),
    ];
    // Cancelled, until the tenant was locked.
    let Some(taken) = one(&link, &sql, &values).await? else { return Ok(None) };
    let job = job_row(&taken)?;
    if job.kind != JobKind::Index {
        return Ok(Some(Claimed { job, version: None, key: None }));
    }
    let (document, number) = (job.document.as_ref().map(DocumentId::as_str), job.version.map(i64::from));
    let sql = "UPDATE documents SET state = 'indexing', updated_at = $3 WHERE id = $1 AND version = $2";
    let values: [Value<'_>; 3] = [(&document, Type::TEXT), (&number, Type::INT8), (&millis(now), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    let sql = format!("SELECT {VERSION} FROM versions v WHERE v.document = $1 AND v.version = $2");
    let version = one(&link, &sql, &[(&document, Type::TEXT), (&number, Type::INT8)]).await?;
    let version = version.as_ref().map(version_row).transpose()?;
    let key = one(&link, "SELECT key FROM documents WHERE id = $1", &[(&document, Type::TEXT)]).await?;
    let key = key.as_ref().map(|row| get(row, 0)).transpose()?;
    Ok(Some(Claimed { job, version, key }))
}

/// Work whose lease is over, or of somebody who does not work any more: whoever had it is gone. It waits again, unless it
/// was to end or has had its attempts.
async fn give_up_expired(link: &Link, fence: Fence, now: Timestamp) -> Result<(), Failure> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE state = 'running' AND (lease < $1 OR fence <> $2) ORDER BY tenant");
    let expired = link.client.query_typed(&sql, &[(&millis(now), Type::INT8), (&integer(fence.0), Type::INT8)]).await?;
    for job in expired.iter().map(job_row) {
        let job = job?;
        lock(link, &job.tenant).await?;
        let fault = Fault::new("interrupted", "the gateway ended while it was being worked on");
        conclude(link, &job.id, &Outcome::Again(fault, now), now).await?;
    }
    Ok(())
}

pub(super) async fn renew(
    link: Arc<Link>,
    fence: Fence,
    job: JobId,
    progress: Progress,
    (now, lease): (Timestamp, Timestamp),
) -> Result<bool, Failure> {
    lead::hold(&link, fence).await?;
    note(&link, fence, &job, progress).await?;
    let sql = "UPDATE jobs SET lease = $2, updated_at = $3 WHERE id = $1 AND state = 'running' AND fence = $4
        RETURNING NOT cancelling";
    let values: [Value<'_>; 4] = [
        (&job.as_str(), Type::TEXT),
        (&millis(lease), Type::INT8),
        (&millis(now), Type::INT8),
        (&integer(fence.0), Type::INT8),
    ];
    let going = one(&link, sql, &values).await?;
    Ok(going.as_ref().map(|row| get(row, 0)).transpose()? == Some(true))
}

/// How far work under way is. It never falls back, also when it is begun anew.
async fn note(link: &Link, fence: Fence, job: &JobId, progress: Progress) -> Result<(), Failure> {
    let sql = "UPDATE jobs SET stage = $2, done = least(greatest(done, $3), greatest(total, $4)),
                               total = greatest(total, $4), revision = greatest(revision, $5)
        WHERE id = $1 AND state = 'running' AND fence = $6";
    let values: [Value<'_>; 6] = [
        (&job.as_str(), Type::TEXT),
        (&progress.stage.map(Stage::as_str), Type::TEXT),
        (&i64::from(progress.done), Type::INT8),
        (&i64::from(progress.total), Type::INT8),
        (&integer(progress.revision), Type::INT8),
        (&integer(fence.0), Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

pub(super) async fn end(
    link: Arc<Link>,
    fence: Fence,
    id: JobId,
    progress: Progress,
    outcome: Arc<Outcome>,
    at: Timestamp,
) -> Result<Option<JobRecord>, Failure> {
    lead::hold(&link, fence).await?;
    let sql = "SELECT tenant FROM jobs WHERE id = $1 AND state = 'running' AND fence = $2";
    let found = one(&link, sql, &[(&id.as_str(), Type::TEXT), (&integer(fence.0), Type::INT8)]).await?;
    let Some(found) = found else { return Ok(None) };
    lock(&link, &tenant(&found, 0)?).await?;
    note(&link, fence, &id, progress).await?;
    conclude(&link, &id, &outcome, at).await
}

/// For whoever has locked the tenant.
async fn conclude(link: &Link, id: &JobId, outcome: &Outcome, at: Timestamp) -> Result<Option<JobRecord>, Failure> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE id = $1 AND state = 'running'");
    let found = one(link, &sql, &[(&id.as_str(), Type::TEXT)]).await?;
    let Some(job) = found.as_ref().map(job_row).transpose()? else { return Ok(None) };
    match outcome {
        Outcome::Indexed(indexed) => {
            let is_there = index(link, &job, indexed, at).await?;
            close(link, &job, if is_there { JobState::Done } else { JobState::Cancelled }, None, at).await?;
        }
        Outcome::Removed => {
            remove(link, &job).await?;
            close(link, &job, JobState::Done, None, at).await?;
        }
        Outcome::Failed(fault) => fail(link, &job, DocumentState::Failed, fault, at).await?,
        Outcome::Quarantined(flags) => quarantine(link, &job, flags, at).await?,
        Outcome::Again(..) | Outcome::Released | Outcome::Cancelled if job.cancelling => {
            cancel(link, &job, at).await?;
        }
        Outcome::Cancelled => cancel(link, &job, at).await?,
        // What is deleted has to go, however often it takes.
        Outcome::Again(fault, _) if job.attempts >= MAX_ATTEMPTS && job.kind == JobKind::Index => {
            fail(link, &job, DocumentState::Failed, fault, at).await?;
        }
        Outcome::Again(fault, when) => wait(link, &job, Some(fault), *when, at).await?,
        Outcome::Released => wait(link, &job, None, Timestamp(0), at).await?,
    }
    jobs::job(link, &job.tenant, id).await
}

/// The version answers; false when its document was deleted meanwhile.
async fn index(link: &Link, job: &JobRecord, indexed: &Indexed, at: Timestamp) -> Result<bool, Failure> {
    let (document, version) = (job.document.as_ref().map(DocumentId::as_str), job.version.map(i64::from));
    let sql = "UPDATE versions SET doc_hash = $3, encoding = $4, warnings = $5, flags = $6, pages = $7, chunks = $8
        WHERE document = $1 AND version = $2";
    let values: [Value<'_>; 8] = [
        (&document, Type::TEXT),
        (&version, Type::INT8),
        (&indexed.doc_hash, Type::TEXT),
        (&indexed.encoding, Type::TEXT),
        (&json_list(&indexed.warnings)?, Type::TEXT),
        (&json_list(&indexed.flags)?, Type::TEXT),
        (&indexed.pages.map(i64::from), Type::INT8),
        (&i64::from(indexed.chunks), Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    let sql = "UPDATE documents SET indexed_version = $2, title = $3, updated_at = $4,
                                    state = CASE version WHEN $2 THEN 'ready' ELSE state END
        WHERE id = $1 AND deleted_at IS NULL";
    let values: [Value<'_>; 4] = [
        (&document, Type::TEXT),
        (&version, Type::INT8),
        (&without_nul(&indexed.title), Type::TEXT),
        (&millis(at), Type::INT8),
    ];
    Ok(link.client.execute_typed(sql, &values).await? > 0)
}

/// What was deleted leaves no row behind, except that of the work on it, which has nothing of it.
async fn remove(link: &Link, job: &JobRecord) -> Result<(), Failure> {
    let tenant = job.tenant.as_str();
    if let Some(document) = &job.document {
        let sql = "DELETE FROM documents WHERE id = $1 AND tenant = $2 AND deleted_at IS NOT NULL";
        link.client.execute_typed(sql, &[(&document.as_str(), Type::TEXT), (&tenant, Type::TEXT)]).await?;
        return Ok(());
    }
    for sql in [
        "DELETE FROM documents WHERE tenant = $1 AND collection = $2 AND deleted_at IS NOT NULL",
        "DELETE FROM collections WHERE tenant = $1 AND name = $2 AND deleted_at IS NOT NULL",
    ] {
        link.client.execute_typed(sql, &[(&tenant, Type::TEXT), (&job.collection, Type::TEXT)]).await?;
    }
    Ok(())
}

/// The reasons quote the document, so they stand with its version, which goes with it.
async fn quarantine(link: &Link, job: &JobRecord, flags: &[String], at: Timestamp) -> Result<(), Failure> {
    let (document, version) = (job.document.as_ref().map(DocumentId::as_str), job.version.map(i64::from));
    let sql = "UPDATE versions SET flags = $3 WHERE document = $1 AND version = $2";
    let values: [Value<'_>; 3] = [(&document, Type::TEXT), (&version, Type::INT8), (&json_list(flags)?, Type::TEXT)];
    link.client.execute_typed(sql, &values).await?;
    let fault = Fault::new(QUARANTINED, "it may be meant to steer a model; an admin may release it");
    fail(link, job, DocumentState::Quarantined, &fault, at).await
}

async fn fail(link: &Link, job: &JobRecord, state: DocumentState, fault: &Fault, at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE documents SET state = $6, code = $3, reason = $4, updated_at = $5
        WHERE id = $1 AND version = $2 AND deleted_at IS NULL";
    let values: [Value<'_>; 6] = [
        (&job.document.as_ref().map(DocumentId::as_str), Type::TEXT),
        (&job.version.map(i64::from), Type::INT8),
        (&fault.code, Type::TEXT),
        (&without_nul(&fault.detail), Type::TEXT),
        (&millis(at), Type::INT8),
        (&state.as_str(), Type::TEXT),
    ];
    link.client.execute_typed(sql, &values).await?;
    close(link, job, JobState::Failed, Some(fault), at).await
}

async fn cancel(link: &Link, job: &JobRecord, at: Timestamp) -> Result<(), Failure> {
    close(link, job, JobState::Cancelled, None, at).await?;
    jobs::nobody_wants(link, job, at).await
}

async fn close(
    link: &Link,
    job: &JobRecord,
    state: JobState,
    fault: Option<&Fault>,
    at: Timestamp,
) -> Result<(), Failure> {
    let sql = "UPDATE jobs SET state = $2, code = $3, reason = $4, lease = 0, updated_at = $5, revision = revision + 1,
                               done = CASE $2 WHEN 'done' THEN total ELSE done END
        WHERE id = $1";
    let values: [Value<'_>; 5] = [
        (&job.id.as_str(), Type::TEXT),
        (&state.as_str(), Type::TEXT),
        (&fault.map(|fault| &fault.code), Type::TEXT),
        (&fault.map(|fault| without_nul(&fault.detail)), Type::TEXT),
        (&millis(at), Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

/// Back into the line. What it was released from was no attempt.
async fn wait(
    link: &Link,
    job: &JobRecord,
    fault: Option<&Fault>,
    when: Timestamp,
    at: Timestamp,
) -> Result<(), Failure> {
    let sql = "UPDATE jobs SET state = 'queued', code = $2, reason = $3, not_before = $4, updated_at = $5, lease = 0,
                               attempts = attempts - CASE WHEN $2 IS NULL THEN 1 ELSE 0 END, revision = revision + 1
        WHERE id = $1";
    let values: [Value<'_>; 5] = [
        (&job.id.as_str(), Type::TEXT),
        (&fault.map(|fault| &fault.code), Type::TEXT),
        (&fault.map(|fault| without_nul(&fault.detail)), Type::TEXT),
        (&millis(when), Type::INT8),
        (&millis(at), Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    let sql = "UPDATE documents SET state = 'queued', updated_at = $3
        WHERE id = $1 AND version = $2 AND state = 'indexing' AND deleted_at IS NULL";
    let (document, version) = (job.document.as_ref().map(DocumentId::as_str), job.version.map(i64::from));
    let values: [Value<'_>; 3] = [(&document, Type::TEXT), (&version, Type::INT8), (&millis(at), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}
