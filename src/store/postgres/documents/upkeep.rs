//! What should be where: compared with the index and with the files, and tidied up.

use std::sync::Arc;

use tokio_postgres::{Row, types::Type};

use super::{
    jobs::{self, Subject},
    lead,
    lock::lock,
    row::{Value, number, one, small, tenant},
};
use crate::{
    chat::{DocumentId, Timestamp},
    store::{
        Fence, StoreError,
        columns::millis,
        documents::{Census, DocumentState, JobKind, JobRecord, Known, Place, Tenant, hash_of, text_name},
        postgres::{
            connect::Link,
            rows::{get, id, name},
            writer::Failure,
        },
    },
};

pub(super) async fn deleted(link: Arc<Link>) -> Result<(Vec<Known>, Vec<Place>), Failure> {
    let documents = "SELECT tenant, collection, id, NULL::text FROM documents WHERE deleted_at IS NOT NULL";
    let documents = link.client.query_typed(documents, &[]).await?;
    let collections = "SELECT tenant, name FROM collections WHERE deleted_at IS NOT NULL";
    let collections = link.client.query_typed(collections, &[]).await?;
    let documents = documents.iter().map(known).collect::<Result<_, _>>()?;
    Ok((documents, collections.iter().map(place).collect::<Result<_, _>>()?))
}

pub(super) async fn expected(
    link: Arc<Link>,
    within: Option<Place>,
    after: Option<DocumentId>,
    limit: usize,
) -> Result<Vec<Known>, Failure> {
    let sql = "SELECT d.tenant, d.collection, d.id, v.doc_hash
        FROM documents d LEFT JOIN versions v ON v.document = d.id AND v.version = d.indexed_version
        WHERE d.deleted_at IS NULL AND d.id > $1 AND ($3 IS NULL OR d.tenant = $3 AND d.collection = $4)
        ORDER BY d.id LIMIT $2";
    let (tenant, name) = within.as_ref().map(|(tenant, name)| (tenant.as_str(), name.as_str())).unzip();
    let values: [Value<'_>; 4] = [
        (&after.as_ref().map_or("", DocumentId::as_str), Type::TEXT),
        (&(limit as i64), Type::INT8),
        (&tenant, Type::TEXT),
        (&name, Type::TEXT),
    ];
    Ok(link.client.query_typed(sql, &values).await?.iter().map(known).collect::<Result<_, _>>()?)
}

fn known(row: &Row) -> Result<Known, StoreError> {
    Ok(Known {
        tenant: tenant(row, 0)?,
        collection: get(row, 1)?,
        document: id(row, 2, DocumentId::parse)?,
        doc_hash: get(row, 3)?,
    })
}

fn place(row: &Row) -> Result<Place, StoreError> {
    Ok((tenant(row, 0)?, get(row, 1)?))
}

