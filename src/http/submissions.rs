//! Documents on their way into the knowledge base: sent as a file or as a text, new or in the place of another, and what a
//! client is told became of one.

use std::sync::Arc;

use axum::{
    Extension, Json as Answer,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    body,
    desk::{Desk, no_document},
    fields,
    gateway::Gateway,
    idempotency::Key,
    names::{Address, CollectionName, DocumentKey, Title},
    problem::Problem,
    rates,
    shares::Share,
    uploads::{self, Form},
};
use crate::{
    chat::{DocumentId, JobId, MessageId},
    knowledge::{extract::promised, jobs::Submission},
    limits::{Action, Visitor},
    store::documents::{Accepted, MAX_COLLECTIONS, Target, Tenant},
};

#[derive(Deserialize, ToSchema)]
pub(super) struct Text {
    /// In Markdown, which plain text is.
    #[schema(min_length = 1, pattern = "\\S")]
    text: String,
    title: Title,
    /// Where the original lies.
    uri: Option<Address>,
    /// What the source calls it: what is sent with the same key takes the place of what was there. The `uri` when absent,
    /// and else the title.
    key: Option<DocumentKey>,
    /// `default` when absent.
    collection: Option<CollectionName>,
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
    collection: Option<CollectionName>,
    /// JSON: an object of at most 4,096 bytes.
    metadata: Option<String>,
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

/// Sends a file into the knowledge base.
#[utoipa::path(
    post, path = "/documents", tag = "Knowledge", operation_id = "upload_document",
    params(Key),
    request_body(content = File, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "It is kept, and being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
pub(super) async fn upload(
    desk: Desk,
    key: Key,
    State(gateway): State<Arc<Gateway>>,
    Extension(by): Extension<Visitor>,
    request: Request,
) -> Result<Response, Problem> {
    let _place = match enter(&gateway, &desk, &by).await {
        Ok(place) => place,
        Err(problem) => return Err(uploads::refuse(request, problem).await),
    };
    let form = uploads::read(&desk.documents, &desk.tenant, request).await?;
    let called = form.key.clone().unwrap_or_else(|| form.name.clone());
    let within = desk.own_collection(form.collection.as_deref()).await?;
    let target = Target::Key { collection: within.as_str().to_owned(), key: called };
    submit(&desk, form, target, key.id()).await
}

/// Another content for a document; what was there answers until it is indexed.
#[utoipa::path(
    put, path = "/documents/{id}", tag = "Knowledge", operation_id = "replace_document",
    params(("id" = DocumentId, Path), Key),
    request_body(content = File, content_type = "multipart/form-data"),
    responses(
        (status = 202, description = "It is kept, and being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
pub(super) async fn replace(
    desk: Desk,
    key: Key,
    Path(id): Path<String>,
    State(gateway): State<Arc<Gateway>>,
    Extension(by): Extension<Visitor>,
    request: Request,
) -> Result<Response, Problem> {
    let entering = async { Ok((desk.own_document(&id).await?, enter(&gateway, &desk, &by).await?)) };
    let (found, _place) = match entering.await {
        Ok(entered) => entered,
        Err(problem) => return Err(uploads::refuse(request, problem).await),
    };
    let form = uploads::read(&desk.documents, &desk.tenant, request).await?;
    if form.key.is_some() || form.collection.is_some() {
        return Err(Problem::invalid_field("key", "and `collection` stay as they are"));
    }
    submit(&desk, form, Target::Document(found.id), key.id()).await
}

/// A place for a document that is being sent, and counted.
async fn enter(gateway: &Gateway, desk: &Desk, by: &Visitor) -> Result<Share<Tenant>, Problem> {
    rates::take(&gateway.runner.rates, Action::Uploads, by).await?;
    gateway.uploads.enter(&desk.tenant)
}

async fn submit(desk: &Desk, form: Form, target: Target, request: Option<MessageId>) -> Result<Response, Problem> {
    let Form { part, name, media_type, title, uri, metadata, .. } = form;
    let submission = Submission { target, name, media_type: media_type.to_owned(), title, uri, metadata, request };
    answer(desk.documents.accept(&desk.tenant, part, submission).await?)
}

/// Sends a text into the knowledge base.
#[utoipa::path(
    post, path = "/documents/text", tag = "Knowledge", operation_id = "upload_text",
    params(Key),
    request_body = Text,
    responses(
        (status = 202, description = "It is kept, and being worked on", body = Submitted),
        (status = 200, description = "It is what was there already", body = Submitted),
    ),
)]
pub(super) async fn upload_text(
    desk: Desk,
    key: Key,
    State(gateway): State<Arc<Gateway>>,
    Extension(by): Extension<Visitor>,
    request: Request,
) -> Result<Response, Problem> {
    let _place = enter(&gateway, &desk, &by).await?;
    let most = desk.documents.bounds().bytes;
    let sent: Text = body::json(request, usize::try_from(most).unwrap_or(usize::MAX)).await?;
    let Text { text, title: Title(title), uri, key: called, collection, metadata } = sent;
    if text.trim().is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty_text", "`text` is empty"));
    }
    let title = fields::title(&title)?;
    let uri = uri.map(|Address(uri)| uri);
    let called = called.map(|DocumentKey(key)| key).or_else(|| uri.clone()).unwrap_or_else(|| title.clone());
    let called = fields::key(&called)?;
    let uri = uri.map(|uri| fields::uri(&uri)).transpose()?.filter(|uri| *uri != called);
    let name = format!("{}.md", fields::file_name(&title.replace(['/', '\\'], " "))?);
    let media_type = promised(&name, text.as_bytes())?.media_type().to_owned();
    let metadata = metadata.map(fields::metadata).transpose()?;
    let within = desk.own_collection(collection.as_ref().map(|CollectionName(name)| name.as_str())).await?;
    let target = Target::Key { collection: within.as_str().to_owned(), key: called };
    let submission = Submission { target, name, media_type, title: Some(title), uri, metadata, request: key.id() };
    answer(desk.documents.accept_bytes(&desk.tenant, text.as_bytes(), submission).await?)
}

/// What a client is told of what it sent.
pub(super) fn answer(accepted: Accepted) -> Result<Response, Problem> {
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
        Accepted::Unchanged { document, .. } => {
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
