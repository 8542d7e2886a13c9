//! Work as workers see it: taken on, kept, ended.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    jobs,
    row::{JOB, VERSION, job_row, version_row},
};
use crate::{
    chat::{DocumentId, JobId, Timestamp},
    store::{
        StoreError,
        columns::{json_list, millis},
        documents::{
            Claimed, DocumentState, Fault, Indexed, JobKind, JobRecord, JobState, Lane, MAX_ATTEMPTS, Outcome,
            Progress, Stage,
        },
    },
};

/// The code of what is held back.
const QUARANTINED: &str = "quarantined";

/// Whether there is work that nobody is at, or none that somebody should be at.
pub(super) fn is_anything_due(connection: &Connection, lane: Lane, now: Timestamp) -> Result<bool, StoreError> {
    let due = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'queued' AND (kind = 'index') = ?1 AND not_before <= ?2)
                 OR EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND lease < ?2)",
        )?
        .query_row(params![lane == Lane::Index, millis(now)], |row| row.get(0))?;
    Ok(due)
}

pub(super) fn claim(
    connection: &Connection,
    lane: Lane,
    now: Timestamp,
    lease: Timestamp,
) -> Result<Option<Claimed>, StoreError> {
    give_up_expired(connection, now)?;
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT position FROM jobs j
             WHERE state = 'queued' AND (kind = 'index') = ?1 AND not_before <= ?2
               AND NOT EXISTS (
                 SELECT 1 FROM jobs r WHERE r.state = 'running'
                   AND (r.document = j.document
                        OR (j.kind = 'drop' AND r.tenant = j.tenant AND r.collection = j.collection)))
             ORDER BY (SELECT count(*) FROM jobs r WHERE r.state = 'running' AND r.tenant = j.tenant), position
             LIMIT 1",
        )?
        .query_row(params![lane == Lane::Index, millis(now)], |row| row.get(0))
        .optional()?;
    let Some(position) = next else { return Ok(None) };
    let sql = format!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, lease = ?2, revision = revision + 1, updated_at = ?3
         WHERE position = ?1 RETURNING {}",
        JOB
    );
    let values = params![position, millis(lease), millis(now)];
    let job = connection.prepare_cached(&sql)?.query_row(values, job_row)?;
    if job.kind != JobKind::Index {
        return Ok(Some(Claimed { job, version: None, key: None }));
    }
    let document = job.document.as_ref().map(DocumentId::as_str);
    connection
        .prepare_cached("UPDATE documents SET state = 'indexing', updated_at = ?3 WHERE id = ?1 AND version = ?2")?
        .execute(params![document, job.version, millis(now)])?;
    let sql = format!("SELECT {} FROM versions v WHERE v.document = ?1 AND v.version = ?2", VERSION);
    let version = connection.prepare_cached(&sql)?.query_row(params![document, job.version], version_row).optional()?;
    let key = connection
        .prepare_cached("SELECT key FROM documents WHERE id = ?1")?
        .query_row([document], |row| row.get(0))
        .optional()?;
    Ok(Some(Claimed { job, version, key }))
}

/// Work whose lease is over: whoever had it is gone. It waits again, unless it was to end or has had its attempts.
fn give_up_expired(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let sql = format!("SELECT {} FROM jobs WHERE state = 'running' AND lease < ?1", JOB);
    let expired = connection.prepare_cached(&sql)?.query_map([millis(now)], job_row)?.collect::<Result<Vec<_>, _>>()?;
    for job in expired {
        let fault = Fault::new("interrupted", "the gateway ended while it was being worked on");
        end(connection, &job.id, &Outcome::Again(fault, now), now)?;
    }
    Ok(())
}

pub(super) fn renew(
    connection: &Connection,
    job: &JobId,
    progress: Progress,
    (now, lease): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    note(connection, job, progress)?;
    let going: Option<bool> = connection
        .prepare_cached(
            "UPDATE jobs SET lease = ?2, updated_at = ?3 WHERE id = ?1 AND state = 'running' RETURNING cancelling = 0",
        )?
        .query_row(params![job.as_str(), millis(lease), millis(now)], |row| row.get(0))
        .optional()?;
    Ok(going == Some(true))
}

/// How far work under way is. It never falls back, also when it is begun anew.
pub(super) fn note(connection: &Connection, job: &JobId, progress: Progress) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE jobs SET stage = ?2, done = min(max(done, ?3), max(total, ?4)), total = max(total, ?4),
                             revision = max(revision, ?5)
             WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![
            job.as_str(),
            progress.stage.map(Stage::as_str),
            progress.done,
            progress.total,
            i64::try_from(progress.revision).unwrap_or(i64::MAX),
        ])?;
    Ok(())
}

pub(super) fn end(
    connection: &Connection,
    id: &JobId,
    outcome: &Outcome,
    at: Timestamp,
) -> Result<Option<JobRecord>, StoreError> {
    let sql = format!("SELECT {} FROM jobs WHERE id = ?1 AND state = 'running'", JOB);
    let found = connection.prepare_cached(&sql)?.query_row([id.as_str()], job_row).optional()?;
    let Some(job) = found else { return Ok(None) };
    match outcome {
        Outcome::Indexed(indexed) => {
            let is_there = index(connection, &job, indexed, at)?;
            close(connection, &job, if is_there { JobState::Done } else { JobState::Cancelled }, None, at)?;
        }
        Outcome::Removed => {
            remove(connection, &job)?;
            close(connection, &job, JobState::Done, None, at)?;
        }
        Outcome::Failed(fault) => fail(connection, &job, DocumentState::Failed, fault, at)?,
        Outcome::Quarantined(flags) => quarantine(connection, &job, flags, at)?,
        Outcome::Again(..) | Outcome::Released | Outcome::Cancelled if job.cancelling => {
            cancel(connection, &job, at)?;
        }
        Outcome::Cancelled => cancel(connection, &job, at)?,
        // What is deleted has to go, however often it takes.
        Outcome::Again(fault, _) if job.attempts >= MAX_ATTEMPTS && job.kind == JobKind::Index => {
            fail(connection, &job, DocumentState::Failed, fault, at)?;
        }
        Outcome::Again(fault, when) => wait(connection, &job, Some(fault), *when, at)?,
        Outcome::Released => wait(connection, &job, None, Timestamp(0), at)?,
    }
    jobs::job(connection, &job.tenant, id)
}

