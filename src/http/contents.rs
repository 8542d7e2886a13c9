//! What is in a document: its text, its passages, and its bytes as they came.

use axum::{
    Json as Answer,
    body::Body,
    extract::{Path, Query, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{desk::Desk, fields, problem::Problem, sessions::query};
use crate::{
    chat::DocumentId,
    knowledge::Passage,
    store::documents::{DocumentRecord, DocumentState},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The newest when absent.
    #[param(maximum = 4_294_967_295_u32)]
    version: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DocumentPassage)]
pub(super) struct Found {
    #[serde(flatten)]
    passage: Passage,
    version: u32,
}

/// What was read of a document.
#[utoipa::path(
    get, path = "/documents/{id}/text", tag = "Knowledge", operation_id = "get_document_text",
    params(("id" = DocumentId, Path)),
    responses((status = 200, description = "Its text", body = String, content_type = "text/plain")),
)]
pub(super) async fn text(desk: Desk, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = desk.document(&id).await?;
    let text = desk.documents.text(&found).await?.ok_or_else(|| no_text(&found))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// One of the chunks of a document.
#[utoipa::path(
    get, path = "/documents/{id}/passages/{n}", tag = "Knowledge", operation_id = "get_passage",
    params(("id" = DocumentId, Path), ("n" = u32, Path, description = "Its number, from 0")),
    responses((status = 200, description = "The chunk", body = Found)),
)]
pub(super) async fn passage(desk: Desk, Path((id, number)): Path<(String, String)>) -> Result<Answer<Found>, Problem> {
    let found = desk.document(&id).await?;
    let version = found.indexed_version.ok_or_else(not_ready)?;
    let number = number.parse().map_err(|_| no_passage())?;
    let passage = desk.documents.passage(&found, number).await?.ok_or_else(no_passage)?;
    Ok(Answer(Found { passage, version }))
}

/// The bytes of a document as they came. A browser saves them and never shows them.
#[utoipa::path(
    get, path = "/documents/{id}/original", tag = "Knowledge", operation_id = "get_original",
    params(("id" = DocumentId, Path), Which),
    responses((status = 200, description = "The bytes, of the media type that was found", content_type = "*/*", body = Vec<u8>)),
)]
pub(super) async fn original(
    desk: Desk,
    Path(id): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let Which { version } = query(which)?;
    let found = desk.document(&id).await?;
    let wanted = version.unwrap_or(found.newest.version);
    let versions = desk.versions(&found).await?;
    let version = versions.into_iter().find(|version| version.version == wanted);
    let version = version.ok_or_else(|| Problem::not_found("version"))?;
    let pieces = desk.documents.original(&found, &version).await?.ok_or_else(|| Problem::not_found("version"))?;
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_TYPE, value(&version.media_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(version.bytes));
    headers.insert(header::CONTENT_DISPOSITION, value(&fields::attachment(&version.name)));
    Ok(response)
}

fn not_ready() -> Problem {
    Problem::new(StatusCode::CONFLICT, "not_ready", "no version of the document is indexed yet")
}

/// A version that answers has lost its text, which is read again.
fn no_text(document: &DocumentRecord) -> Problem {
    if document.indexed_version.is_none() || document.state == DocumentState::Failed {
        return not_ready();
    }
    let detail = "the text of the document is being read again";
    Problem { retry_after: Some(5), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail) }
}

fn no_passage() -> Problem {
    Problem::not_found("passage")
}
