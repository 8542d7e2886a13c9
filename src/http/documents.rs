//! `/documents`: in, listed, looked at, replaced, deleted.
//!
//! Documents belong to a tenant. What is another tenant's looks as if it did not exist, in the same words, unless it is
//! shared.

use std::sync::Arc;

use axum::{
    Extension, Json as Answer,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    body,
    desk::{Desk, name_for, no_document, page_limit, removed},
    fields,
    gateway::Gateway,
    idempotency, identity,
    jobs::{Fault, Job},
    problem::Problem,
    rates,
    sessions::query,
    uploads::{self, Form, Upload},
};
use crate::{
    auth::{Caller, Right},
    chat::{DocumentId, JobId, MessageId, Timestamp},
    knowledge::{extract::promised, jobs::Submission},
    limits::{Action, Visitor},
    store::documents::{
        Accepted, DocumentFilter, DocumentRecord, DocumentState, JobRecord, MAX_COLLECTIONS, Page, Target, Tenant,
        VersionRecord,
    },
};

#[derive(Deserialize)]
pub(super) struct Text {
    text: String,
    title: String,
    uri: Option<String>,
    key: Option<String>,
    collection: Option<String>,
    metadata: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Listing {
    before: Option<String>,
    limit: Option<usize>,
    collection: Option<String>,
    status: Option<DocumentState>,
    key: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Wish {
    /// Whether its bytes are to go at once.
    #[serde(default)]
    erase: bool,
}

#[derive(Deserialize)]
pub(super) struct Back {
    version: Option<u32>,
}

#[derive(Serialize)]
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
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
    updated_at: Timestamp,
}

#[derive(Serialize)]
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

#[derive(Serialize)]
pub(super) struct DocumentList {
    documents: Vec<Document>,
    /// Whether there are older ones; ask again with `before` set to the last one's id.
    more: bool,
}

pub(super) async fn upload(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let request_id = idempotency::key(None, &headers)?;
    let _place = match enter(&gateway, &desk, &by) {
        Ok(place) => place,
        Err(problem) => return Err(uploads::refuse(request, problem).await),
    };
    let form = uploads::read(desk.documents, &desk.tenant, request).await?;
    let key = form.key.clone().unwrap_or_else(|| form.name.clone());
    let within = desk.own_collection(form.collection.as_deref()).await?;
    let target = Target::Key { collection: within.as_str().to_owned(), key };
    submit(&desk, form, target, request_id).await
}

pub(super) async fn replace(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Extension(by): Extension<Visitor>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let request_id = idempotency::key(None, &headers)?;
    let found = match desk.own_document(&id).await {
        Ok(found) => found,
        Err(problem) => return Err(uploads::refuse(request, problem).await),
    };
    let _place = enter(&gateway, &desk, &by)?;
    let form = uploads::read(desk.documents, &desk.tenant, request).await?;
    if form.key.is_some() || form.collection.is_some() {
        return Err(Problem::invalid_field("key", "and `collection` stay as they are"));
    }
    submit(&desk, form, Target::Document(found.id), request_id).await
}

/// A place for a document that is being sent, and counted.
fn enter(gateway: &Gateway, desk: &Desk<'_>, by: &Visitor) -> Result<Upload, Problem> {
    rates::take(&gateway.runner.rates, Action::Uploads, by)?;
    gateway.uploads.enter(&desk.tenant)
}

async fn submit(desk: &Desk<'_>, form: Form, target: Target, request: Option<MessageId>) -> Result<Response, Problem> {
    let Form { part, name, media_type, title, uri, metadata, .. } = form;
    let submission = Submission { target, name, media_type, title, uri, metadata, request };
    answer(desk.documents.accept(&desk.tenant, part, submission).await?)
}

pub(super) async fn upload_text(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let request_id = idempotency::key(None, &headers)?;
    let _place = enter(&gateway, &desk, &by)?;
    let most = desk.documents.bounds().bytes;
    let Text { text, title, uri, key, collection: within, metadata } =
        body::json(request, usize::try_from(most).unwrap_or(usize::MAX)).await?;
    if text.trim().is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty_text", "`text` is empty"));
    }
    let title = fields::title(&title)?;
    let key = fields::key(&key.or_else(|| uri.clone()).unwrap_or_else(|| title.clone()))?;
    let uri = uri.map(|uri| fields::uri(&uri)).transpose()?.filter(|uri| *uri != key);
    let name = format!("{}.md", fields::file_name(&title.replace(['/', '\\'], " "))?);
    let media_type = promised(&name, text.as_bytes())?.media_type();
    let metadata = metadata.map(fields::metadata).transpose()?;
    let within = desk.own_collection(within.as_deref()).await?;
    let target = Target::Key { collection: within.as_str().to_owned(), key };
    let submission = Submission { target, name, media_type, title: Some(title), uri, metadata, request: request_id };
    answer(desk.documents.accept_bytes(&desk.tenant, text.as_bytes(), submission).await?)
}

/// What a client is told of what it sent.
fn answer(accepted: Accepted) -> Result<Response, Problem> {
    let queued = |document: &DocumentRecord, job: &JobId| {
        let body = json!({ "document": document.id, "job": job, "version": document.newest.version });
        (StatusCode::ACCEPTED, Answer(body)).into_response()
    };
    let too_many = |detail: String| Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail);
    match accepted {
        Accepted::Queued { document, job, .. } | Accepted::Joined(document, job) => Ok(queued(&document, &job.id)),
        Accepted::Unchanged(document) => {
            let version = document.newest.version;
            let body = json!({ "document": document.id, "version": version, "unchanged": true });
            Ok(Answer(body).into_response())
        }
        Accepted::Conflict => {
            let detail = "the idempotency key belongs to another document";
            Err(Problem::new(StatusCode::CONFLICT, "idempotency_conflict", detail))
        }
        Accepted::NotFound => Err(no_document()),
        Accepted::Deleting => {
            Err(Problem::new(StatusCode::CONFLICT, "deleting", "a collection of this name is being deleted"))
        }
        Accepted::TooManyDocuments => Err(too_many("there are as many documents as there may be".to_owned())),
        Accepted::TooManyCollections => Err(too_many(format!("there are {MAX_COLLECTIONS} collections already"))),
    }
}

pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Result<Answer<DocumentList>, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
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

pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Answer<Document>, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
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

pub(super) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let Wish { erase } = query(wish)?;
    let found = desk.own_document(&id).await?;
    let job = desk.documents.delete(&desk.tenant, &found.id, erase).await?.ok_or_else(no_document)?;
    Ok(removed(job))
}

pub(super) async fn versions(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Answer<Value>, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let found = desk.document(&id).await?;
    let versions: Vec<Version> = desk.versions(&found).await?.into_iter().map(Version::from).collect();
    Ok(Answer(json!({ "document": found.id, "indexed_version": found.indexed_version, "versions": versions })))
}

pub(super) async fn roll_back(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body::Json(Back { version }): body::Json<Back>,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let request = idempotency::key(None, &headers)?;
    let found = desk.own_document(&id).await?;
    let accepted = desk.documents.roll_back(&desk.tenant, &found.id, version, request).await?;
    answer(accepted.ok_or_else(|| Problem::not_found("version"))?)
}

pub(super) async fn release(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    identity::allow(&caller, Right::Administer)?;
    let desk = Desk::of(&gateway, &caller)?;
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
            error: record.fault.map(Fault::from),
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
