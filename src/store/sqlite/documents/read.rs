//! Documents and their versions, read.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{VERSION, fault, last_job, version_row};
use crate::{
    chat::DocumentId,
    store::{
        StoreError,
        documents::{DocumentFilter, DocumentRecord, DocumentState, Page, Tenant, VersionRecord},
        sqlite::rows::{cut, from_json, id, name, timestamp},
    },
};

/// Behind the columns of a version.
const DOCUMENT: &str = "d.id, d.collection, d.key, d.title, d.state, d.code, d.reason, d.indexed_version, d.metadata,
     d.created_at, d.updated_at, d.tenant";
const FROM: &str = "FROM documents d JOIN versions v ON v.document = d.id AND v.version = d.version";

pub(super) fn document(
    connection: &Connection,
    tenant: &Tenant,
    id: &DocumentId,
) -> Result<Option<DocumentRecord>, StoreError> {
    let sql = format!("SELECT {VERSION}, {DOCUMENT} {FROM} WHERE d.id = ?2 AND d.tenant = ?1 AND d.deleted_at IS NULL");
    let values = [tenant.as_str(), id.as_str()];
    let found = connection.prepare_cached(&sql)?.query_row(values, document_row).optional()?;
    found.map(|found| with_job(connection, found)).transpose()
}

pub(super) fn page(
    connection: &Connection,
    tenant: &Tenant,
    filter: &DocumentFilter,
    before: Option<&DocumentId>,
    limit: usize,
) -> Result<Option<Page<DocumentRecord>>, StoreError> {
    let end = match before {
        None => i64::MAX,
        Some(before) => {
            let position = connection
                .prepare_cached("SELECT position FROM documents WHERE id = ?2 AND tenant = ?1 AND deleted_at IS NULL")?
                .query_row([tenant.as_str(), before.as_str()], |row| row.get(0))
                .optional()?;
            match position {
                Some(position) => position,
                None => return Ok(None),
            }
        }
    };
    let sql = format!(
        "SELECT {VERSION}, {DOCUMENT} {FROM}
         WHERE d.tenant = ?1 AND d.position < ?2 AND d.deleted_at IS NULL
           AND (?3 IS NULL OR d.collection = ?3) AND (?4 IS NULL OR d.state = ?4) AND (?6 IS NULL OR d.key = ?6)
         ORDER BY d.position DESC LIMIT ?5"
    );
    let state = filter.state.map(DocumentState::as_str);
    let values = params![tenant.as_str(), end, filter.collection, state, limit as i64 + 1, filter.key];
    let found = connection.prepare_cached(&sql)?.query_map(values, document_row)?.collect::<Result<Vec<_>, _>>()?;
    let (found, more) = cut(found, limit);
    let items = found.into_iter().map(|found| with_job(connection, found)).collect::<Result<_, _>>()?;
    Ok(Some(Page { items, more }))
}

pub(super) fn versions(
    connection: &Connection,
    tenant: &Tenant,
    id: &DocumentId,
) -> Result<Option<Vec<VersionRecord>>, StoreError> {
    let sql = format!(
        "SELECT {VERSION} FROM versions v JOIN documents d ON d.id = v.document
         WHERE d.id = ?2 AND d.tenant = ?1 AND d.deleted_at IS NULL ORDER BY v.version DESC"
    );
    let values = [tenant.as_str(), id.as_str()];
    let found = connection.prepare_cached(&sql)?.query_map(values, version_row)?.collect::<Result<Vec<_>, _>>()?;
    Ok((!found.is_empty()).then_some(found))
}

fn with_job(connection: &Connection, document: DocumentRecord) -> Result<DocumentRecord, StoreError> {
    Ok(DocumentRecord { job: last_job(connection, &document.id)?, ..document })
}

/// Takes the columns of a version, and those of its document behind them.
pub(super) fn document_row(row: &Row<'_>) -> rusqlite::Result<DocumentRecord> {
    Ok(DocumentRecord {
        newest: version_row(row)?,
        id: id(row, 16, DocumentId::parse)?,
        collection: row.get(17)?,
        key: row.get(18)?,
        title: row.get(19)?,
        state: name(row, 20)?,
        fault: fault(row, 21)?,
        indexed_version: row.get(23)?,
        metadata: from_json(row, 24)?,
        created_at: timestamp(row, 25)?,
        updated_at: timestamp(row, 26)?,
        tenant: Tenant::new(row.get_ref(27)?.as_str()?),
        job: None,
    })
}
