//! Documents in and out, each in one transaction with the work on it.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::{
    collections,
    jobs::{self, Subject},
    lock::lock,
    read,
    row::{Value, count, exists, one, small},
};
use crate::{
    chat::{DocumentId, MessageId, Timestamp},
    store::{
        StoreError,
        columns::{integer, json, millis},
        documents::{
            Accepted, Deleted, DocumentRecord, DocumentState, JobKind, JobRecord, KEPT_VERSIONS, Made, NewVersion,
            Target, Tenant, text_name,
        },
        postgres::{
            connect::Link,
            rows::{get, id},
            writer::Failure,
        },
    },
};

pub(super) async fn accept(link: Arc<Link>, tenant: Tenant, new: Arc<NewVersion>) -> Result<Accepted, Failure> {
    lock(&link, &tenant).await?;
    if let Some(known) = repeated(&link, &tenant, &new).await? {
        return Ok(known);
    }
    let found = match &new.target {
        Target::Document(id) => match read::document(&link, &tenant, id).await? {
            Some(found) => found,
            None => return Ok(Accepted::NotFound),
        },
        Target::Key { collection, key } => {
            match collections::make(&link, &tenant, collection, new.at).await? {
                Made::New | Made::Exists => {}
                Made::Deleting => return Ok(Accepted::Deleting),
                Made::TooMany => return Ok(Accepted::TooManyCollections),
            }
            let sql = "SELECT id FROM documents
                WHERE tenant = $1 AND collection = $2 AND key = $3 AND deleted_at IS NULL";
            let values: [Value<'_>; 3] = [(&tenant.as_str(), Type::TEXT), (collection, Type::TEXT), (key, Type::TEXT)];
            match one(&link, sql, &values).await? {
                None => return insert(&link, &tenant, &new, collection, key).await,
                Some(row) => {
                    let found = id(&row, 0, DocumentId::parse)?;
                    read::document(&link, &tenant, &found).await?.ok_or_else(|| gone(&found))?
                }
            }
        }
    };
    update(&link, &tenant, &new, found).await
}

/// What a request that came before is answered with.
async fn repeated(link: &Link, tenant: &Tenant, new: &NewVersion) -> Result<Option<Accepted>, Failure> {
    let Some(request) = &new.request else { return Ok(None) };
    let sql = "SELECT document, blob FROM versions WHERE tenant = $1 AND request = $2";
    let known = one(link, sql, &[(&tenant.as_str(), Type::TEXT), (&request.as_str(), Type::TEXT)]).await?;
    let Some(known) = known else { return Ok(None) };
    let (document, blob): (_, String) = (id(&known, 0, DocumentId::parse)?, get(&known, 1)?);
    let Some(document) = read::document(link, tenant, &document).await? else { return Ok(Some(Accepted::Conflict)) };
    let is_other = match &new.target {
        Target::Document(id) => *id != document.id,
        Target::Key { collection, key } => (collection, key) != (&document.collection, &document.key),
    };
    Ok(Some(match document.job.clone() {
        _ if is_other || blob != new.content.blob => Accepted::Conflict,
        Some(job) => Accepted::Joined(Box::new(document), Box::new(job)),
        None => Accepted::Unchanged { document: Box::new(document), dropped: Vec::new() },
    }))
}

async fn insert(
    link: &Link,
    tenant: &Tenant,
    new: &NewVersion,
    collection: &str,
    key: &str,
) -> Result<Accepted, Failure> {
    if new.is_kept {
        return Ok(Accepted::NotFound);
    }
    let own = "SELECT count(*) FROM documents WHERE tenant = $1 AND deleted_at IS NULL";
    if count(link, own, &[(&tenant.as_str(), Type::TEXT)]).await? >= new.most {
        return Ok(Accepted::TooManyDocuments);
    }
    let document = DocumentId::random();
    let title = new.content.title.as_deref().unwrap_or(&new.content.name);
    let sql =
        "INSERT INTO documents (id, tenant, collection, key, title, version, state, metadata, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, 1, 'queued', $6, $7, $7)";
    let values: [Value<'_>; 7] = [
        (&document.as_str(), Type::TEXT),
        (&tenant.as_str(), Type::TEXT),
        (&collection, Type::TEXT),
        (&key, Type::TEXT),
        (&title, Type::TEXT),
        (&new.metadata.as_ref().map(json).transpose()?, Type::TEXT),
        (&millis(new.at), Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    insert_version(link, tenant, new, &document, 1).await?;
    queue(link, tenant, new, collection, &document, 1).await
}

async fn update(link: &Link, tenant: &Tenant, new: &NewVersion, found: DocumentRecord) -> Result<Accepted, Failure> {
    let DocumentRecord { id: document, collection, newest, .. } = &found;
    if new.is_kept && !has_file(link, document, &new.content.file).await? {
        return Ok(Accepted::NotFound);
    }
    if let Some(metadata) = &new.metadata {
        let sql = "UPDATE documents SET metadata = $2, updated_at = $3 WHERE id = $1";
        let values: [Value<'_>; 3] =
            [(&document.as_str(), Type::TEXT), (&json(metadata)?, Type::TEXT), (&millis(new.at), Type::INT8)];
        link.client.execute_typed(sql, &values).await?;
    }
    let is_same = newest.blob == new.content.blob
        && newest.name == new.content.name
        && newest.uri == new.content.uri
        && new.content.title.as_ref().is_none_or(|title| newest.title.as_ref() == Some(title));
    if !is_same {
        let superseded = jobs::supersede(link, document, new.at).await?;
        let version = newest.version + 1;
        insert_version(link, tenant, new, document, version).await?;
        let sql = "UPDATE documents SET version = $2 WHERE id = $1";
        let values: [Value<'_>; 2] = [(&document.as_str(), Type::TEXT), (&i64::from(version), Type::INT8)];
        link.client.execute_typed(sql, &values).await?;
        let left = drop_versions(link, document, version.saturating_sub(KEPT_VERSIONS)).await?;
        let mut queued = queue(link, tenant, new, collection, document, version).await?;
        if let Accepted::Queued { superseded: ended, dropped, .. } = &mut queued {
            (*ended, *dropped) = (superseded, left);
        }
        return Ok(queued);
    }
    note_request(link, new.request.as_ref(), document, newest.version).await?;
    let mut found = read::document(link, tenant, document).await?.ok_or_else(|| gone(document))?;
    match found.job.clone().filter(JobRecord::is_wanted) {
        Some(job) => Ok(Accepted::Joined(Box::new(found), Box::new(job))),
        // What is held back is not looked at again before somebody lets it; what failed is, also when it once answered.
        None if found.state == DocumentState::Quarantined
            || found.indexed_version == Some(found.newest.version) && found.state != DocumentState::Failed =>
        {
            let dropped = change_file(link, &mut found, &new.content.file).await?;
            Ok(Accepted::Unchanged { document: Box::new(found), dropped })
        }
        None => {
            let left = change_file(link, &mut found, &new.content.file).await?;
            let mut queued = queue(link, tenant, new, &found.collection, &found.id, found.newest.version).await?;
            if let Accepted::Queued { dropped, .. } = &mut queued {
                *dropped = left;
            }
            Ok(queued)
        }
    }
}

/// Whether a version of the document has this file.
async fn has_file(link: &Link, document: &DocumentId, file: &str) -> Result<bool, Failure> {
    let sql = "SELECT FROM versions WHERE document = $1 AND coalesce(file, blob) = $2";
    exists(link, sql, &[(&document.as_str(), Type::TEXT), (&file, Type::TEXT)]).await
}

/// Has the newest version lie in this file from now on, which has the same bytes: the other one may be gone or damaged. Its name.
async fn change_file(link: &Link, found: &mut DocumentRecord, file: &str) -> Result<Vec<String>, Failure> {
    if found.newest.file == file {
        return Ok(Vec::new());
    }
    let sql = "UPDATE versions SET file = $3 WHERE document = $1 AND version = $2";
    let values: [Value<'_>; 3] =
        [(&found.id.as_str(), Type::TEXT), (&i64::from(found.newest.version), Type::INT8), (&file, Type::TEXT)];
    link.client.execute_typed(sql, &values).await?;
    Ok(vec![std::mem::replace(&mut found.newest.file, file.to_owned())])
}

async fn queue(
    link: &Link,
    tenant: &Tenant,
    new: &NewVersion,
    collection: &str,
    document: &DocumentId,
    version: u32,
) -> Result<Accepted, Failure> {
    let subject =
        Subject { tenant, kind: JobKind::Index, collection, document: Some(document), version: Some(version) };
    let job = Box::new(jobs::begin(link, &subject, new.at).await?);
    let document = Box::new(read::document(link, tenant, document).await?.ok_or_else(|| gone(document))?);
    Ok(Accepted::Queued { document, job, superseded: Vec::new(), dropped: Vec::new() })
}

/// Removes the versions of a document up to `last` but the one that answers; the names of their files.
async fn drop_versions(link: &Link, document: &DocumentId, last: u32) -> Result<Vec<String>, Failure> {
    let sql = "DELETE FROM versions WHERE document = $1 AND version <= $2
        AND version IS DISTINCT FROM (SELECT indexed_version FROM documents WHERE id = $1) RETURNING version,
          coalesce(file, blob)";
    let values: [Value<'_>; 2] = [(&document.as_str(), Type::TEXT), (&i64::from(last), Type::INT8)];
    let dropped = link.client.query_typed(sql, &values).await?;
    let names = dropped.iter().map(|row| Ok([text_name(document, small(row, 0)?), get(row, 1)?]));
    Ok(names.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
}

async fn insert_version(
    link: &Link,
    tenant: &Tenant,
    new: &NewVersion,
    document: &DocumentId,
    version: u32,
) -> Result<(), Failure> {
    let content = &new.content;
    let sql = "INSERT INTO versions
          (document, version, tenant, name, title, uri, media_type, blob, bytes, request, created_at, file, released)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, nullif($12, $8),
          EXISTS (SELECT FROM versions WHERE document = $1 AND blob = $8 AND released))";
    let values: [Value<'_>; 12] = [
        (&document.as_str(), Type::TEXT),
        (&i64::from(version), Type::INT8),
        (&tenant.as_str(), Type::TEXT),
        (&content.name, Type::TEXT),
        (&content.title, Type::TEXT),
        (&content.uri, Type::TEXT),
        (&content.media_type, Type::TEXT),
        (&content.blob, Type::TEXT),
        (&integer(content.bytes), Type::INT8),
        (&new.request.as_ref().map(MessageId::as_str), Type::TEXT),
        (&millis(new.at), Type::INT8),
        (&content.file, Type::TEXT),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

/// Of a request that came with what is there already.
async fn note_request(
    link: &Link,
    request: Option<&MessageId>,
    document: &DocumentId,
    version: u32,
) -> Result<(), Failure> {
    let Some(request) = request else { return Ok(()) };
    let sql = "UPDATE versions SET request = $3 WHERE document = $1 AND version = $2 AND request IS NULL";
    let values: [Value<'_>; 3] =
        [(&document.as_str(), Type::TEXT), (&i64::from(version), Type::INT8), (&request.as_str(), Type::TEXT)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

pub(super) async fn delete(
    link: Arc<Link>,
    tenant: Tenant,
    id: DocumentId,
    erase: bool,
    at: Timestamp,
) -> Result<Option<Deleted>, Failure> {
    lock(&link, &tenant).await?;
    let Some(found) = read::document(&link, &tenant, &id).await? else { return Ok(None) };
    let sql = "UPDATE documents SET deleted_at = $2, metadata = NULL WHERE id = $1";
    link.client.execute_typed(sql, &[(&id.as_str(), Type::TEXT), (&millis(at), Type::INT8)]).await?;
    let since = if erase { 0 } else { millis(at) };
    let sql = "UPDATE collections SET unerased = least(unerased, $3) WHERE tenant = $1 AND name = $2";
    let values: [Value<'_>; 3] =
        [(&tenant.as_str(), Type::TEXT), (&found.collection, Type::TEXT), (&since, Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    let cancelled = jobs::supersede(&link, &id, at).await?;
    let (tenant, collection) = (&tenant, found.collection.as_str());
    let subject = Subject { tenant, kind: JobKind::Delete, collection, document: Some(&id), version: None };
    Ok(Some(Deleted { job: jobs::insert(&link, &subject, at).await?, cancelled }))
}

fn gone(document: &DocumentId) -> StoreError {
    StoreError::Unavailable(format!("document {document} is gone within its transaction"))
}
