//! Documents in and out, each in one transaction with the work on it.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    collections,
    jobs::{self, Subject},
    read,
};
use crate::{
    chat::{DocumentId, MessageId, Timestamp},
    store::{
        StoreError,
        columns::{json, millis},
        documents::{
            Accepted, Deleted, DocumentRecord, DocumentState, JobKind, JobRecord, KEPT_VERSIONS, Made, NewVersion,
            Target, Tenant, text_name,
        },
        sqlite::rows::id,
    },
};

pub(super) fn accept(connection: &Connection, tenant: &Tenant, new: &NewVersion) -> Result<Accepted, StoreError> {
    if let Some(known) = repeated(connection, tenant, new)? {
        return Ok(known);
    }
    let found = match &new.target {
        Target::Document(id) => match read::document(connection, tenant, id)? {
            Some(found) => found,
            None => return Ok(Accepted::NotFound),
        },
        Target::Key { collection, key } => {
            match collections::make(connection, tenant, collection, new.at)? {
                Made::New | Made::Exists => {}
                Made::Deleting => return Ok(Accepted::Deleting),
                Made::TooMany => return Ok(Accepted::TooManyCollections),
            }
            let found = connection
                .prepare_cached(
                    "SELECT id FROM documents WHERE tenant = ?1 AND collection = ?2 AND key = ?3 AND deleted_at IS NULL",
                )?
                .query_row([tenant.as_str(), collection, key], |row| id(row, 0, DocumentId::parse))
                .optional()?;
            match found {
                None => return insert(connection, tenant, new, collection, key),
                Some(found) => read::document(connection, tenant, &found)?.ok_or_else(|| gone(&found))?,
            }
        }
    };
    update(connection, tenant, new, found)
}

