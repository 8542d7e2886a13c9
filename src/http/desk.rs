//! What the routes of documents, jobs and collections have in common.

use std::sync::Arc;

use axum::{
    Json as Answer,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{gateway::Gateway, problem::Problem};
use crate::{
    auth::Caller,
    chat::DocumentId,
    knowledge::{
        Collection, DEFAULT_COLLECTION,
        jobs::{Documents, DocumentsError},
    },
    store::{
        StoreError,
        documents::{DocumentRecord, JobRecord, JobState, Tenant},
    },
};

/// The most entries of a page.
const MAX_PAGE: usize = 200;

/// What every handler of documents needs.
pub(super) struct Desk<'a> {
    pub(super) documents: &'a Arc<Documents>,
    pub(super) tenant: Tenant,
}

impl<'a> Desk<'a> {
    pub(super) fn of(gateway: &'a Gateway, caller: &Caller) -> Result<Self, Problem> {
        let none = || {
            let detail = "the gateway has no knowledge base";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "knowledge_unavailable", detail)
        };
        let documents = gateway.documents.as_ref().ok_or_else(none)?;
        Ok(Self { documents, tenant: Tenant::of(caller.owner()) })
    }

    pub(super) async fn document(&self, id: &str) -> Result<DocumentRecord, Problem> {
        let id = DocumentId::parse(id).map_err(|_| no_document())?;
        self.documents.store().document(&self.tenant, &id).await?.ok_or_else(no_document)
    }
}

pub(super) fn no_document() -> Problem {
    Problem::not_found("document")
}

/// The collection that is meant.
pub(super) fn collection(tenant: &Tenant, name: Option<String>) -> Result<String, Problem> {
    let name = name.unwrap_or_else(|| DEFAULT_COLLECTION.to_owned());
    Collection::of(tenant.clone(), &name)?;
    Ok(name)
}

pub(super) fn page_limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(50) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(Problem::invalid_field("limit", &format!("must be 1 to {MAX_PAGE}"))),
    }
}

/// Gone, or hidden and going.
pub(super) fn removed(job: JobRecord) -> Response {
    if job.state == JobState::Done {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::ACCEPTED, Answer(json!({ "job": job.id }))).into_response()
}

impl From<DocumentsError> for Problem {
    fn from(error: DocumentsError) -> Self {
        match error {
            DocumentsError::Store(error) => error.into(),
            DocumentsError::Knowledge(error) => error.into(),
            DocumentsError::Files(error) => StoreError::Unavailable(error.to_string()).into(),
        }
    }
}
