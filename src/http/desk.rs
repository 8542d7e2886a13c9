//! What the routes of documents, jobs and collections have in common, and how long a page of any list may be.

use std::sync::Arc;

use axum::{
    Json as Answer,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{gateway::Gateway, identity::nobody, problem::Problem};
use crate::{
    auth::Caller,
    chat::{DocumentId, JobId},
    knowledge::{
        Collection, DEFAULT_COLLECTION,
        jobs::{Documents, DocumentsError},
    },
    store::{
        StoreError,
        documents::{DocumentRecord, JobRecord, JobState, Tenant, VersionRecord},
    },
};

/// The most entries of a page.
const MAX_PAGE: usize = 200;

/// What every handler of documents needs: the documents, and whose they are.
pub(super) struct Desk {
    pub(super) documents: Arc<Documents>,
    pub(super) tenant: Tenant,
}

impl FromRequestParts<Arc<Gateway>> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        Self::of(gateway, head.extensions.get::<Caller>().ok_or_else(nobody)?)
    }
}

impl Desk {
    pub(super) fn of(gateway: &Gateway, caller: &Caller) -> Result<Self, Problem> {
        let none = || {
            let detail = "the gateway has no knowledge base";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "knowledge_unavailable", detail)
        };
        let documents = gateway.documents.clone().ok_or_else(none)?;
        Ok(Self { documents, tenant: Tenant::of(caller.owner()) })
    }

    /// A document that the caller may read: its own, or one that is shared with it, as readers see that.
    pub(super) async fn document(&self, id: &str) -> Result<DocumentRecord, Problem> {
        let id = DocumentId::parse(id).map_err(|_| no_document())?;
        let store = self.documents.store();
        if let Some(own) = store.document(&self.tenant, &id).await? {
            return Ok(own);
        }
        store.shared_document(&self.tenant, &id).await?.ok_or_else(no_document)
    }

    /// The versions of a document that the caller sees: of one that is shared, the one that answers.
    pub(super) async fn versions(&self, document: &DocumentRecord) -> Result<Vec<VersionRecord>, Problem> {
        if document.tenant != self.tenant {
            return Ok(vec![document.newest.clone()]);
        }
        self.documents.store().versions(&self.tenant, &document.id).await?.ok_or_else(no_document)
    }

    /// A document that the caller may change.
    pub(super) async fn own_document(&self, id: &str) -> Result<DocumentRecord, Problem> {
        let found = self.document(id).await?;
        if found.tenant == self.tenant { Ok(found) } else { Err(read_only()) }
    }

    /// A collection that the caller may read.
    pub(super) async fn collection(&self, name: Option<&str>) -> Result<Collection, Problem> {
        collection(Some(&self.documents), &self.tenant, name).await
    }

    /// A collection that the caller may change.
    pub(super) async fn own_collection(&self, name: Option<&str>) -> Result<Collection, Problem> {
        let found = self.collection(name).await?;
        if *found.tenant() == self.tenant { Ok(found) } else { Err(read_only()) }
    }
}

/// The collection that `tenant` calls so: one of its own, or as `TENANT/NAME` one that is shared with it. What is not
/// shared looks as if it did not exist. Without documents there is nothing to share.
pub(super) async fn collection(
    documents: Option<&Arc<Documents>>,
    tenant: &Tenant,
    name: Option<&str>,
) -> Result<Collection, Problem> {
    let name = name.unwrap_or(DEFAULT_COLLECTION);
    let (owner, name) = match name.split_once('/') {
        Some((owner, name)) => (Tenant::new(owner), name),
        None => (tenant.clone(), name),
    };
    let found = Collection::of(owner, name)?;
    let is_readable = match documents {
        _ if found.tenant() == tenant => true,
        Some(documents) => documents.store().is_shared(tenant, &found.place()).await?,
        None => false,
    };
    if is_readable { Ok(found) } else { Err(no_collection()) }
}

/// What the tenant calls this collection.
pub(super) fn name_for(tenant: &Tenant, owner: &Tenant, name: &str) -> String {
    if owner == tenant { name.to_owned() } else { format!("{}/{name}", owner.as_str()) }
}

pub(super) fn no_collection() -> Problem {
    Problem::not_found("collection")
}

/// For those who know that it is there.
fn read_only() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "read_only", "it is shared with you to be read; its owner alone can change it")
}

pub(super) fn no_document() -> Problem {
    Problem::not_found("document")
}

pub(super) fn page_limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(50) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(Problem::invalid_field("limit", &format!("must be 1 to {MAX_PAGE}"))),
    }
}

/// What a deletion is answered with.
pub(super) enum Removal {
    /// It is gone.
    Gone,
    /// It is hidden, and going.
    Going(Going),
}

#[derive(Serialize, ToSchema)]
pub(super) struct Going {
    /// The work that it takes.
    job: JobId,
}

/// Gone, or hidden and going.
pub(super) fn removed(job: JobRecord) -> Removal {
    if job.state == JobState::Done { Removal::Gone } else { Removal::Going(Going { job: job.id }) }
}

impl IntoResponse for Removal {
    fn into_response(self) -> Response {
        match self {
            Self::Gone => StatusCode::NO_CONTENT.into_response(),
            Self::Going(going) => (StatusCode::ACCEPTED, Answer(going)).into_response(),
        }
    }
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
