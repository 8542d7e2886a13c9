//! `/artifacts/{id}`: what tools have made within answers, as bytes, for whom it was made alone.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{fields, gateway::Gateway, problem::Problem};
use crate::{
    auth::Caller,
    chat::{Artifact, ArtifactId, ArtifactKind},
};

/// The content of a file that a tool has made in a conversation of one's own.
///
/// It is there until the conversation is deleted, for `artifacts.keep_days` at the most, and as long as it is among the newest
/// `artifacts.keep`. A browser saves it and never shows it; a chart is JSON to be drawn.
#[utoipa::path(
    get, path = "/artifacts/{id}", tag = "Conversations", operation_id = "get_artifact",
    params(("id" = ArtifactId, Path)),
    responses((status = 200, description = "Its bytes, of the media type that the call says", content_type = "*/*", body = Vec<u8>)),
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let none = || Problem::not_found("artifact");
    let id = ArtifactId::parse(&id).map_err(|_| none())?;
    let kept = gateway.runner.artifacts.find(caller.owner(), &id).await?.ok_or_else(none)?;
    let disposition = match kept.artifact.kind {
        ArtifactKind::Chart => "inline".to_owned(),
        ArtifactKind::File | ArtifactKind::Table => fields::attachment(&file_name(&kept.artifact)),
    };
    let value =
        |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (header::CONTENT_TYPE, value(&kept.artifact.media)),
        (header::CONTENT_DISPOSITION, value(&disposition)),
        // It never changes, but it can be gone, and be somebody's who signs out.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    Ok((headers, Bytes::from_owner(kept.content)).into_response())
}

/// What a browser saves it as: its title, with an end that says what it is.
fn file_name(artifact: &Artifact) -> String {
    let end = match artifact.media.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => ".pdf",
        "text/csv" => ".csv",
        _ => "",
    };
    let has_it = artifact.title.to_lowercase().ends_with(end);
    format!("{}{}", artifact.title, if has_it { "" } else { end })
}
