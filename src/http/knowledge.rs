//! `POST /rag/query`: what retrieval finds.

use std::sync::Arc;

use axum::{Extension as Known, Json as Reply, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{body::Json, desk::collection, gateway::Gateway, problem::Problem};
use crate::{
    auth::Caller,
    knowledge::{Filter, Passage, Retrieved, SearchMode, SearchQuery},
    store::documents::Tenant,
};

/// The longest query, in characters; the embedding model reads the first few hundred words only.
pub(super) const MAX_QUERY_CHARS: usize = 4000;
/// The most passages of one answer.
pub(super) const MAX_TOP_K: usize = 50;

#[derive(Deserialize, ToSchema)]
#[schema(as = Search)]
pub(super) struct Query {
    #[schema(min_length = 1, max_length = 4000, pattern = "\\S")]
    query: String,
    /// Of the own tenant, or as `TENANT/NAME` one that is shared with it; `default` when absent.
    #[schema(examples("default"), pattern = "^([A-Za-z0-9_.-]{1,64}/)?[A-Za-z0-9_.-]{1,64}$")]
    collection: Option<String>,
    #[schema(minimum = 1, maximum = 50)]
    top_k: Option<usize>,
    #[serde(default)]
    mode: SearchMode,
    filter: Option<Filter>,
}

impl Query {
    /// In the usual mode, with no filter.
    pub(super) fn of(query: String, collection: Option<String>, top_k: Option<usize>) -> Self {
        Self { query, collection, top_k, mode: SearchMode::default(), filter: None }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Results {
    pub(super) results: Vec<Passage>,
    /// Another one whenever something else could be found. Too long for a number of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    took_ms: u64,
}

/// What retrieval finds for a question.
#[utoipa::path(
    post, path = "/rag/query", tag = "Knowledge", operation_id = "search",
    request_body = Query,
    responses((status = 200, description = "The passages, best first", body = Results)),
)]
pub(super) async fn query(
    State(gateway): State<Arc<Gateway>>,
    Known(caller): Known<Caller>,
    Json(query): Json<Query>,
) -> Result<Reply<Results>, Problem> {
    search(&gateway, &caller, query).await.map(Reply)
}

/// What is found for `caller`.
pub(super) async fn search(gateway: &Gateway, caller: &Caller, query: Query) -> Result<Results, Problem> {
    if query.query.trim().is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty_text", "`query` is empty"));
    }
    if query.query.chars().count() > MAX_QUERY_CHARS {
        let detail = format!("`query` is longer than {MAX_QUERY_CHARS} characters");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "text_too_long", detail));
    }
    let top_k = query.top_k.unwrap_or(gateway.top_k);
    if !(1..=MAX_TOP_K).contains(&top_k) {
        return Err(Problem::invalid_field("top_k", &format!("must be 1 to {MAX_TOP_K}")));
    }
    if let Some(Err(error)) = query.filter.as_ref().map(Filter::check) {
        return Err(Problem::invalid_field("filter", &error.to_string()));
    }
    let started = Instant::now();
    let tenant = Tenant::of(caller.owner());
    let named = async || collection(gateway.documents.as_ref(), &tenant, query.collection.as_deref()).await;
    let within = named().await?;
    let is_shared = *within.tenant() != tenant;
    let search = SearchQuery {
        text: query.query,
        collection: within,
        top_k,
        mode: query.mode,
        min_score: None, // Who asks for results wants to see the weak ones too, with their scores.
        filter: query.filter,
        owner: caller.owner().cloned(),
        session: None,
    };
    let Retrieved { passages, version } = gateway.retriever.retrieve(&search).await?;
    if is_shared {
        named().await?; // It may have been taken back while it was searched.
    }
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Results { results: passages, version: version.map(|version| format!("{version:x}")), took_ms })
}
