//! Rows of versions and of work ↔ values.

use std::collections::HashMap;

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{
    chat::{DocumentId, JobId},
    store::{
        StoreError,
        documents::{DocumentRecord, Fault, JobRecord, Progress, Tenant, VersionRecord},
        postgres::{
            connect::Link,
            rows::{from_json, get, id, name, optional_id, timestamp},
            writer::Failure,
        },
    },
};

pub(super) const VERSION: &str = "v.version, v.name, v.title, v.media_type, v.blob, v.bytes, v.doc_hash,
    v.encoding, v.warnings, v.pages, v.chunks, v.created_at, v.uri, v.flags, v.released,
    coalesce(v.file, v.blob)";
pub(super) const JOB: &str = "id, tenant, kind, collection, document, version, state, stage, done, total, attempts,
    cancelling, code, reason, revision, created_at, updated_at";

/// What is bound to a statement.
pub(super) type Value<'a> = (&'a (dyn ToSql + Sync), Type);

/// The row that there is at most of a statement's.
pub(super) async fn one(link: &Link, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, Failure> {
    Ok(link.client.query_typed_opt(sql, values).await?)
}

/// Whether a statement finds a row.
pub(super) async fn exists(link: &Link, sql: &str, values: &[Value<'_>]) -> Result<bool, Failure> {
    Ok(!link.client.query_typed(sql, values).await?.is_empty())
}

/// What a statement counts.
pub(super) async fn count(link: &Link, sql: &str, values: &[Value<'_>]) -> Result<u64, Failure> {
    Ok(number(&link.client.query_typed_one(sql, values).await?, 0)?)
}

/// Adds the last work on each of these documents to it.
pub(super) async fn with_jobs(link: &Link, mut documents: Vec<DocumentRecord>) -> Result<Vec<DocumentRecord>, Failure> {
    if documents.is_empty() {
        return Ok(documents);
    }
    let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let sql = format!(
        "SELECT DISTINCT ON (document) {JOB} FROM jobs WHERE document = ANY($1) ORDER BY document, position DESC"
    );
    let found = link.client.query_typed(&sql, &[(&ids, Type::TEXT_ARRAY)]).await?;
    let jobs = found.iter().map(job_row).collect::<Result<Vec<_>, _>>()?;
    let mut last: HashMap<_, _> = jobs.into_iter().filter_map(|job| Some((job.document.clone()?, job))).collect();
    for document in &mut documents {
        document.job = last.remove(&document.id);
    }
    Ok(documents)
}

/// Takes the columns [`VERSION`].
pub(super) fn version_row(row: &Row) -> Result<VersionRecord, StoreError> {
    Ok(VersionRecord {
        version: small(row, 0)?,
        name: get(row, 1)?,
        title: get(row, 2)?,
        media_type: get(row, 3)?,
        blob: get(row, 4)?,
        bytes: number(row, 5)?,
        doc_hash: get(row, 6)?,
        encoding: get(row, 7)?,
        warnings: from_json(row, 8)?.unwrap_or_default(),
        pages: optional(row, 9)?,
        chunks: optional(row, 10)?,
        created_at: timestamp(row, 11)?,
        uri: get(row, 12)?,
        flags: from_json(row, 13)?.unwrap_or_default(),
        is_released: get(row, 14)?,
        file: get(row, 15)?,
    })
}

/// Takes the columns of a version, and those of its document behind them.
pub(super) fn document_row(row: &Row) -> Result<DocumentRecord, StoreError> {
    Ok(DocumentRecord {
        newest: version_row(row)?,
        id: id(row, 16, DocumentId::parse)?,
        collection: get(row, 17)?,
        key: get(row, 18)?,
        title: get(row, 19)?,
        state: name(row, 20)?,
        fault: fault(row, 21)?,
        indexed_version: optional(row, 23)?,
        metadata: from_json(row, 24)?,
        created_at: timestamp(row, 25)?,
        updated_at: timestamp(row, 26)?,
        tenant: tenant(row, 27)?,
        job: None,
    })
}

/// Takes the columns [`JOB`].
pub(super) fn job_row(row: &Row) -> Result<JobRecord, StoreError> {
    let stage: Option<&str> = get(row, 7)?;
    Ok(JobRecord {
        id: id(row, 0, JobId::parse)?,
        tenant: tenant(row, 1)?,
        kind: name(row, 2)?,
        collection: get(row, 3)?,
        document: optional_id(row, 4, DocumentId::parse)?,
        version: optional(row, 5)?,
        state: name(row, 6)?,
        progress: Progress {
            stage: stage.map(|_| name(row, 7)).transpose()?,
            done: small(row, 8)?,
            total: small(row, 9)?,
            revision: number(row, 14)?,
        },
        attempts: small(row, 10)?,
        cancelling: get(row, 11)?,
        fault: fault(row, 12)?,
        created_at: timestamp(row, 15)?,
        updated_at: timestamp(row, 16)?,
    })
}

pub(super) fn tenant(row: &Row, column: usize) -> Result<Tenant, StoreError> {
    get(row, column).map(Tenant::new)
}

pub(super) fn number(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(get::<i64>(row, column)?).unwrap_or(0))
}

pub(super) fn small(row: &Row, column: usize) -> Result<u32, StoreError> {
    Ok(u32::try_from(get::<i64>(row, column)?).unwrap_or(0))
}

fn optional(row: &Row, column: usize) -> Result<Option<u32>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.and_then(|number| u32::try_from(number).ok()))
}

/// A fault's code, and its detail in the next column.
fn fault(row: &Row, column: usize) -> Result<Option<Fault>, StoreError> {
    let (code, detail): (Option<String>, Option<String>) = (get(row, column)?, get(row, column + 1)?);
    Ok(code.map(|code| Fault { code, detail: detail.unwrap_or_default() }))
}

/// What documents say may have any character, and texts of this database have no NUL.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

/// Cuts what was read one too many of; whether there was.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}
