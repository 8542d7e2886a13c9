//! Collections: made, listed, deleted, shared.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::{
    jobs::{self, Subject},
    lock::lock,
    row::{Value, count, exists, number, one},
};
use crate::{
    chat::{JobId, Timestamp},
    store::{
        StoreError,
        columns::millis,
        documents::{CollectionRecord, DEFAULT_COLLECTION, Deleted, JobKind, MAX_COLLECTIONS, Made, Tenant},
        postgres::{
            connect::Link,
            rows::{get, id, timestamp},
            writer::Failure,
        },
    },
};

pub(super) async fn list(link: Arc<Link>, tenant: Tenant) -> Result<Vec<CollectionRecord>, Failure> {
    let sql = "SELECT c.name, c.created_at, c.deleted_at IS NOT NULL, count(d.id),
               count(*) FILTER (WHERE d.state IN ('queued', 'indexing')),
               count(*) FILTER (WHERE d.state = 'failed'),
               coalesce(sum(v.chunks) FILTER (WHERE d.state NOT IN ('queued', 'indexing')), 0)::bigint,
               ARRAY(SELECT r.reader FROM readers r
                     WHERE r.tenant = c.tenant AND r.collection = c.name ORDER BY r.reader)
        FROM collections c
        LEFT JOIN documents d ON d.tenant = c.tenant AND d.collection = c.name AND d.deleted_at IS NULL
        LEFT JOIN versions v ON v.document = d.id AND v.version = d.indexed_version
        WHERE c.tenant = $1 GROUP BY c.tenant, c.name ORDER BY c.name";
    let found = link.client.query_typed(sql, &[(&tenant.as_str(), Type::TEXT)]).await?;
    let found = found.iter().map(|row| {
        Ok(CollectionRecord {
            name: get(row, 0)?,
            created_at: timestamp(row, 1)?,
            is_deleting: get(row, 2)?,
            documents: number(row, 3)?,
            pending: number(row, 4)?,
            failed: number(row, 5)?,
            chunks: number(row, 6)?,
            readers: get::<Vec<&str>>(row, 7)?.into_iter().map(Tenant::new).collect(),
        })
    });
    Ok(found.collect::<Result<_, StoreError>>()?)
}

pub(super) async fn create(link: Arc<Link>, tenant: Tenant, name: String, at: Timestamp) -> Result<Made, Failure> {
    lock(&link, &tenant).await?;
    make(&link, &tenant, &name, at).await
}

/// For whoever has locked the tenant.
pub(super) async fn make(link: &Link, tenant: &Tenant, name: &str, at: Timestamp) -> Result<Made, Failure> {
    let own: [Value<'_>; 2] = [(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT)];
    let known = "SELECT deleted_at IS NOT NULL FROM collections WHERE tenant = $1 AND name = $2";
    match one(link, known, &own).await?.map(|row| get(&row, 0)).transpose()? {
        Some(true) => return Ok(Made::Deleting),
        Some(false) => return Ok(Made::Exists),
        None => {}
    }
    let others = "SELECT count(*) FROM collections WHERE tenant = $1 AND name <> $2";
    let others = count(link, others, &[(&tenant.as_str(), Type::TEXT), (&DEFAULT_COLLECTION, Type::TEXT)]).await?;
    if name != DEFAULT_COLLECTION && usize::try_from(others).unwrap_or(usize::MAX) >= MAX_COLLECTIONS {
        return Ok(Made::TooMany);
    }
    let sql = "INSERT INTO collections (tenant, name, created_at) VALUES ($1, $2, $3)";
    let values: [Value<'_>; 3] = [(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT), (&millis(at), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(Made::New)
}

pub(super) async fn delete(
    link: Arc<Link>,
    tenant: Tenant,
    name: String,
    at: Timestamp,
) -> Result<Option<Deleted>, Failure> {
    lock(&link, &tenant).await?;
    let values: [Value<'_>; 3] = [(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT), (&millis(at), Type::INT8)];
    let mark = "UPDATE collections SET deleted_at = $3 WHERE tenant = $1 AND name = $2 AND deleted_at IS NULL";
    if link.client.execute_typed(mark, &values).await? == 0 {
        return Ok(None);
    }
    let documents = "UPDATE documents SET deleted_at = $3, metadata = NULL
        WHERE tenant = $1 AND collection = $2 AND deleted_at IS NULL";
    link.client.execute_typed(documents, &values).await?;
    forget_readers(&link, &tenant, &name).await?;
    let work = "UPDATE jobs SET state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END, cancelling = true,
                                revision = revision + 1, updated_at = $3
        WHERE tenant = $1 AND collection = $2 AND kind = 'index' AND state IN ('queued', 'running') RETURNING id";
    let cancelled = link.client.query_typed(work, &values).await?;
    let cancelled = cancelled.iter().map(|row| id(row, 0, JobId::parse)).collect::<Result<_, _>>()?;
    let subject = Subject { tenant: &tenant, kind: JobKind::Drop, collection: &name, document: None, version: None };
    Ok(Some(Deleted { job: jobs::insert(&link, &subject, at).await?, cancelled }))
}

pub(super) async fn set_readers(
    link: Arc<Link>,
    tenant: Tenant,
    name: String,
    readers: Arc<Vec<Tenant>>,
    at: Timestamp,
) -> Result<bool, Failure> {
    lock(&link, &tenant).await?;
    if name == DEFAULT_COLLECTION {
        make(&link, &tenant, &name, at).await?;
    }
    let own: [Value<'_>; 2] = [(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT)];
    let is_there = "SELECT FROM collections WHERE tenant = $1 AND name = $2 AND deleted_at IS NULL";
    if !exists(&link, is_there, &own).await? {
        return Ok(false);
    }
    forget_readers(&link, &tenant, &name).await?;
    let readers: Vec<&str> = readers.iter().map(Tenant::as_str).collect();
    let sql = "INSERT INTO readers (tenant, collection, reader) SELECT $1, $2, unnest($3) ON CONFLICT DO NOTHING";
    let values: [Value<'_>; 3] = [(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT), (&readers, Type::TEXT_ARRAY)];
    link.client.execute_typed(sql, &values).await?;
    Ok(true)
}

async fn forget_readers(link: &Link, tenant: &Tenant, name: &str) -> Result<(), Failure> {
    let sql = "DELETE FROM readers WHERE tenant = $1 AND collection = $2";
    link.client.execute_typed(sql, &[(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT)]).await?;
    Ok(())
}
