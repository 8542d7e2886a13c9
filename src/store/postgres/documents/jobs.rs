//! Work as callers see it: looked at, cancelled, begun again.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::{
    lock::lock,
    read,
    row::{JOB, Value, cut, job_row, one},
};
use crate::{
    chat::{DocumentId, JobId, Timestamp},
    store::{
        columns::millis,
        documents::{DocumentRecord, DocumentState, JobKind, JobRecord, JobState, Page, Tenant},
        postgres::{
            connect::Link,
            rows::{get, id},
            writer::Failure,
        },
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

pub(super) async fn insert(link: &Link, subject: &Subject<'_>, at: Timestamp) -> Result<JobRecord, Failure> {
    let sql = format!(
        "INSERT INTO jobs (id, tenant, kind, collection, document, version, state, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $7) RETURNING {JOB}"
    );
    let values: [Value<'_>; 7] = [
        (&JobId::random().as_str().to_owned(), Type::TEXT),
        (&subject.tenant.as_str(), Type::TEXT),
        (&subject.kind.as_str(), Type::TEXT),
        (&subject.collection, Type::TEXT),
        (&subject.document.map(DocumentId::as_str), Type::TEXT),
        (&subject.version.map(i64::from), Type::INT8),
        (&millis(at), Type::INT8),
    ];
    Ok(job_row(&link.client.query_typed_one(&sql, &values).await?)?)
}

pub(super) async fn job(link: &Link, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, Failure> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE id = $2 AND tenant = $1");
    let found = one(link, &sql, &[(&tenant.as_str(), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    Ok(found.as_ref().map(job_row).transpose()?)
}

pub(super) async fn page(
    link: Arc<Link>,
    tenant: Tenant,
    state: Option<JobState>,
    before: Option<JobId>,
    limit: usize,
) -> Result<Option<Page<JobRecord>>, Failure> {
    let tenant = tenant.as_str();
    let end = match before {
        None => i64::MAX,
        Some(before) => {
            let sql = "SELECT position FROM jobs WHERE id = $2 AND tenant = $1";
            match one(&link, sql, &[(&tenant, Type::TEXT), (&before.as_str(), Type::TEXT)]).await? {
                Some(row) => get(&row, 0)?,
                None => return Ok(None),
            }
        }
    };
    let sql = format!(
        "SELECT {JOB} FROM jobs WHERE tenant = $1 AND position < $2 AND ($3 IS NULL OR state = $3)
         ORDER BY position DESC LIMIT $4"
    );
    let (state, most) = (state.map(JobState::as_str), limit as i64 + 1);
    let values: [Value<'_>; 4] = [(&tenant, Type::TEXT), (&end, Type::INT8), (&state, Type::TEXT), (&most, Type::INT8)];
    let found = link.client.query_typed(&sql, &values).await?;
    let (items, more) = cut(found.iter().map(job_row).collect::<Result<Vec<_>, _>>()?, limit);
    Ok(Some(Page { items, more }))
}

pub(super) async fn cancel(
    link: Arc<Link>,
    tenant: Tenant,
    id: JobId,
    at: Timestamp,
) -> Result<Option<JobRecord>, Failure> {
    lock(&link, &tenant).await?;
    let found = job(&link, &tenant, &id).await?.filter(|job| job.kind == JobKind::Index);
    let Some(found) = found else { return Ok(None) };
    let sql = "UPDATE jobs SET state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END, cancelling = true,
                               revision = revision + 1, updated_at = $2
        WHERE id = $1 AND state IN ('queued', 'running') AND NOT cancelling";
    link.client.execute_typed(sql, &[(&id.as_str(), Type::TEXT), (&millis(at), Type::INT8)]).await?;
    if found.state == JobState::Queued {
        nobody_wants(&link, &found, at).await?;
    }
    job(&link, &tenant, &id).await
}

/// The newest version of a document is not worked on any more, and does not answer.
pub(super) async fn nobody_wants(link: &Link, job: &JobRecord, at: Timestamp) -> Result<(), Failure> {
    let sql = "UPDATE documents
        SET state = CASE WHEN indexed_version IS NOT DISTINCT FROM version THEN 'ready' ELSE 'failed' END,
            code = CASE WHEN indexed_version IS NOT DISTINCT FROM version THEN NULL ELSE 'cancelled' END,
            reason = CASE WHEN indexed_version IS NOT DISTINCT FROM version THEN NULL
                          ELSE 'its indexing was cancelled' END,
            updated_at = $3
        WHERE id = $1 AND version = $2 AND deleted_at IS NULL";
    let (document, version) = (job.document.as_ref().map(DocumentId::as_str), job.version.map(i64::from));
    let values: [Value<'_>; 3] = [(&document, Type::TEXT), (&version, Type::INT8), (&millis(at), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

pub(super) async fn retry(
    link: Arc<Link>,
    tenant: Tenant,
    id: JobId,
    at: Timestamp,
) -> Result<Option<JobRecord>, Failure> {
    lock(&link, &tenant).await?;
    let found = job(&link, &tenant, &id).await?;
    let ended = |job: &JobRecord| matches!(job.state, JobState::Failed | JobState::Cancelled);
    let Some(found) = found.filter(|job| job.kind == JobKind::Index && ended(job)) else { return Ok(None) };
    let Some(document) = &found.document else { return Ok(None) };
    let Some(current) = read::document(&link, &tenant, document).await? else { return Ok(None) };
    // Only what was tried last is tried again: an older version was replaced since.
    if current.job.as_ref().is_none_or(|last| last.id != found.id) {
        return Ok(None);
    }
    begin_newest(&link, &tenant, &current, at).await.map(Some)
}

/// An admin has looked at it. The same content of this document is not held back again.
pub(super) async fn release(
    link: Arc<Link>,
    tenant: Tenant,
    id: DocumentId,
    at: Timestamp,
) -> Result<Option<JobRecord>, Failure> {
    lock(&link, &tenant).await?;
    let found = read::document(&link, &tenant, &id).await?;
    let Some(found) = found.filter(|found| found.state == DocumentState::Quarantined) else { return Ok(None) };
    let sql = "UPDATE versions SET released = true WHERE document = $1 AND blob = $2";
    link.client.execute_typed(sql, &[(&id.as_str(), Type::TEXT), (&found.newest.blob, Type::TEXT)]).await?;
    begin_newest(&link, &tenant, &found, at).await.map(Some)
}

async fn begin_newest(
    link: &Link,
    tenant: &Tenant,
    document: &DocumentRecord,
    at: Timestamp,
) -> Result<JobRecord, Failure> {
    let subject = Subject {
        tenant,
        kind: JobKind::Index,
        collection: &document.collection,
        document: Some(&document.id),
        version: Some(document.newest.version),
    };
    begin(link, &subject, at).await
}

/// New work on a version of a document; of the newest one it is told how far it is.
pub(super) async fn begin(link: &Link, subject: &Subject<'_>, at: Timestamp) -> Result<JobRecord, Failure> {
    let sql = "UPDATE documents SET state = 'queued', code = NULL, reason = NULL, updated_at = $3
        WHERE id = $1 AND version = $2";
    let (document, version) = (subject.document.map(DocumentId::as_str), subject.version.map(i64::from));
    let values: [Value<'_>; 3] = [(&document, Type::TEXT), (&version, Type::INT8), (&millis(at), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    insert(link, subject, at).await
}

/// Ends the work on a document that waits, and tells what is under way to end; which work that is.
pub(super) async fn supersede(link: &Link, document: &DocumentId, at: Timestamp) -> Result<Vec<JobId>, Failure> {
    let sql = "UPDATE jobs SET state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END, cancelling = true,
                               revision = revision + 1, updated_at = $2
        WHERE document = $1 AND kind = 'index' AND state IN ('queued', 'running') RETURNING id";
    let ending = link.client.query_typed(sql, &[(&document.as_str(), Type::TEXT), (&millis(at), Type::INT8)]).await?;
    Ok(ending.iter().map(|row| id(row, 0, JobId::parse)).collect::<Result<_, _>>()?)
}
