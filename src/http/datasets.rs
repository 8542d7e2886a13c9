//! `/datasets`: tables that somebody brings, for the tools of assistants to ask. They are their owner's alone, and those of the
//! operator everybody's. What is another's looks as if it did not exist.

use std::sync::Arc;

use axum::{
    Extension, Json as Answer,
    extract::{Path, Request, State},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    gateway::Gateway,
    problem::Problem,
    rates,
    uploads::{self, Whole},
};
use crate::{
    auth::Caller,
    chat::DatasetId,
    datasets::{About, Dataset, DatasetError},
    knowledge::extract::ExtractError,
    limits::{Action, Visitor},
};

/// A form with a table.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a form is taken in part by part, by `uploads`")]
struct TableFile {
    /// With its name, whose ending says what it is: .csv, .xlsx, .xls or .ods.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Datasets {
    /// One's own, the newest first.
    datasets: Vec<About>,
    /// Those of the operator, which everybody can ask.
    shared: Vec<About>,
}

/// Brings a table. It can be asked at once.
#[utoipa::path(
    post, path = "/datasets", tag = "Conversations", operation_id = "upload_dataset",
    request_body(content = TableFile, content_type = "multipart/form-data"),
    responses((status = 201, description = "It is there, and what is in it", body = About)),
)]
pub(super) async fn upload(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    request: Request,
) -> Result<(StatusCode, Answer<About>), Problem> {
    let datasets = &gateway.runner.tools.datasets;
    let entering = async {
        rates::take(&gateway.runner.rates, Action::Uploads, &by).await?;
        Ok::<_, Problem>((gateway.tables.enter(&by)?, datasets.enter()?))
    };
    let (_share, place) = match entering.await {
        Ok(place) => place,
        Err(problem) => return Err(uploads::refuse(request, problem).await),
    };
    let Whole { name, bytes } = uploads::whole(datasets.upload_bytes(), request).await?;
    let about = datasets.add(place, caller.owner(), &name, &bytes).await?;
    Ok((StatusCode::CREATED, Answer(about)))
}

/// Lists the tables that one can ask.
#[utoipa::path(
    get, path = "/datasets", tag = "Conversations", operation_id = "list_datasets",
    responses((status = 200, description = "All of them", body = Datasets)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Datasets>, Problem> {
    let (own, shared) = gateway.runner.tools.datasets.list(caller.owner()).await?;
    let about = |dataset: &Dataset| dataset.about.clone();
    Ok(Answer(Datasets { datasets: own.iter().map(about).collect(), shared: shared.iter().map(about).collect() }))
}

/// Deletes a table of one's own.
#[utoipa::path(
    delete, path = "/datasets/{id}", tag = "Conversations", operation_id = "delete_dataset",
    params(("id" = DatasetId, Path)),
    responses((status = 204, description = "It is gone")),
)]
pub(super) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let none = || Problem::not_found("dataset");
    let id = DatasetId::parse(&id).map_err(|_| none())?;
    match gateway.runner.tools.datasets.delete(caller.owner(), &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none()),
    }
}

impl From<DatasetError> for Problem {
    fn from(error: DatasetError) -> Self {
        let detail = error.to_string();
        match error {
            DatasetError::Refused(reason) => {
                let status = match &reason {
                    ExtractError::TooLarge
                    | ExtractError::TooMany(_)
                    | ExtractError::TooLargeUnpacked
                    | ExtractError::Timeout
                    | ExtractError::OutOfMemory => StatusCode::PAYLOAD_TOO_LARGE,
                    ExtractError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                };
                Self::new(status, reason.code(), detail)
            }
            DatasetError::NoTable => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", detail),
            DatasetError::Empty => Self::new(StatusCode::BAD_REQUEST, "empty_text", detail),
            DatasetError::TooMany(_) => Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail),
            DatasetError::Busy => {
                Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail) }
            }
            DatasetError::NoPlace => Self::new(StatusCode::SERVICE_UNAVAILABLE, "datasets_unavailable", detail),
            DatasetError::Files(reason) => {
                tracing::error!(%reason, "datasets cannot be read or written");
                Self {
                    retry_after: Some(5),
                    ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", detail)
                }
            }
            DatasetError::None(_) => Self::not_found("dataset"),
            DatasetError::Query(_) | DatasetError::Timeout => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_field", detail)
            }
        }
    }
}
