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
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    body,
    desk::{Desk, Going, Removal, name_for, no_document, page_limit, removed},
    fields,
    gateway::Gateway,
    idempotency, identity,
    jobs::Job,
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
        Accepted, DocumentFilter, DocumentRecord, DocumentState, Fault, JobRecord, MAX_COLLECTIONS, Page, Target,
        Tenant, VersionRecord,
    },
};

#[derive(Deserialize, ToSchema)]
pub(super) struct Text {
    /// In Markdown, which plain text is.
    #[schema(min_length = 1, pattern = "\\S")]
    text: String,
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$"
    )]
    title: String,
    /// Where the original lies.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    uri: Option<String>,
    /// What the source calls it: what is sent with the same key takes the place of what was there. The `uri` when absent,
    /// and else the title.
    #[schema(min_length = 1, max_length = 1024, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]+$")]
    key: Option<String>,
    /// `default` when absent.
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    collection: Option<String>,
    /// What the client wants to remember with it: an object of at most 4,096 bytes.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// A form with a file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form is taken in part by part, by `uploads`")]
struct File {
    /// With its name, whose ending says what it is.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    #[schema(max_length = 200)]
    title: Option<String>,
    #[schema(max_length = 1024)]
    uri: Option<String>,
    /// The file's name when absent.
    #[schema(max_length = 1024)]
    key: Option<String>,
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
    collection: Option<String>,
    /// JSON: an object of at most 4,096 bytes.
    metadata: Option<String>,
}

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

/// What became of a document that was sent.
#[derive(Serialize, ToSchema)]
pub(super) struct Submitted {
    document: DocumentId,
    /// The work on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    version: u32,
    /// Whether it is what was there already, so that there is nothing to do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unchanged: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DocumentList {
    documents: Vec<Document>,
    /// Whether there are older ones; ask again with `before` set to the last one's id.
    more: bool,
}

/// Sends a file into the knowledge base.
#[utoipa::path(
    post, path = "/documents", tag = "Knowledge", operation_id = "upload_document",
    params(idempotency::Key),
    request_body(content = File, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "It is kept, and being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
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

/// Another content for a document; what was there answers until it is indexed.
#[utoipa::path(
    put, path = "/documents/{id}", tag = "Knowledge", operation_id = "replace_document",
    params(("id" = DocumentId, Path), idempotency::Key),
    request_body(content = File, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "It is kept, and being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
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
    let entering = async { Ok((desk.own_document(&id).await?, enter(&gateway, &desk, &by)?)) };
    let (found, _place) = match entering.await {
        Ok(entered) => entered,
        Err(problem) => return Err(uploads::refuse(request, problem).await),
    };
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

/// Sends a text into the knowledge base.
#[utoipa::path(
    post, path = "/documents/text", tag = "Knowledge", operation_id = "upload_text",
    params(idempotency::Key),
    request_body = Text,
    responses(
        (status = 202, description = "It is kept, and being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
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
    let (status, submitted) = submitted(accepted)?;
    Ok((status, Answer(submitted)).into_response())
}

fn submitted(accepted: Accepted) -> Result<(StatusCode, Submitted), Problem> {
    let too_many = |detail: String| Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail);
    match accepted {
        Accepted::Queued { document, job, .. } | Accepted::Joined(document, job) => {
            let (document, version) = (document.id, document.newest.version);
            Ok((StatusCode::ACCEPTED, Submitted { document, job: Some(job.id), version, unchanged: false }))
        }
        Accepted::Unchanged(document) => {
            let (document, version) = (document.id, document.newest.version);
            Ok((StatusCode::OK, Submitted { document, job: None, version, unchanged: true }))
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

/// Lists documents, newest first.
#[utoipa::path(
    get, path = "/documents", tag = "Knowledge", operation_id = "list_documents",
    params(Listing),
    responses((status = 200, description = "A page of them", body = DocumentList)),
)]
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

/// How a document stands.
#[utoipa::path(
    get, path = "/documents/{id}", tag = "Knowledge", operation_id = "get_document",
    params(("id" = DocumentId, Path)),
    responses((status = 200, description = "The document", body = Document)),
)]
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
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    wish: Result<Query<Wish>, QueryRejection>,
) -> Result<Removal, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
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
pub(super) async fn versions(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Answer<Versions>, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let found = desk.document(&id).await?;
    let versions = desk.versions(&found).await?.into_iter().map(Version::from).collect();
    Ok(Answer(Versions { document: found.id, indexed_version: found.indexed_version, versions }))
}

/// Back to an earlier version.
#[utoipa::path(
    post, path = "/documents/{id}/rollback", tag = "Knowledge", operation_id = "roll_back_document",
    params(("id" = DocumentId, Path), idempotency::Key),
    request_body = Back,
    responses(
        (status = 202, description = "It is being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
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

/// Lets a document be found that is held back since it seems to give a model instructions.
#[utoipa::path(
    post, path = "/documents/{id}/release", tag = "Knowledge", operation_id = "release_document",
    security(("bearer" = ["admin"])),
    params(("id" = DocumentId, Path)),
    responses((status = 202, description = "It is being indexed", body = Job)),
)]
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
