//! `/collections`: made, listed with the health of their indexes, shared, deleted.

use std::collections::BTreeSet;

use axum::{Extension, Json as Answer, extract::Path, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::Json,
    desk::{Desk, Going, Removal, name_for, no_collection, removed},
    identity,
    names::{CollectionName, TenantName},
    problem::Problem,
};
use crate::{
    auth::{Caller, Right, check_tenant},
    chat::Timestamp,
    knowledge::{Collection, DEFAULT_COLLECTION},
    store::documents::{CollectionRecord, MAX_COLLECTIONS, MAX_READERS, Made, SharedRecord, Tenant},
};

#[derive(Deserialize, ToSchema)]
#[schema(as = NewCollection)]
pub(super) struct New {
    name: CollectionName,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Readers {
    #[schema(max_items = 100)]
    readers: Vec<TenantName>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Named {
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Shared {
    name: String,
    readers: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CollectionList {
    collections: Vec<Described>,
}

impl CollectionList {
    /// Their names, and how many documents each has.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&str, u64)> {
        self.collections.iter().map(|one| (one.name.as_str(), one.documents))
    }
}

/// How the index of a collection stands.
#[derive(Serialize, ToSchema, Default)]
#[serde(rename_all = "lowercase", tag = "state")]
enum Index {
    /// It can be searched.
    Ready {
        chunks: usize,
        /// Those of them that an index does not cover.
        unindexed: usize,
    },
    /// It cannot be read.
    #[default]
    Failed,
}

#[derive(Serialize, ToSchema, Default)]
#[schema(as = Collection)]
struct Described {
    name: String,
    documents: u64,
    pending: u64,
    failed: u64,
    deleting: bool,
    /// Whether it is another tenant's, to be read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    /// Who else may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    readers: Option<Vec<String>>,
    index: Index,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
}

/// Lists collections: the own ones, and behind them those that are shared.
#[utoipa::path(
    get, path = "/collections", tag = "Knowledge", operation_id = "list_collections",
    responses((status = 200, description = "All of them", body = CollectionList)),
)]
pub(super) async fn list(desk: Desk) -> Result<Answer<CollectionList>, Problem> {
    let store = desk.documents.store();
    let own = store.collections(&desk.tenant).await?;
    let mut described = Vec::with_capacity(own.len() + 1);
    if !own.iter().any(|own| own.name == DEFAULT_COLLECTION) {
        // The one that every tenant has need not be stored.
        let readers = Some(Vec::new());
        let named = Described { name: DEFAULT_COLLECTION.to_owned(), readers, ..Described::default() };
        described.push(with_index(&desk, &desk.tenant, DEFAULT_COLLECTION, named).await?);
    }
    for CollectionRecord { name, created_at, is_deleting, documents, pending, failed, readers, .. } in own {
        let stored = Described {
            documents,
            pending,
            failed,
            deleting: is_deleting,
            readers: Some(names(&readers)),
            created_at: Some(created_at),
            name: name.clone(),
            ..Described::default()
        };
        described.push(with_index(&desk, &desk.tenant, &name, stored).await?);
    }
    for SharedRecord { tenant, name, documents } in store.shared(&desk.tenant).await? {
        let called = name_for(&desk.tenant, &tenant, &name);
        let seen = Described { name: called, documents, shared: true, ..Described::default() };
        described.push(with_index(&desk, &tenant, &name, seen).await?);
    }
    Ok(Answer(CollectionList { collections: described }))
}

/// How its index stands.
async fn with_index(desk: &Desk, owner: &Tenant, name: &str, described: Described) -> Result<Described, Problem> {
    let collection = Collection::of(owner.clone(), name)?;
    let index = match desk.documents.counts(&collection).await {
        Ok((chunks, unindexed)) => Index::Ready { chunks, unindexed },
        Err(error) => {
            tracing::warn!(%error, %collection, "the index of a collection cannot be read");
            Index::Failed
        }
    };
    Ok(Described { index, ..described })
}

fn names(tenants: &[Tenant]) -> Vec<String> {
    tenants.iter().map(|tenant| tenant.as_str().to_owned()).collect()
}

/// Makes a collection.
#[utoipa::path(
    post, path = "/collections", tag = "Knowledge", operation_id = "create_collection",
    request_body = New,
    responses(
        (status = 201, description = "It is made", body = Named),
        (status = 200, description = "It was there already", body = Named),
    ),
)]
pub(super) async fn create(
    desk: Desk,
    Json(New { name: CollectionName(name) }): Json<New>,
) -> Result<(StatusCode, Answer<Named>), Problem> {
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
    Ok((status, Answer(Named { name })))
}

/// Deletes a collection with all that is in it.
#[utoipa::path(
    delete, path = "/collections/{name}", tag = "Knowledge", operation_id = "delete_collection",
    params(("name" = CollectionName, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 202, description = "It is hidden, and going", body = Going),
    ),
)]
pub(super) async fn delete(desk: Desk, Path(name): Path<String>) -> Result<Removal, Problem> {
    let collection = named(&desk, &name).await?;
    if collection.as_str() == DEFAULT_COLLECTION {
        return Err(Problem::new(StatusCode::CONFLICT, "not_deletable", "this collection is always there"));
    }
    let job = desk.documents.delete_collection(&desk.tenant, &collection).await?.ok_or_else(no_collection)?;
    Ok(removed(job))
}

/// Lets these tenants read a collection, and no others.
#[utoipa::path(
    put, path = "/collections/{name}/readers", tag = "Knowledge", operation_id = "share_collection",
    security(("bearer" = ["admin"])),
    params(("name" = CollectionName, Path)),
    request_body = Readers,
    responses((status = 200, description = "Who may read it now", body = Shared)),
)]
pub(super) async fn share(
    desk: Desk,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(Readers { readers }): Json<Readers>,
) -> Result<Answer<Shared>, Problem> {
    identity::allow(&caller, Right::Administer)?;
    let collection = named(&desk, &name).await?;
    let readers = tenants(&desk.tenant, &readers)?;
    let told = names(&readers);
    if !desk.documents.store().set_readers(&desk.tenant, collection.as_str(), readers, Timestamp::now()).await? {
        return Err(no_collection());
    }
    Ok(Answer(Shared { name: collection.as_str().to_owned(), readers: told }))
}

/// The caller's own collection of this name. There is none of a name that cannot be one.
async fn named(desk: &Desk, name: &str) -> Result<Collection, Problem> {
    let found = desk.own_collection(Some(name)).await;
    found.map_err(|problem| if problem.status == StatusCode::BAD_REQUEST { no_collection() } else { problem })
}

/// Each once, by name.
fn tenants(own: &Tenant, names: &[TenantName]) -> Result<Vec<Tenant>, Problem> {
    let refused = |why: &str| Problem::invalid_field("readers", why);
    if names.len() > MAX_READERS {
        return Err(refused(&format!("has more than {MAX_READERS}")));
    }
    let mut tenants = BTreeSet::new();
    for TenantName(name) in names {
        check_tenant(name).map_err(|error| refused(&format!("names none: {error}")))?;
        tenants.insert(Tenant::new(name));
    }
    if tenants.contains(own) {
        return Err(refused("names the tenant that has it"));
    }
    Ok(tenants.into_iter().collect())
}
