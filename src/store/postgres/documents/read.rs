//! Documents and their versions, read.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::row::{VERSION, Value, cut, document_row, one, version_row, with_jobs};
use crate::{
    chat::DocumentId,
    store::{
        documents::{DocumentFilter, DocumentRecord, DocumentState, Page, Tenant, VersionRecord},
        postgres::{connect::Link, rows::get, writer::Failure},
    },
};

/// Behind the columns of a version.
const DOCUMENT: &str = "d.id, d.collection, d.key, d.title, d.state, d.code, d.reason, d.indexed_version, d.metadata,
    d.created_at, d.updated_at, d.tenant";
const FROM: &str = "FROM documents d JOIN versions v ON v.document = d.id AND v.version = d.version";

pub(super) async fn document(link: &Link, tenant: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, Failure> {
    let sql = format!("SELECT {VERSION}, {DOCUMENT} {FROM} WHERE d.id = $2 AND d.tenant = $1 AND d.deleted_at IS NULL");
    let found = one(link, &sql, &[(&tenant.as_str(), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    let Some(found) = found else { return Ok(None) };
    Ok(with_jobs(link, vec![document_row(&found)?]).await?.pop())
}

pub(super) async fn page(
    link: Arc<Link>,
    tenant: Tenant,
    filter: DocumentFilter,
    before: Option<DocumentId>,
    limit: usize,
) -> Result<Option<Page<DocumentRecord>>, Failure> {
    let tenant = tenant.as_str();
    let end = match before {
        None => i64::MAX,
        Some(before) => {
            let sql = "SELECT position FROM documents WHERE id = $2 AND tenant = $1 AND deleted_at IS NULL";
            match one(&link, sql, &[(&tenant, Type::TEXT), (&before.as_str(), Type::TEXT)]).await? {
                Some(row) => get(&row, 0)?,
                None => return Ok(None),
            }
        }
    };
    let sql = format!(
        "SELECT {VERSION}, {DOCUMENT} {FROM}
         WHERE d.tenant = $1 AND d.position < $2 AND d.deleted_at IS NULL
           AND ($3 IS NULL OR d.collection = $3) AND ($4 IS NULL OR d.state = $4) AND ($6 IS NULL OR d.key = $6)
         ORDER BY d.position DESC LIMIT $5"
    );
    let state = filter.state.map(DocumentState::as_str);
    let most = limit as i64 + 1;
    let values: [Value<'_>; 6] = [
        (&tenant, Type::TEXT),
        (&end, Type::INT8),
        (&filter.collection, Type::TEXT),
        (&state, Type::TEXT),
        (&most, Type::INT8),
        (&filter.key, Type::TEXT),
    ];
    let found =
        link.client.query_typed(&sql, &values).await?.iter().map(document_row).collect::<Result<Vec<_>, _>>()?;
    let (found, more) = cut(found, limit);
    Ok(Some(Page { items: with_jobs(&link, found).await?, more }))
}

pub(super) async fn versions(
    link: Arc<Link>,
    tenant: Tenant,
    id: DocumentId,
) -> Result<Option<Vec<VersionRecord>>, Failure> {
    let sql = format!(
        "SELECT {VERSION} FROM versions v JOIN documents d ON d.id = v.document
         WHERE d.id = $2 AND d.tenant = $1 AND d.deleted_at IS NULL ORDER BY v.version DESC"
    );
    let found = link.client.query_typed(&sql, &[(&tenant.as_str(), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    let found = found.iter().map(version_row).collect::<Result<Vec<_>, _>>()?;
    Ok((!found.is_empty()).then_some(found))
}
