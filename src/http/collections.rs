//! `/collections`: made, listed with the health of their indexes, deleted.

use std::sync::Arc;

use axum::{
    Extension, Json as Answer,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    body::Json,
    desk::{Desk, removed},
    gateway::Gateway,
    problem::Problem,
};
use crate::{
    auth::Caller,
    chat::Timestamp,
    knowledge::{Collection, DEFAULT_COLLECTION},
    store::documents::{CollectionRecord, MAX_COLLECTIONS, Made},
};

#[derive(Deserialize)]
pub(super) struct New {
    name: String,
}

#[derive(Serialize)]
struct Described {
    name: String,
    documents: u64,
    pending: u64,
    failed: u64,
    deleting: bool,
    index: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
}

pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<Answer<Value>, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let own = desk.documents.store().collections(&desk.tenant).await?;
    let mut described = Vec::with_capacity(own.len() + 1);
    if !own.iter().any(|own| own.name == DEFAULT_COLLECTION) {
        described.push(describe(&desk, None).await?);
    }
    for record in own {
        described.push(describe(&desk, Some(record)).await?);
    }
    Ok(Answer(json!({ "collections": described })))
}

/// What is stored of it, and how its index stands. The one that every tenant has need not be stored.
async fn describe(desk: &Desk<'_>, record: Option<CollectionRecord>) -> Result<Described, Problem> {
    let name = record.as_ref().map_or(DEFAULT_COLLECTION, |record| &record.name).to_owned();
    let collection = Collection::of(desk.tenant.clone(), &name)?;
    let index = match desk.documents.counts(&collection).await {
        Ok((chunks, unindexed)) => json!({ "state": "ready", "chunks": chunks, "unindexed": unindexed }),
        Err(error) => {
            tracing::warn!(%error, %collection, "the index of a collection cannot be read");
            json!({ "state": "failed" })
        }
    };
    let count = |count: fn(&CollectionRecord) -> u64| record.as_ref().map_or(0, count);
    Ok(Described {
        documents: count(|record| record.documents),
        pending: count(|record| record.pending),
        failed: count(|record| record.failed),
        deleting: record.as_ref().is_some_and(|record| record.is_deleting),
        created_at: record.as_ref().map(|record| record.created_at),
        name,
        index,
    })
}

pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(New { name }): Json<New>,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    Collection::of(desk.tenant.clone(), &name)?;
    let status = match desk.documents.store().create_collection(&desk.tenant, &name, Timestamp::now()).await? {
        Made::New => StatusCode::CREATED,
        Made::Exists => StatusCode::OK,
        Made::Deleting => {
            let detail = "a collection of this name is being deleted";
            return Err(Problem::new(StatusCode::CONFLICT, "deleting", detail));
        }
        Made::TooMany => {
            let detail = format!("there are {MAX_COLLECTIONS} collections already");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail));
        }
    };
    Ok((status, Answer(json!({ "name": name }))).into_response())
}

pub(super) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let desk = Desk::of(&gateway, &caller)?;
    let none = || Problem::not_found("collection");
    let collection = Collection::of(desk.tenant.clone(), &name).map_err(|_| none())?;
    if name == DEFAULT_COLLECTION {
        return Err(Problem::invalid_field("name", "is that of the collection that is always there"));
    }
    let job = desk.documents.delete_collection(&desk.tenant, &collection).await?.ok_or_else(none)?;
    Ok(removed(job))
}
