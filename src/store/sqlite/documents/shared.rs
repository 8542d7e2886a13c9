//! Collections as those see them with whom they are shared. Every statement goes through the table of readers, so what is not
//! shared any more is not there, whoever asked before.

use rusqlite::{Connection, OptionalExtension, params};

use super::{read::document_row, row::VERSION};
use crate::{
    chat::DocumentId,
    store::{
        StoreError,
        documents::{DocumentFilter, DocumentRecord, DocumentState, MAX_SHARED, Page, Place, SharedRecord, Tenant},
        sqlite::rows::cut,
    },
};

/// Behind the columns of a version. Readers are shown what passages show: no key where a place was given, for a key may be
/// the path of a file.
const DOCUMENT: &str =
    "d.id, d.collection, ifnull(v.uri, d.key), d.title, 'ready', NULL, NULL, d.indexed_version, NULL,
     d.created_at, v.created_at, d.tenant";
/// What `?1` may read. The tables are taken in this order: first who may.
const FROM: &str = "FROM readers r
     CROSS JOIN documents d ON d.tenant = r.tenant AND d.collection = r.collection AND d.deleted_at IS NULL
     JOIN versions v ON v.document = d.id AND v.version = d.indexed_version
     WHERE r.reader = ?1";

pub(super) fn is_shared(connection: &Connection, reader: &Tenant, (tenant, name): &Place) -> Result<bool, StoreError> {
    let values = [reader.as_str(), tenant.as_str(), name];
    let found = connection
        .prepare_cached("SELECT 1 FROM readers WHERE reader = ?1 AND tenant = ?2 AND collection = ?3")?
        .exists(values)?;
    Ok(found)
}

pub(super) fn list(connection: &Connection, reader: &Tenant) -> Result<Vec<SharedRecord>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT r.tenant, r.collection,
                    (SELECT count(*) FROM documents d
                     WHERE d.tenant = r.tenant AND d.collection = r.collection AND d.deleted_at IS NULL
                       AND d.indexed_version IS NOT NULL)
             FROM readers r WHERE r.reader = ?1 ORDER BY r.tenant, r.collection LIMIT ?2",
        )?
        .query_map(params![reader.as_str(), MAX_SHARED as i64], |row| {
            Ok(SharedRecord {
                tenant: Tenant::new(row.get_ref(0)?.as_str()?),
                name: row.get(1)?,
                documents: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(super) fn document(
    connection: &Connection,
    reader: &Tenant,
    id: &DocumentId,
) -> Result<Option<DocumentRecord>, StoreError> {
    let sql = format!("SELECT {VERSION}, {DOCUMENT} {FROM} AND d.id = ?2");
    let values = [reader.as_str(), id.as_str()];
    Ok(connection.prepare_cached(&sql)?.query_row(values, document_row).optional()?)
}

pub(super) fn page(
    connection: &Connection,
    reader: &Tenant,
    (tenant, name): &Place,
    filter: &DocumentFilter,
    before: Option<&DocumentId>,
    limit: usize,
) -> Result<Option<Page<DocumentRecord>>, StoreError> {
    let within = format!("{FROM} AND r.tenant = ?2 AND r.collection = ?3");
    let end = match before {
        None => i64::MAX,
        Some(before) => {
            let values = [reader.as_str(), tenant.as_str(), name, before.as_str()];
            let sql = format!("SELECT d.position {within} AND d.id = ?4");
            let position = connection.prepare_cached(&sql)?.query_row(values, |row| row.get(0)).optional()?;
            match position {
                Some(position) => position,
                None => return Ok(None),
            }
        }
    };
    if filter.state.is_some_and(|state| state != DocumentState::Ready) {
        return Ok(Some(Page { items: Vec::new(), more: false }));
    }
    let sql = format!(
        "SELECT {VERSION}, {DOCUMENT} {within} AND d.position < ?4 AND (?5 IS NULL OR ifnull(v.uri, d.key) = ?5)
         ORDER BY d.position DESC LIMIT ?6"
    );
    let values = params![reader.as_str(), tenant.as_str(), name, end, filter.key, limit as i64 + 1];
    let found = connection.prepare_cached(&sql)?.query_map(values, document_row)?.collect::<Result<Vec<_>, _>>()?;
    let (items, more) = cut(found, limit);
    Ok(Some(Page { items, more }))
}
