//! Work as callers see it: looked at, cancelled, begun again.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    read,
    row::{JOB, job_row},
};
use crate::{
    chat::{DocumentId, JobId, Timestamp},
    store::{
        StoreError,
        columns::millis,
        documents::{DocumentRecord, DocumentState, JobKind, JobRecord, JobState, Page, Tenant},
        sqlite::rows::{cut, id},
    },
};

/// What work is about.
pub(super) struct Subject<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) kind: JobKind,
    pub(super) collection: &'a str,
    pub(super) document: Option<&'a DocumentId>,
    pub(super) version: Option<u32>,
}

pub(super) fn insert(connection: &Connection, subject: &Subject<'_>, at: Timestamp) -> Result<JobRecord, StoreError> {
    let sql = format!(
        "INSERT INTO jobs (id, tenant, kind, collection, document, version, state, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, ?7) RETURNING {JOB}"
    );
    let id = JobId::random();
    let values = params![
        id.as_str(),
        subject.tenant.as_str(),
        subject.kind.as_str(),
        subject.collection,
        subject.document.map(DocumentId::as_str),
        subject.version,
        millis(at),
    ];
    Ok(connection.prepare_cached(&sql)?.query_row(values, job_row)?)
}

pub(super) fn job(connection: &Connection, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE id = ?2 AND tenant = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([tenant.as_str(), id.as_str()], job_row).optional()?)
}

pub(super) fn page(
    connection: &Connection,
    tenant: &Tenant,
    state: Option<JobState>,
    before: Option<&JobId>,
    limit: usize,
) -> Result<Option<Page<JobRecord>>, StoreError> {
    let end = match before {
        None => Some(i64::MAX),
        Some(before) => connection
            .prepare_cached("SELECT position FROM jobs WHERE id = ?2 AND tenant = ?1")?
            .query_row([tenant.as_str(), before.as_str()], |row| row.get(0))
            .optional()?,
    };
    let Some(end) = end else { return Ok(None) };
    let sql = format!(
        "SELECT {JOB} FROM jobs WHERE tenant = ?1 AND position < ?2 AND (?3 IS NULL OR state = ?3)
         ORDER BY position DESC LIMIT ?4"
    );
    let values = params![tenant.as_str(), end, state.map(JobState::as_str), limit as i64 + 1];
    let found = connection.prepare_cached(&sql)?.query_map(values, job_row)?.collect::<Result<Vec<_>, _>>()?;
    let (items, more) = cut(found, limit);
    Ok(Some(Page { items, more }))
}

pub(super) fn cancel(
    connection: &Connection,
    tenant: &Tenant,
    id: &JobId,
    at: Timestamp,
) -> Result<Option<JobRecord>, StoreError> {
    let found = job(connection, tenant, id)?.filter(|job| job.kind == JobKind::Index);
    let Some(found) = found else { return Ok(None) };
    connection
        .prepare_cached(
            "UPDATE jobs SET state = iif(state = 'queued', 'cancelled', state), cancelling = 1,
                             revision = revision + 1, updated_at = ?2
             WHERE id = ?1 AND state IN ('queued', 'running') AND cancelling = 0",
        )?
        .execute(params![id.as_str(), millis(at)])?;
    if found.state == JobState::Queued {
        nobody_wants(connection, &found, at)?;
    }
    job(connection, tenant, id)
}

/// The newest version of a document is not worked on any more, and does not answer.
pub(super) fn nobody_wants(connection: &Connection, job: &JobRecord, at: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE documents
             SET state = iif(indexed_version IS version, 'ready', 'failed'),
                 code = iif(indexed_version IS version, NULL, 'cancelled'),
                 reason = iif(indexed_version IS version, NULL, 'its indexing was cancelled'), updated_at = ?3
             WHERE id = ?1 AND version = ?2 AND deleted_at IS NULL",
        )?
        .execute(params![job.document.as_ref().map(DocumentId::as_str), job.version, millis(at)])?;
    Ok(())
}

pub(super) fn retry(
    connection: &Connection,
    tenant: &Tenant,
    id: &JobId,
    at: Timestamp,
) -> Result<Option<JobRecord>, StoreError> {
    let found = job(connection, tenant, id)?;
    let ended = |job: &JobRecord| matches!(job.state, JobState::Failed | JobState::Cancelled);
    let Some(found) = found.filter(|job| job.kind == JobKind::Index && ended(job)) else { return Ok(None) };
    let Some(document) = &found.document else { return Ok(None) };
    let Some(current) = read::document(connection, tenant, document)? else { return Ok(None) };
    // Only what was tried last is tried again: an older version was replaced since.
    if current.job.as_ref().is_none_or(|last| last.id != found.id) {
        return Ok(None);
    }
    begin_newest(connection, tenant, &current, at).map(Some)
}

/// An admin has looked at it. The same content of this document is not held back again.
pub(super) fn release(
    connection: &Connection,
    tenant: &Tenant,
    id: &DocumentId,
    at: Timestamp,
) -> Result<Option<JobRecord>, StoreError> {
    let found = read::document(connection, tenant, id)?;
    let Some(found) = found.filter(|found| found.state == DocumentState::Quarantined) else { return Ok(None) };
    connection
        .prepare_cached("UPDATE versions SET released = 1 WHERE document = ?1 AND blob = ?2")?
        .execute([id.as_str(), &found.newest.blob])?;
    begin_newest(connection, tenant, &found, at).map(Some)
}

fn begin_newest(
    connection: &Connection,
    tenant: &Tenant,
    document: &DocumentRecord,
    at: Timestamp,
) -> Result<JobRecord, StoreError> {
    let subject = Subject {
        tenant,
        kind: JobKind::Index,
        collection: &document.collection,
        document: Some(&document.id),
        version: Some(document.newest.version),
    };
    begin(connection, &subject, at)
}

/// New work on a version of a document; of the newest one it is told how far it is.
pub(super) fn begin(connection: &Connection, subject: &Subject<'_>, at: Timestamp) -> Result<JobRecord, StoreError> {
    connection
        .prepare_cached(
            "UPDATE documents SET state = 'queued', code = NULL, reason = NULL, updated_at = ?3
             WHERE id = ?1 AND version = ?2",
        )?
        .execute(params![subject.document.map(DocumentId::as_str), subject.version, millis(at)])?;
    insert(connection, subject, at)
}

/// Ends the work on a document that waits, and tells what is under way to end; which work that is.
pub(super) fn supersede(
    connection: &Connection,
    document: &DocumentId,
    at: Timestamp,
) -> Result<Vec<JobId>, StoreError> {
    let ending = connection
        .prepare_cached(
            "UPDATE jobs SET state = iif(state = 'queued', 'cancelled', state), cancelling = 1,
                             revision = revision + 1, updated_at = ?2
             WHERE document = ?1 AND kind = 'index' AND state IN ('queued', 'running') RETURNING id",
        )?
        .query_map(params![document.as_str(), millis(at)], |row| id(row, 0, JobId::parse))?
        .collect::<Result<_, _>>()?;
    Ok(ending)
}
