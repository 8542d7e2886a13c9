//! What should be where: compared with the index and with the files, and tidied up.

use rusqlite::{Connection, OptionalExtension, params};

use super::jobs::{self, Subject};
use crate::{
    chat::{DocumentId, Timestamp},
    store::{
        StoreError,
        columns::millis,
        documents::{Census, DocumentState, JobKind, JobRecord, Known, Place, Tenant, hash_of, text_name},
        sqlite::rows::{id, name},
    },
};

pub(super) fn deleted(connection: &Connection) -> Result<(Vec<Known>, Vec<Place>), StoreError> {
    let documents = connection
        .prepare_cached("SELECT tenant, collection, id, NULL FROM documents WHERE deleted_at IS NOT NULL")?
        .query_map([], known_row)?
        .collect::<Result<_, _>>()?;
    let collections = connection
        .prepare_cached("SELECT tenant, name FROM collections WHERE deleted_at IS NOT NULL")?
        .query_map([], |row| Ok((Tenant::new(row.get_ref(0)?.as_str()?), row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok((documents, collections))
}

pub(super) fn expected(
    connection: &Connection,
    within: Option<&Place>,
    after: Option<&DocumentId>,
    limit: usize,
) -> Result<Vec<Known>, StoreError> {
    let (tenant, name) = within.map(|(tenant, name)| (tenant.as_str(), name)).unzip();
    let found = connection
        .prepare_cached(
            "SELECT d.tenant, d.collection, d.id, v.doc_hash
             FROM documents d LEFT JOIN versions v ON v.document = d.id AND v.version = d.indexed_version
             WHERE d.deleted_at IS NULL AND d.id > ?1 AND (?3 IS NULL OR d.tenant = ?3 AND d.collection = ?4)
             ORDER BY d.id LIMIT ?2",
        )?
        .query_map(params![after.map_or("", DocumentId::as_str), limit as i64, tenant, name], known_row)?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

fn known_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        tenant: Tenant::new(row.get_ref(0)?.as_str()?),
        collection: row.get(1)?,
        document: id(row, 2, DocumentId::parse)?,
        doc_hash: row.get(3)?,
    })
}

pub(super) fn reindex(connection: &Connection, document: &DocumentId, at: Timestamp) -> Result<(), StoreError> {
    // Work that has come as far as the index is not what ended the process.
    connection
        .prepare_cached("UPDATE jobs SET attempts = 0 WHERE document = ?1 AND state IN ('queued', 'running')")?
        .execute([document.as_str()])?;
    let found = connection
        .prepare_cached(
            "SELECT tenant, collection, indexed_version FROM documents d
             WHERE id = ?1 AND deleted_at IS NULL AND indexed_version IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM jobs j WHERE j.document = d.id AND j.state IN ('queued', 'running'))",
        )?
        .query_row([document.as_str()], |row| {
            Ok((Tenant::new(row.get_ref(0)?.as_str()?), row.get::<_, String>(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((tenant, collection, version)) = found else { return Ok(()) };
    let subject = Subject {
        tenant: &tenant,
        kind: JobKind::Index,
        collection: &collection,
        document: Some(document),
        version: Some(version),
    };
    jobs::begin(connection, &subject, at).map(drop)
}

pub(super) fn files(connection: &Connection, job: &JobRecord) -> Result<Vec<String>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT v.document, v.version, ifnull(v.file, v.blob) FROM versions v JOIN documents d ON d.id = v.document
             WHERE d.tenant = ?1 AND d.deleted_at IS NOT NULL AND iif(?2 IS NULL, d.collection = ?3, d.id = ?2)",
        )?
        .query_map(
            params![job.tenant.as_str(), job.document.as_ref().map(DocumentId::as_str), job.collection],
            |row| Ok([text_name(&id(row, 0, DocumentId::parse)?, row.get(1)?), row.get(2)?]),
        )?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

pub(super) fn unused(connection: &Connection, tenant: &Tenant, names: Vec<String>) -> Result<Vec<String>, StoreError> {
    let mut content = connection
        .prepare_cached("SELECT 1 FROM versions WHERE tenant = ?1 AND blob = ?2 AND ifnull(file, blob) = ?3")?;
    let mut text =
        connection.prepare_cached("SELECT 1 FROM versions WHERE tenant = ?1 AND document = ?2 AND version = ?3")?;
    let mut unused = Vec::new();
    for name in names {
        let is_used = match name.split_once('.') {
            None => content.exists([tenant.as_str(), hash_of(&name), &name])?,
            Some((document, version)) => {
                text.exists(params![tenant.as_str(), document, version.parse::<u32>().ok()])?
            }
        };
        if !is_used {
            unused.push(name);
        }
    }
    Ok(unused)
}

pub(super) fn tenants(connection: &Connection) -> Result<Vec<Tenant>, StoreError> {
    let found = connection
        .prepare_cached("SELECT tenant FROM collections UNION SELECT tenant FROM jobs")?
        .query_map([], |row| Ok(Tenant::new(row.get_ref(0)?.as_str()?)))?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn unerased(connection: &Connection, cutoff: Timestamp) -> Result<Vec<Place>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT tenant, name FROM collections c WHERE unerased <= ?1 AND deleted_at IS NULL AND NOT EXISTS (
               SELECT 1 FROM documents d
               WHERE d.tenant = c.tenant AND d.collection = c.name AND d.deleted_at IS NOT NULL)",
        )?
        .query_map([millis(cutoff)], |row| Ok((Tenant::new(row.get_ref(0)?.as_str()?), row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

/// What was deleted since is erased another time.
pub(super) fn erased(connection: &Connection, tenant: &Tenant, name: &str, at: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE collections SET unerased = NULL WHERE tenant = ?1 AND name = ?2 AND unerased < ?3")?
        .execute(params![tenant.as_str(), name, millis(at)])?;
    Ok(())
}

pub(super) fn cut_log(connection: &Connection) -> Result<(), StoreError> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        return Err(StoreError::Unavailable("the write-ahead log is in use and cannot be cut".to_owned()));
    }
    Ok(())
}

pub(super) fn census(connection: &Connection) -> Result<Census, StoreError> {
    let number = |row: &rusqlite::Row<'_>, column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
    let counted: Vec<(DocumentState, u64)> = connection
        .prepare_cached("SELECT state, count(*) FROM documents WHERE deleted_at IS NULL GROUP BY state")?
        .query_map([], |row| Ok((name(row, 0)?, number(row, 1)?)))?
        .collect::<Result<_, _>>()?;
    let (queued, running) = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM jobs WHERE state = 'queued'), (SELECT count(*) FROM jobs WHERE state = 'running')",
        )?
        .query_row([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    let count = |state| counted.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
    let documents = DocumentState::ALL.iter().map(|state| (*state, count(*state))).collect();
    Ok(Census { documents, queued, running })
}

pub(super) fn forget_jobs(connection: &Connection, cutoff: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND updated_at < ?1")?
        .execute([cutoff])?;
    Ok(())
}
