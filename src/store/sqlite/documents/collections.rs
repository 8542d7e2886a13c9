//! Collections: made, listed, deleted, shared.

use rusqlite::{Connection, OptionalExtension, params};

use super::jobs::{self, Subject};
use crate::{
    chat::{JobId, Timestamp},
    store::{
        StoreError,
        columns::millis,
        documents::{CollectionRecord, DEFAULT_COLLECTION, Deleted, JobKind, MAX_COLLECTIONS, Made, Tenant},
        sqlite::rows::{from_json, id, timestamp},
    },
};

pub(super) fn list(connection: &Connection, tenant: &Tenant) -> Result<Vec<CollectionRecord>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT c.name, c.created_at, c.deleted_at IS NOT NULL, count(d.id),
                    ifnull(sum(d.state IN ('queued', 'indexing')), 0), ifnull(sum(d.state = 'failed'), 0),
                    ifnull(sum(iif(d.state NOT IN ('queued', 'indexing'), v.chunks, 0)), 0),
                    (SELECT json_group_array(r.reader ORDER BY r.reader) FROM readers r
                     WHERE r.tenant = c.tenant AND r.collection = c.name)
             FROM collections c
             LEFT JOIN documents d ON d.tenant = c.tenant AND d.collection = c.name AND d.deleted_at IS NULL
             LEFT JOIN versions v ON v.document = d.id AND v.version = d.indexed_version
             WHERE c.tenant = ?1 GROUP BY c.name ORDER BY c.name",
        )?
        .query_map([tenant.as_str()], |row| {
            let count = |column| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
            Ok(CollectionRecord {
                name: row.get(0)?,
                created_at: timestamp(row, 1)?,
                is_deleting: row.get(2)?,
                documents: count(3)?,
                pending: count(4)?,
                failed: count(5)?,
                chunks: count(6)?,
                readers: from_json::<Vec<String>>(row, 7)?
                    .unwrap_or_default()
                    .iter()
                    .map(|name| Tenant::new(name))
                    .collect(),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn make(connection: &Connection, tenant: &Tenant, name: &str, at: Timestamp) -> Result<Made, StoreError> {
    let known: Option<bool> = connection
        .prepare_cached("SELECT deleted_at IS NOT NULL FROM collections WHERE tenant = ?1 AND name = ?2")?
        .query_row([tenant.as_str(), name], |row| row.get(0))
        .optional()?;
    match known {
        Some(true) => return Ok(Made::Deleting),
        Some(false) => return Ok(Made::Exists),
        None => {}
    }
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM collections WHERE tenant = ?1 AND name <> ?2")?
        .query_row([tenant.as_str(), DEFAULT_COLLECTION], |row| row.get(0))?;
    if name != DEFAULT_COLLECTION && usize::try_from(count).unwrap_or(0) >= MAX_COLLECTIONS {
        return Ok(Made::TooMany);
    }
    connection
        .prepare_cached("INSERT INTO collections (tenant, name, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![tenant.as_str(), name, millis(at)])?;
    Ok(Made::New)
}

pub(super) fn delete(
    connection: &Connection,
    tenant: &Tenant,
    name: &str,
    at: Timestamp,
) -> Result<Option<Deleted>, StoreError> {
    let values = params![tenant.as_str(), name, millis(at)];
    let marked = connection
        .prepare_cached(
            "UPDATE collections SET deleted_at = ?3 WHERE tenant = ?1 AND name = ?2 AND deleted_at IS NULL",
        )?
        .execute(values)?;
    if marked == 0 {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "UPDATE documents SET deleted_at = ?3, metadata = NULL
             WHERE tenant = ?1 AND collection = ?2 AND deleted_at IS NULL",
        )?
        .execute(values)?;
    forget_readers(connection, tenant, name)?;
    let cancelled = connection
        .prepare_cached(
            "UPDATE jobs SET state = iif(state = 'queued', 'cancelled', state), cancelling = 1,
                             revision = revision + 1, updated_at = ?3
             WHERE tenant = ?1 AND collection = ?2 AND kind = 'index' AND state IN ('queued', 'running') RETURNING id",
        )?
        .query_map(values, |row| id(row, 0, JobId::parse))?
        .collect::<Result<_, _>>()?;
    let subject = Subject { tenant, kind: JobKind::Drop, collection: name, document: None, version: None };
    Ok(Some(Deleted { job: jobs::insert(connection, &subject, at)?, cancelled }))
}

pub(super) fn set_readers(
    connection: &Connection,
    tenant: &Tenant,
    name: &str,
    readers: &[Tenant],
    at: Timestamp,
) -> Result<bool, StoreError> {
    if name == DEFAULT_COLLECTION {
        make(connection, tenant, name, at)?;
    }
    let is_there = connection
        .prepare_cached("SELECT 1 FROM collections WHERE tenant = ?1 AND name = ?2 AND deleted_at IS NULL")?
        .exists([tenant.as_str(), name])?;
    if !is_there {
        return Ok(false);
    }
    forget_readers(connection, tenant, name)?;
    for reader in readers {
        connection
            .prepare_cached(
                "INSERT INTO readers (tenant, collection, reader) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute([tenant.as_str(), name, reader.as_str()])?;
    }
    Ok(true)
}

fn forget_readers(connection: &Connection, tenant: &Tenant, name: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM readers WHERE tenant = ?1 AND collection = ?2")?
        .execute([tenant.as_str(), name])?;
    Ok(())
}