/// The version answers; false when its document was deleted meanwhile.
fn index(connection: &Connection, job: &JobRecord, indexed: &Indexed, at: Timestamp) -> Result<bool, StoreError> {
    let document = job.document.as_ref().map(DocumentId::as_str);
    connection
        .prepare_cached(
            "UPDATE versions SET doc_hash = ?3, encoding = ?4, warnings = ?5, flags = ?6, pages = ?7, chunks = ?8
             WHERE document = ?1 AND version = ?2",
        )?
        .execute(params![
            document,
            job.version,
            indexed.doc_hash,
            indexed.encoding,
            json_list(&indexed.warnings)?,
            json_list(&indexed.flags)?,
            indexed.pages,
            indexed.chunks,
        ])?;
    let changed = connection
        .prepare_cached(
            "UPDATE documents SET indexed_version = ?2, title = ?3, updated_at = ?4,
                                  state = iif(version = ?2, 'ready', state)
             WHERE id = ?1 AND deleted_at IS NULL",
        )?
        .execute(params![document, job.version, indexed.title, millis(at)])?;
    Ok(changed > 0)
}

/// What was deleted leaves no row behind, except that of the work on it, which has nothing of it.
fn remove(connection: &Connection, job: &JobRecord) -> Result<(), StoreError> {
    match &job.document {
        Some(document) => {
            connection
                .prepare_cached("DELETE FROM documents WHERE id = ?1 AND tenant = ?2 AND deleted_at IS NOT NULL")?
                .execute([document.as_str(), job.tenant.as_str()])?;
        }
        None => {
            let values = [job.tenant.as_str(), &job.collection];
            connection
                .prepare_cached(
                    "DELETE FROM documents WHERE tenant = ?1 AND collection = ?2 AND deleted_at IS NOT NULL",
                )?
                .execute(values)?;
            connection
                .prepare_cached("DELETE FROM collections WHERE tenant = ?1 AND name = ?2 AND deleted_at IS NOT NULL")?
                .execute(values)?;
        }
    }
    Ok(())
}

/// The reasons quote the document, so they stand with its version, which goes with it.
fn quarantine(connection: &Connection, job: &JobRecord, flags: &[String], at: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE versions SET flags = ?3 WHERE document = ?1 AND version = ?2")?
        .execute(params![job.document.as_ref().map(DocumentId::as_str), job.version, json_list(flags)?])?;
    let fault = Fault::new(QUARANTINED, "it may be meant to steer a model; an admin may release it");
    fail(connection, job, DocumentState::Quarantined, &fault, at)
}

fn fail(
    connection: &Connection,
    job: &JobRecord,
    state: DocumentState,
    fault: &Fault,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE documents SET state = ?6, code = ?3, reason = ?4, updated_at = ?5
             WHERE id = ?1 AND version = ?2 AND deleted_at IS NULL",
        )?
        .execute(params![
            job.document.as_ref().map(DocumentId::as_str),
            job.version,
            fault.code,
            fault.detail,
            millis(at),
            state.as_str(),
        ])?;
    close(connection, job, JobState::Failed, Some(fault), at)
}

fn cancel(connection: &Connection, job: &JobRecord, at: Timestamp) -> Result<(), StoreError> {
    close(connection, job, JobState::Cancelled, None, at)?;
    jobs::nobody_wants(connection, job, at)
}

fn close(
    connection: &Connection,
    job: &JobRecord,
    state: JobState,
    fault: Option<&Fault>,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE jobs SET state = ?2, code = ?3, reason = ?4, lease = 0, updated_at = ?5, revision = revision + 1,
                             done = iif(?2 = 'done', total, done)
             WHERE id = ?1",
        )?
        .execute(params![
            job.id.as_str(),
            state.as_str(),
            fault.map(|fault| &fault.code),
            fault.map(|fault| &fault.detail),
            millis(at)
        ])?;
    Ok(())
}

/// Back into the line. What it was released from was no attempt.
fn wait(
    connection: &Connection,
    job: &JobRecord,
    fault: Option<&Fault>,
    when: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE jobs SET state = 'queued', code = ?2, reason = ?3, not_before = ?4, updated_at = ?5, lease = 0,
                             attempts = attempts - (?2 IS NULL), revision = revision + 1
             WHERE id = ?1",
        )?
        .execute(params![
            job.id.as_str(),
            fault.map(|fault| &fault.code),
            fault.map(|fault| &fault.detail),
            millis(when),
            millis(at)
        ])?;
    connection
        .prepare_cached(
            "UPDATE documents SET state = 'queued', updated_at = ?3
             WHERE id = ?1 AND version = ?2 AND state = 'indexing' AND deleted_at IS NULL",
        )?
        .execute(params![job.document.as_ref().map(DocumentId::as_str), job.version, millis(at)])?;
    Ok(())
}