/// What a request that came before is answered with.
fn repeated(connection: &Connection, tenant: &Tenant, new: &NewVersion) -> Result<Option<Accepted>, StoreError> {
    let Some(request) = &new.request else { return Ok(None) };
    let known = connection
        .prepare_cached("SELECT document, blob FROM versions WHERE tenant = ?1 AND request = ?2")?
        .query_row([tenant.as_str(), request.as_str()], |row| {
            Ok((id(row, 0, DocumentId::parse)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((document, blob)) = known else { return Ok(None) };
    let Some(document) = read::document(connection, tenant, &document)? else { return Ok(Some(Accepted::Conflict)) };
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

fn insert(
    connection: &Connection,
    tenant: &Tenant,
    new: &NewVersion,
    collection: &str,
    key: &str,
) -> Result<Accepted, StoreError> {
    if new.is_kept {
        return Ok(Accepted::NotFound);
    }
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM documents WHERE tenant = ?1 AND deleted_at IS NULL")?
        .query_row([tenant.as_str()], |row| row.get(0))?;
    if u64::try_from(count).unwrap_or(0) >= new.most {
        return Ok(Accepted::TooManyDocuments);
    }
    let document = DocumentId::random();
    let title = new.content.title.as_deref().unwrap_or(&new.content.name);
    connection
        .prepare_cached(
            "INSERT INTO documents (id, tenant, collection, key, title, version, state, metadata, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 'queued', ?6, ?7, ?7)",
        )?
        .execute(params![
            document.as_str(),
            tenant.as_str(),
            collection,
            key,
            title,
            new.metadata.as_ref().map(json).transpose()?,
            millis(new.at),
        ])?;
    insert_version(connection, tenant, new, &document, 1)?;
    queue(connection, tenant, new, collection, &document, 1)
}

fn update(
    connection: &Connection,
    tenant: &Tenant,
    new: &NewVersion,
    found: DocumentRecord,
) -> Result<Accepted, StoreError> {
    let DocumentRecord { id: document, collection, newest, .. } = &found;
    if new.is_kept && !has_file(connection, document, &new.content.file)? {
        return Ok(Accepted::NotFound);
    }
    if let Some(metadata) = &new.metadata {
        connection
            .prepare_cached("UPDATE documents SET metadata = ?2, updated_at = ?3 WHERE id = ?1")?
            .execute(params![document.as_str(), json(metadata)?, millis(new.at)])?;
    }
    let is_same = newest.blob == new.content.blob
        && newest.name == new.content.name
        && newest.uri == new.content.uri
        && new.content.title.as_ref().is_none_or(|title| newest.title.as_ref() == Some(title));
    if !is_same {
        let superseded = jobs::supersede(connection, document, new.at)?;
        let version = newest.version + 1;
        insert_version(connection, tenant, new, document, version)?;
        connection
            .prepare_cached("UPDATE documents SET version = ?2 WHERE id = ?1")?
            .execute(params![document.as_str(), version])?;
        let left = drop_versions(connection, document, version.saturating_sub(KEPT_VERSIONS))?;
        let mut queued = queue(connection, tenant, new, collection, document, version)?;
        if let Accepted::Queued { superseded: ended, dropped, .. } = &mut queued {
            (*ended, *dropped) = (superseded, left);
        }
        return Ok(queued);
    }
    note_request(connection, new.request.as_ref(), document, newest.version)?;
    let mut found = read::document(connection, tenant, document)?.ok_or_else(|| gone(document))?;
    match found.job.clone().filter(JobRecord::is_wanted) {
        Some(job) => Ok(Accepted::Joined(Box::new(found), Box::new(job))),
        // What is held back is not looked at again before somebody lets it; what failed is, also when it once answered.
        None if found.state == DocumentState::Quarantined
            || found.indexed_version == Some(found.newest.version) && found.state != DocumentState::Failed =>
        {
            let dropped = change_file(connection, &mut found, &new.content.file)?;
            Ok(Accepted::Unchanged { document: Box::new(found), dropped })
        }
        None => {
            let left = change_file(connection, &mut found, &new.content.file)?;
            let mut queued = queue(connection, tenant, new, &found.collection, &found.id, found.newest.version)?;
            if let Accepted::Queued { dropped, .. } = &mut queued {
                *dropped = left;
            }
            Ok(queued)
        }
    }
}

/// Whether a version of the document has this file.
fn has_file(connection: &Connection, document: &DocumentId, file: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM versions WHERE document = ?1 AND ifnull(file, blob) = ?2";
    Ok(connection.prepare_cached(sql)?.exists([document.as_str(), file])?)
}

/// Has the newest version lie in this file from now on, which has the same bytes: the other one may be gone or damaged. Its name.
fn change_file(connection: &Connection, found: &mut DocumentRecord, file: &str) -> Result<Vec<String>, StoreError> {
    if found.newest.file == file {
        return Ok(Vec::new());
    }
    connection
        .prepare_cached("UPDATE versions SET file = ?3 WHERE document = ?1 AND version = ?2")?
        .execute(params![found.id.as_str(), found.newest.version, file])?;
    Ok(vec![std::mem::replace(&mut found.newest.file, file.to_owned())])
}

fn queue(
    connection: &Connection,
    tenant: &Tenant,
    new: &NewVersion,
    collection: &str,
    document: &DocumentId,
    version: u32,
) -> Result<Accepted, StoreError> {
    let subject =
        Subject { tenant, kind: JobKind::Index, collection, document: Some(document), version: Some(version) };
    let job = Box::new(jobs::begin(connection, &subject, new.at)?);
    let document = Box::new(read::document(connection, tenant, document)?.ok_or_else(|| gone(document))?);
    Ok(Accepted::Queued { document, job, superseded: Vec::new(), dropped: Vec::new() })
}

/// Removes the versions of a document up to `last` but the one that answers; the names of their files.
fn drop_versions(connection: &Connection, document: &DocumentId, last: u32) -> Result<Vec<String>, StoreError> {
    let dropped = connection
        .prepare_cached(
            "DELETE FROM versions WHERE document = ?1 AND version <= ?2
             AND version IS NOT (SELECT indexed_version FROM documents WHERE id = ?1) RETURNING version, ifnull(file, blob)",
        )?
        .query_map(params![document.as_str(), last], |row| Ok([text_name(document, row.get(0)?), row.get(1)?]))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(dropped.into_iter().flatten().collect())
}

fn insert_version(
    connection: &Connection,
    tenant: &Tenant,
    new: &NewVersion,
    document: &DocumentId,
    version: u32,
) -> Result<(), StoreError> {
    let content = &new.content;
    connection
        .prepare_cached(
            "INSERT INTO versions
               (document, version, tenant, name, title, uri, media_type, blob, bytes, request, created_at, file, released)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, nullif(?12, ?8),
               EXISTS (SELECT 1 FROM versions WHERE document = ?1 AND blob = ?8 AND released))",
        )?
        .execute(params![
            document.as_str(),
            version,
            tenant.as_str(),
            content.name,
            content.title,
            content.uri,
            content.media_type,
            content.blob,
            i64::try_from(content.bytes).unwrap_or(i64::MAX),
            new.request.as_ref().map(MessageId::as_str),
            millis(new.at),
            content.file,
        ])?;
    Ok(())
}

/// Of a request that came with what is there already.
fn note_request(
    connection: &Connection,
    request: Option<&MessageId>,
    document: &DocumentId,
    version: u32,
) -> Result<(), StoreError> {
    let Some(request) = request else { return Ok(()) };
    connection
        .prepare_cached("UPDATE versions SET request = ?3 WHERE document = ?1 AND version = ?2 AND request IS NULL")?
        .execute(params![document.as_str(), version, request.as_str()])?;
    Ok(())
}

pub(super) fn delete(
    connection: &Connection,
    tenant: &Tenant,
    id: &DocumentId,
    erase: bool,
    at: Timestamp,
) -> Result<Option<Deleted>, StoreError> {
    let Some(found) = read::document(connection, tenant, id)? else { return Ok(None) };
    connection
        .prepare_cached("UPDATE documents SET deleted_at = ?2, metadata = NULL WHERE id = ?1")?
        .execute(params![id.as_str(), millis(at)])?;
    let since = if erase { 0 } else { millis(at) };
    connection
        .prepare_cached(
            "UPDATE collections SET unerased = min(ifnull(unerased, ?3), ?3) WHERE tenant = ?1 AND name = ?2",
        )?
        .execute(params![tenant.as_str(), found.collection, since])?;
    let cancelled = jobs::supersede(connection, id, at)?;
    let subject =
        Subject { tenant, kind: JobKind::Delete, collection: &found.collection, document: Some(id), version: None };
    Ok(Some(Deleted { job: jobs::insert(connection, &subject, at)?, cancelled }))
}

fn gone(document: &DocumentId) -> StoreError {
    StoreError::Unavailable(format!("document {document} is gone within its transaction"))
}