pub(super) async fn reindex(link: Arc<Link>, document: DocumentId, at: Timestamp) -> Result<(), Failure> {
    let own: [Value<'_>; 1] = [(&document.as_str(), Type::TEXT)];
    let Some(found) = one(&link, "SELECT tenant FROM documents WHERE id = $1", &own).await? else { return Ok(()) };
    let tenant = tenant(&found, 0)?;
    lock(&link, &tenant).await?;
    // Work that has come as far as the index is not what ended the process.
    let again = "UPDATE jobs SET attempts = 0 WHERE document = $1 AND state IN ('queued', 'running')";
    link.client.execute_typed(again, &own).await?;
    let sql = "SELECT collection, indexed_version FROM documents d
        WHERE id = $1 AND deleted_at IS NULL AND indexed_version IS NOT NULL AND NOT EXISTS (
          SELECT FROM jobs j WHERE j.document = d.id AND j.state IN ('queued', 'running'))";
    let Some(found) = one(&link, sql, &own).await? else { return Ok(()) };
    let (collection, version): (String, _) = (get(&found, 0)?, small(&found, 1)?);
    let subject = Subject {
        tenant: &tenant,
        kind: JobKind::Index,
        collection: &collection,
        document: Some(&document),
        version: Some(version),
    };
    jobs::begin(&link, &subject, at).await.map(drop)
}

pub(super) async fn files(link: Arc<Link>, job: JobRecord) -> Result<Vec<String>, Failure> {
    let sql = "SELECT v.document, v.version, coalesce(v.file, v.blob) FROM versions v JOIN documents d ON d.id = v.document
        WHERE d.tenant = $1 AND d.deleted_at IS NOT NULL AND CASE WHEN $2 IS NULL THEN d.collection = $3 ELSE d.id = $2 END";
    let values: [Value<'_>; 3] = [
        (&job.tenant.as_str(), Type::TEXT),
        (&job.document.as_ref().map(DocumentId::as_str), Type::TEXT),
        (&job.collection, Type::TEXT),
    ];
    let found = link.client.query_typed(sql, &values).await?;
    let names = found.iter().map(|row| Ok([text_name(&id(row, 0, DocumentId::parse)?, small(row, 1)?), get(row, 2)?]));
    Ok(names.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
}

pub(super) async fn unused(link: Arc<Link>, tenant: Tenant, names: Vec<String>) -> Result<Vec<String>, Failure> {
    // A name begins with the hash, by which versions can be looked up.
    let sql = "SELECT name FROM unnest($2, $3) AS files (name, hash)
        WHERE NOT EXISTS (
            SELECT FROM versions v WHERE v.tenant = $1 AND v.blob = hash AND coalesce(v.file, v.blob) = files.name)
          AND NOT EXISTS (
            SELECT FROM versions v
            WHERE v.tenant = $1 AND v.document = split_part(files.name, '.', 1)
              AND v.version::text = split_part(files.name, '.', 2))";
    let hashes: Vec<&str> = names.iter().map(|name| hash_of(name)).collect();
    let found = link
        .client
        .query_typed(sql, &[(&tenant.as_str(), Type::TEXT), (&names, Type::TEXT_ARRAY), (&hashes, Type::TEXT_ARRAY)])
        .await?;
    Ok(found.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?)
}

pub(super) async fn tenants(link: Arc<Link>) -> Result<Vec<Tenant>, Failure> {
    let found = link.client.query_typed("SELECT tenant FROM collections UNION SELECT tenant FROM jobs", &[]).await?;
    Ok(found.iter().map(|row| tenant(row, 0)).collect::<Result<_, _>>()?)
}

pub(super) async fn unerased(link: Arc<Link>, cutoff: Timestamp) -> Result<Vec<Place>, Failure> {
    let sql = "SELECT tenant, name FROM collections c WHERE unerased <= $1 AND deleted_at IS NULL AND NOT EXISTS (
          SELECT FROM documents d WHERE d.tenant = c.tenant AND d.collection = c.name AND d.deleted_at IS NOT NULL)";
    let found = link.client.query_typed(sql, &[(&millis(cutoff), Type::INT8)]).await?;
    Ok(found.iter().map(place).collect::<Result<_, _>>()?)
}

/// What was deleted since is erased another time.
pub(super) async fn erased(
    link: Arc<Link>,
    fence: Fence,
    tenant: Tenant,
    name: String,
    at: Timestamp,
) -> Result<(), Failure> {
    lead::hold(&link, fence).await?;
    lock(&link, &tenant).await?;
    let sql = "UPDATE collections SET unerased = NULL WHERE tenant = $1 AND name = $2 AND unerased < $3";
    let values: [Value<'_>; 3] = [(&tenant.as_str(), Type::TEXT), (&name, Type::TEXT), (&millis(at), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

pub(super) async fn census(link: Arc<Link>) -> Result<Census, Failure> {
    let counted = "SELECT state, count(*) FROM documents WHERE deleted_at IS NULL GROUP BY state";
    let counted = link.client.query_typed(counted, &[]).await?;
    let counted = counted.iter().map(|row| Ok((name(row, 0)?, number(row, 1)?)));
    let counted = counted.collect::<Result<Vec<(DocumentState, u64)>, StoreError>>()?;
    let work = "SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'running')
        FROM jobs WHERE state IN ('queued', 'running')";
    let work = link.client.query_typed_one(work, &[]).await?;
    let count = |state| counted.iter().find(|(known, _)| *known == state).map_or(0, |(_, count)| *count);
    let documents = DocumentState::ALL.iter().map(|state| (*state, count(*state))).collect();
    Ok(Census { documents, queued: number(&work, 0)?, running: number(&work, 1)? })
}

pub(super) async fn forget_jobs(link: Arc<Link>, fence: Fence, cutoff: Timestamp) -> Result<(), Failure> {
    lead::hold(&link, fence).await?;
    let sql = "DELETE FROM jobs WHERE state IN ('done', 'failed', 'cancelled') AND updated_at < $1";
    link.client.execute_typed(sql, &[(&millis(cutoff), Type::INT8)]).await?;
    Ok(())
}
