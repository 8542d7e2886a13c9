//! `/documents`: listed, looked at, rolled back, released, deleted. How they come in stands in `submissions`.
//!
//! Documents belong to a tenant. What is another tenant's looks as if it did not exist, in the same words, unless it is
//! shared.

use axum::{
    Extension, Json as Answer,
    extract::{Path, Query, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    body::Json,
    desk::{Desk, Going, Removal, name_for, no_document, page_limit, removed},
    idempotency::Key,
    identity,
    jobs::Job,
    problem::Problem,
    sessions::query,
    submissions::{Submitted, answer},
};
use crate::{
    auth::{Caller, Right},
    chat::{DocumentId, Timestamp},
    store::documents::{DocumentFilter, DocumentRecord, DocumentState, Fault, JobRecord, Page, Tenant, VersionRecord},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// The last id of the page before.
    before: Option<String>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Of the own tenant, or as `TENANT/NAME` one that is shared with it; all of the own ones when absent.
    #[param(pattern = "^([A-Za-z0-9_.-]{1,64}/)?[A-Za-z0-9_.-]{1,64}$")]
    collection: Option<String>,
    status: Option<DocumentState>,
    key: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wish {
    /// Whether its bytes are to go at once.
    #[serde(default)]
    erase: bool,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = RollBack)]
pub(super) struct Back {
    /// The one before when absent.
    #[schema(maximum = 4_294_967_295_u32)]
    version: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Document {
    document: DocumentId,
    collection: String,
    key: String,
    title: String,
    status: DocumentState,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    /// The version that answers.
    indexed_version: Option<u32>,
    #[serde(flatten)]
    newest: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
    updated_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DocumentVersion)]
pub(super) struct Version {
    version: u32,
    name: String,
    media_type: String,
    bytes: u64,
    /// BLAKE3 of the bytes: by which a client knows what it need not send again.
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<u32>,
    warnings: Vec<String>,
    flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Versions {
    document: DocumentId,
    /// The version that answers.
    indexed_version: Option<u32>,
    versions: Vec<Version>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentList {
    documents: Vec<Document>,
    /// Whether there are older ones; ask again with `before` set to the last one's id.
    more: bool,
}

/// Lists documents, newest first.
#[utoipa::path(
    get, path = "/documents", tag = "Knowledge", operation_id = "list_documents",
    params(Listing),
    responses((status = 200, description = "A page of them", body = DocumentList)),
)]
pub(super) async fn list(
    desk: Desk,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Answer<DocumentList>, Problem> {
    let Listing { before, limit, collection: within, status, key } = query(listing)?;
    let before = before.as_deref().map(DocumentId::parse).transpose().map_err(|_| no_document())?;
    let within = match &within {
        Some(name) => Some(desk.collection(Some(name)).await?),
        None => None,
    };
    let (store, limit) = (desk.documents.store(), page_limit(limit)?);
    let collection = within.as_ref().map(|within| within.as_str().to_owned());
    let filter = DocumentFilter { collection, state: status, key };
    let page = match within.filter(|within| *within.tenant() != desk.tenant) {
        Some(shared) => store.shared_documents(&desk.tenant, &shared.place(), filter, before.as_ref(), limit).await?,
        None => store.documents(&desk.tenant, filter, before.as_ref(), limit).await?,
    };
    let Page { items, more } = page.ok_or_else(no_document)?;
    let documents = items.into_iter().map(|record| Document::seen_by(&desk.tenant, record)).collect();
    Ok(Answer(DocumentList { documents, more }))
}

/// How a document stands.
#[utoipa::path(
    get, path = "/documents/{id}", tag = "Knowledge", operation_id = "get_document",
    params(("id" = DocumentId, Path)),
    responses((status = 200, description = "The document", body = Document)),
)]
pub(super) async fn show(desk: Desk, Path(id): Path<String>) -> Result<Answer<Document>, Problem> {
    let mut found = desk.document(&id).await?;
    if let Some(stored) = &found.job {
        let job = desk.documents.job(&desk.tenant, &stored.id).await?;
        let has_ended = |job: &JobRecord| job.state.has_ended();
        if job.as_ref().is_some_and(has_ended) && !has_ended(stored) {
            // It ended in between: the document is not what it was, either.
            found = desk.document(&id).await?;
        } else {
            found.job = job;
        }
    }
    Ok(Answer(Document::seen_by(&desk.tenant, found)))
}

