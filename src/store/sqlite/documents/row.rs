//! Rows of versions and of work ↔ values.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::{
    chat::{DocumentId, JobId},
    store::{
        StoreError,
        documents::{Fault, JobRecord, Progress, Tenant, VersionRecord},
        sqlite::rows::{from_json, id, name, optional_id, timestamp},
    },
};

pub(super) const VERSION: &str = "v.version, v.name, v.title, v.media_type, v.blob, v.bytes, v.doc_hash,
     v.encoding, v.warnings, v.pages, v.chunks, v.created_at, v.uri, v.flags, v.released,
     ifnull(v.file, v.blob)";
pub(super) const JOB: &str = "id, tenant, kind, collection, document, version, state, stage, done, total, attempts,
     cancelling, code, reason, revision, created_at, updated_at";

/// The last work on a document.
pub(super) fn last_job(connection: &Connection, document: &DocumentId) -> Result<Option<JobRecord>, StoreError> {
    let sql = format!("SELECT {JOB} FROM jobs WHERE document = ?1 ORDER BY position DESC LIMIT 1");
    Ok(connection.prepare_cached(&sql)?.query_row([document.as_str()], job_row).optional()?)
}

/// Takes the columns [`VERSION`].
pub(super) fn version_row(row: &Row<'_>) -> rusqlite::Result<VersionRecord> {
    Ok(VersionRecord {
        version: row.get(0)?,
        name: row.get(1)?,
        title: row.get(2)?,
        media_type: row.get(3)?,
        blob: row.get(4)?,
        bytes: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        doc_hash: row.get(6)?,
        encoding: row.get(7)?,
        warnings: from_json(row, 8)?.unwrap_or_default(),
        pages: row.get(9)?,
        chunks: row.get(10)?,
        created_at: timestamp(row, 11)?,
        uri: row.get(12)?,
        flags: from_json(row, 13)?.unwrap_or_default(),
        is_released: row.get(14)?,
        file: row.get(15)?,
    })
}

/// Takes the columns [`JOB`].
pub(super) fn job_row(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    let stage: Option<String> = row.get(7)?;
    Ok(JobRecord {
        id: id(row, 0, JobId::parse)?,
        tenant: Tenant::new(row.get_ref(1)?.as_str()?),
        kind: name(row, 2)?,
        collection: row.get(3)?,
        document: optional_id(row, 4, DocumentId::parse)?,
        version: row.get(5)?,
        state: name(row, 6)?,
        progress: Progress {
            stage: if stage.is_some() { Some(name(row, 7)?) } else { None },
            done: row.get(8)?,
            total: row.get(9)?,
            revision: u64::try_from(row.get::<_, i64>(14)?).unwrap_or(0),
        },
        attempts: row.get(10)?,
        cancelling: row.get(11)?,
        fault: fault(row, 12)?,
        created_at: timestamp(row, 15)?,
        updated_at: timestamp(row, 16)?,
    })
}

/// A fault's code, and its detail in the next column.
pub(super) fn fault(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Fault>> {
    let code: Option<String> = row.get(column)?;
    let detail: Option<String> = row.get(column + 1)?;
    Ok(code.map(|code| Fault { code, detail: detail.unwrap_or_default() }))
}
