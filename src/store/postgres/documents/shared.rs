//! Collections as those see them with whom they are shared. Every statement goes through the table of readers, so what is not
//! shared any more is not there, whoever asked before.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::row::{VERSION, Value, cut, document_row, exists, number, one, tenant};
use crate::{
    chat::DocumentId,
    store::{
        StoreError,
        documents::{DocumentFilter, DocumentRecord, DocumentState, MAX_SHARED, Page, Place, SharedRecord, Tenant},
        postgres::{connect::Link, rows::get, writer::Failure},
    },
};

/// Behind the columns of a version. Readers are shown what passages show: no key where a place was given, for a key may be
/// the path of a file.
const DOCUMENT: &str = "d.id, d.collection, coalesce(v.uri, d.key), d.title, 'ready', NULL::text, NULL::text,
    d.indexed_version, NULL::text, d.created_at, v.created_at, d.tenant";
/// What `$1` may read.
const FROM: &str = "FROM readers r
    JOIN documents d ON d.tenant = r.tenant AND d.collection = r.collection AND d.deleted_at IS NULL
    JOIN versions v ON v.document = d.id AND v.version = d.indexed_version
    WHERE r.reader = $1";

pub(super) async fn is_shared(link: Arc<Link>, reader: Tenant, (tenant, name): Place) -> Result<bool, Failure> {
    let sql = "SELECT FROM readers WHERE reader = $1 AND tenant = $2 AND collection = $3";
    let values: [Value<'_>; 3] = [(&reader.as_str(), Type::TEXT), (&tenant.as_str(), Type::TEXT), (&name, Type::TEXT)];
    exists(&link, sql, &values).await
}

pub(super) async fn list(link: Arc<Link>, reader: Tenant) -> Result<Vec<SharedRecord>, Failure> {
    let sql = "SELECT r.tenant, r.collection,
               (SELECT count(*) FROM documents d
                WHERE d.tenant = r.tenant AND d.collection = r.collection AND d.deleted_at IS NULL
                  AND d.indexed_version IS NOT NULL)
        FROM readers r WHERE r.reader = $1 ORDER BY r.tenant, r.collection LIMIT $2";
    let values: [Value<'_>; 2] = [(&reader.as_str(), Type::TEXT), (&(MAX_SHARED as i64), Type::INT8)];
    let found = link.client.query_typed(sql, &values).await?;
    let found = found
        .iter()
        .map(|row| Ok(SharedRecord { tenant: tenant(row, 0)?, name: get(row, 1)?, documents: number(row, 2)? }));
    Ok(found.collect::<Result<_, StoreError>>()?)
}

pub(super) async fn document(
    link: Arc<Link>,
    reader: Tenant,
    id: DocumentId,
) -> Result<Option<DocumentRecord>, Failure> {
    let sql = format!("SELECT {VERSION}, {DOCUMENT} {FROM} AND d.id = $2");
    let found = one(&link, &sql, &[(&reader.as_str(), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    Ok(found.as_ref().map(document_row).transpose()?)
}

pub(super) async fn page(
    link: Arc<Link>,
    reader: Tenant,
    (tenant, name): Place,
    filter: DocumentFilter,
    before: Option<DocumentId>,
    limit: usize,
) -> Result<Option<Page<DocumentRecord>>, Failure> {
    let within = format!("{FROM} AND r.tenant = $2 AND r.collection = $3");
    let (reader, tenant) = (reader.as_str(), tenant.as_str());
    let end = match before {
        None => i64::MAX,
        Some(before) => {
            let sql = format!("SELECT d.position {within} AND d.id = $4");
            let before = before.as_str();
            let values: [Value<'_>; 4] =
                [(&reader, Type::TEXT), (&tenant, Type::TEXT), (&name, Type::TEXT), (&before, Type::TEXT)];
            match one(&link, &sql, &values).await? {
                Some(row) => get(&row, 0)?,
                None => return Ok(None),
            }
        }
    };
    if filter.state.is_some_and(|state| state != DocumentState::Ready) {
        return Ok(Some(Page { items: Vec::new(), more: false }));
    }
    let sql = format!(
        "SELECT {VERSION}, {DOCUMENT} {within} AND d.position < $4 AND ($5 IS NULL OR coalesce(v.uri, d.key) = $5)
         ORDER BY d.position DESC LIMIT $6"
    );
    let most = limit as i64 + 1;
    let values: [Value<'_>; 6] = [
        (&reader, Type::TEXT),
        (&tenant, Type::TEXT),
        (&name, Type::TEXT),
        (&end, Type::INT8),
        (&filter.key, Type::TEXT),
        (&most, Type::INT8),
    ];
    let found =
        link.client.query_typed(&sql, &values).await?.iter().map(document_row).collect::<Result<Vec<_>, _>>()?;
    let (items, more) = cut(found, limit);
    Ok(Some(Page { items, more }))
}