/// Deletes a document. It answers no longer from then on; its bytes go later, or at once when they are to be erased.
#[utoipa::path(
    delete, path = "/documents/{id}", tag = "Knowledge", operation_id = "delete_document",
    params(("id" = DocumentId, Path), Wish),
    responses(
        (status = 204, description = "It is gone"),
        (status = 202, description = "It is hidden, and going", body = Going),
    ),
)]
pub(super) async fn delete(
    desk: Desk,
    Path(id): Path<String>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Removal, Problem> {
    let Wish { erase } = query(wish)?;
    let found = desk.own_document(&id).await?;
    let job = desk.documents.delete(&desk.tenant, &found.id, erase).await?.ok_or_else(no_document)?;
    Ok(removed(job))
}

/// What a document was before.
#[utoipa::path(
    get, path = "/documents/{id}/versions", tag = "Knowledge", operation_id = "list_versions",
    params(("id" = DocumentId, Path)),
    responses((status = 200, description = "Its versions, newest first", body = Versions)),
)]
pub(super) async fn versions(desk: Desk, Path(id): Path<String>) -> Result<Answer<Versions>, Problem> {
    let found = desk.document(&id).await?;
    let versions = desk.versions(&found).await?.into_iter().map(Version::from).collect();
    Ok(Answer(Versions { document: found.id, indexed_version: found.indexed_version, versions }))
}

/// Back to an earlier version.
#[utoipa::path(
    post, path = "/documents/{id}/rollback", tag = "Knowledge", operation_id = "roll_back_document",
    params(("id" = DocumentId, Path), Key),
    request_body = Back,
    responses(
        (status = 202, description = "It is being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
pub(super) async fn roll_back(
    desk: Desk,
    Path(id): Path<String>,
    key: Key,
    Json(Back { version }): Json<Back>,
) -> Result<Response, Problem> {
    let found = desk.own_document(&id).await?;
    let accepted = desk.documents.roll_back(&desk.tenant, &found.id, version, key.id()).await?;
    answer(accepted.ok_or_else(|| Problem::not_found("version"))?)
}

/// Lets a document be found that is held back since it seems to give a model instructions.
#[utoipa::path(
    post, path = "/documents/{id}/release", tag = "Knowledge", operation_id = "release_document",
    security(("bearer" = ["admin"])),
    params(("id" = DocumentId, Path)),
    responses((status = 202, description = "It is being indexed", body = Job)),
)]
pub(super) async fn release(
    desk: Desk,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    identity::allow(&caller, Right::Administer)?;
    let found = desk.own_document(&id).await?;
    let job = desk.documents.release(&desk.tenant, &found.id).await?;
    let job = job.ok_or_else(|| {
        Problem::new(StatusCode::CONFLICT, "not_quarantined", "the document's newest version is not held back")
    })?;
    Ok((StatusCode::ACCEPTED, Answer(Job::from(job))).into_response())
}

impl Document {
    fn seen_by(tenant: &Tenant, record: DocumentRecord) -> Self {
        Self {
            document: record.id,
            collection: name_for(tenant, &record.tenant, &record.collection),
            key: record.key,
            title: record.title,
            status: record.state,
            error: record.fault,
            indexed_version: record.indexed_version,
            newest: record.newest.into(),
            metadata: record.metadata,
            job: record.job.map(Job::from),
            updated_at: record.updated_at,
        }
    }
}

impl From<VersionRecord> for Version {
    fn from(record: VersionRecord) -> Self {
        Self {
            version: record.version,
            name: record.name,
            media_type: record.media_type,
            bytes: record.bytes,
            hash: record.blob,
            encoding: record.encoding,
            pages: record.pages,
            chunks: record.chunks,
            warnings: record.warnings,
            flags: record.flags,
            uri: record.uri,
            created_at: record.created_at,
        }
    }
}
