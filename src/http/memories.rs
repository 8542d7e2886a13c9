//! `/memories`: what assistants remember of who asks, to be read, changed, taken along and deleted. Everybody has their own
//! alone, administrators included; somebody else's look as if they did not exist.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Extension, Json as Reply,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{body::Json, desk::page_limit, fields, gateway::Gateway, problem::Problem, sessions::query};
use crate::{
    auth::Caller,
    chat::{Memory, MemoryId, MemoryKind, Owner, Timestamp},
    memory::{FACT_CHARS, MemoryError, notebook},
    store::{
        MemoryStore, StoreError,
        memories::{Forget, MAX_MEMORY_PAGE, MemoryFilter},
    },
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// What this assistant knows alone.
    assistant: Option<String>,
    /// Those of one sort alone.
    kind: Option<MemoryKind>,
    /// The last id of the page before.
    #[param(value_type = Option<MemoryId>)]
    before: Option<String>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MemoryList {
    memories: Vec<Memory>,
    /// Whether there are older ones; ask again with `before` set to the last one's id.
    more: bool,
    /// Whether anything new is remembered.
    enabled: bool,
}

/// Lists what is remembered of who asks, newest first, with facts that hold no longer.
#[utoipa::path(
    get, path = "/memories", tag = "Memories", operation_id = "list_memories",
    params(Page),
    responses((status = 200, description = "A page of it", body = MemoryList)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Reply<MemoryList>, Problem> {
    let Page { assistant, kind, before, limit } = query(page)?;
    let (limit, before) = (page_limit(limit)?, before.as_deref().map(memory_id).transpose()?);
    let filter = MemoryFilter { assistant: known_to(&gateway, &caller, assistant), kind, session: None };
    let store = store(&gateway, &caller)?;
    let found = store.memories(caller.owner(), &filter, before.as_ref(), limit).await.map_err(missing)?;
    let enabled = store.remembers(caller.owner()).await?;
    Ok(Reply(MemoryList { memories: found.memories, more: found.more, enabled }))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewMemory {
    /// What is to be remembered, as the user says it.
    #[schema(min_length = 1, max_length = 300)]
    text: String,
    /// Which assistant is to remember it; the default one when absent.
    #[schema(max_length = 64)]
    assistant: Option<String>,
}

/// Remembers a fact that who asks writes down.
#[utoipa::path(
    post, path = "/memories", tag = "Memories", operation_id = "add_memory",
    request_body = NewMemory,
    responses(
        (status = 201, description = "It is remembered", body = Memory),
        (status = 200, description = "It was known already", body = Memory),
    ),
)]
pub(super) async fn add(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewMemory>,
) -> Result<(StatusCode, Reply<Memory>), Problem> {
    let text = fact_text(&new.text)?;
    let assistant = super::sessions::assistant(&gateway, &caller, new.assistant.as_deref())?;
    if !assistant.memory.enabled {
        return Err(Problem::new(StatusCode::CONFLICT, "memory_off", "this assistant remembers nothing".to_owned()));
    }
    let store = store(&gateway, &caller)?;
    if let Some(memory) = gateway.runner.tools.memories.write_down(&assistant, caller.owner(), text).await? {
        return Ok((StatusCode::CREATED, Reply(memory)));
    }
    let lower = text.to_lowercase();
    let known = store
        .facts(&notebook(&assistant, caller.owner()), Timestamp::now())
        .await?
        .into_iter()
        .find(|fact| fact.text.to_lowercase() == lower);
    Ok((StatusCode::OK, Reply(known.ok_or_else(none)?)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewWords {
    /// What is to be remembered in its place.
    #[schema(min_length = 1, max_length = 300)]
    text: String,
}

/// Puts a fact in other words.
#[utoipa::path(
    patch, path = "/memories/{id}", tag = "Memories", operation_id = "reword_memory",
    params(("id" = MemoryId, Path)), request_body = NewWords,
    responses((status = 200, description = "As it is now", body = Memory)),
)]
pub(super) async fn reword(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(new): Json<NewWords>,
) -> Result<Reply<Memory>, Problem> {
    let (id, text) = (memory_id(&id)?, fact_text(&new.text)?);
    let reworded = gateway.runner.tools.memories.reword(caller.owner(), &id, text).await?;
    Ok(Reply(reworded.ok_or_else(none)?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Taking {
    /// Whether it is taken back, as if it had never been said: the facts that it ended hold again.
    #[serde(default)]
    undo: bool,
}

/// How much was forgotten.
#[derive(Serialize, ToSchema)]
pub(super) struct Forgotten {
    facts: usize,
    episodes: usize,
}

/// Forgets a memory; with a fact all that mentions it.
#[utoipa::path(
    delete, path = "/memories/{id}", tag = "Memories", operation_id = "forget_memory",
    params(("id" = MemoryId, Path), Taking),
    responses((status = 200, description = "It is forgotten", body = Forgotten)),
)]
pub(super) async fn forget(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    taking: Result<Query<Taking>, QueryRejection>,
) -> Result<Reply<Forgotten>, Problem> {
    let (Taking { undo }, id) = (query(taking)?, memory_id(&id)?);
    let what = if undo { Forget::Undo(id) } else { Forget::One(id) };
    let Reply(forgotten) = forget_now(&gateway, &caller, what).await?;
    if forgotten.facts + forgotten.episodes == 0 { Err(none()) } else { Ok(Reply(forgotten)) }
}

/// That it is meant.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Confirmed {
    True,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Emptying {
    /// Has to be `true`: it cannot be taken back.
    #[param(inline)]
    confirm: Confirmed,
    /// What this assistant knows alone.
    assistant: Option<String>,
    /// Those of one sort alone.
    kind: Option<MemoryKind>,
}

/// Forgets everything, or all of an assistant or of a sort.
#[utoipa::path(
    delete, path = "/memories", tag = "Memories", operation_id = "forget_memories",
    params(Emptying),
    responses((status = 200, description = "They are forgotten", body = Forgotten)),
)]
pub(super) async fn forget_all(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    emptying: Result<Query<Emptying>, QueryRejection>,
) -> Result<Reply<Forgotten>, Problem> {
    let Emptying { confirm: Confirmed::True, assistant, kind } = query(emptying)?;
    let filter = MemoryFilter { assistant: known_to(&gateway, &caller, assistant), kind, session: None };
    forget_now(&gateway, &caller, Forget::All(filter)).await
}

/// All that is remembered of who asks, newest first, as a file.
#[utoipa::path(
    get, path = "/memories/export", tag = "Memories", operation_id = "export_memories",
    responses((status = 200, description = "An object with `memories`, a list of all of them", content_type = "application/json", body = Object)),
)]
pub(super) async fn export(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (store, owner) = (store(&gateway, &caller)?.clone(), caller.owner().cloned());
    // A page at a time, so that what is in memory does not depend on how much there is. The first, so that what fails is told.
    let first = next_page(&*store, owner.as_ref(), None).await?;
    let beginning = VecDeque::from([Bytes::from_static(b"{\"memories\":[")]);
    let state = Some((beginning, Some(first), true));
    let pieces = stream::try_unfold(state, move |state| {
        let (store, owner) = (store.clone(), owner.clone());
        async move {
            let Some((mut ready, page, is_first)) = state else { return Ok::<_, StoreError>(None) };
            if let Some(piece) = ready.pop_front() {
                return Ok(Some((piece, Some((ready, page, is_first)))));
            }
            let Some((memories, more)) = page else { return Ok(Some((Bytes::from_static(b"]}"), None))) };
            let mut text = String::new();
            for (at, memory) in memories.iter().enumerate() {
                text.push_str(if is_first && at == 0 { "" } else { "," });
                text.push_str(&serde_json::to_string(memory).unwrap_or_default());
            }
            let next = match memories.last().filter(|_| more) {
                Some(last) => Some(next_page(&*store, owner.as_ref(), Some(&last.id)).await?),
                None => None,
            };
            Ok(Some((Bytes::from(text), Some((ready, next, is_first && memories.is_empty())))))
        }
    });
    let disposition = HeaderValue::try_from(fields::attachment("memories.json"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Whether anything new is remembered of who asks.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct MemorySettings {
    enabled: bool,
}

/// Whether anything new is remembered of who asks, by any assistant.
#[utoipa::path(
    get, path = "/memories/settings", tag = "Memories", operation_id = "get_memory_settings",
    responses((status = 200, description = "Whether", body = MemorySettings)),
)]
pub(super) async fn settings(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply<MemorySettings>, Problem> {
    Ok(Reply(MemorySettings { enabled: store(&gateway, &caller)?.remembers(caller.owner()).await? }))
}

/// Switches it on or off. What is remembered already stays, and is not told while it is off.
#[utoipa::path(
    put, path = "/memories/settings", tag = "Memories", operation_id = "set_memory_settings",
    request_body = MemorySettings,
    responses((status = 200, description = "As it is now", body = MemorySettings)),
)]
pub(super) async fn set(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Json(wanted): Json<MemorySettings>,
) -> Result<Reply<MemorySettings>, Problem> {
    store(&gateway, &caller)?.set_remembers(caller.owner(), wanted.enabled).await?;
    Ok(Reply(wanted))
}

async fn forget_now(gateway: &Gateway, caller: &Caller, what: Forget) -> Result<Reply<Forgotten>, Problem> {
    let forgotten = store(gateway, caller)?.forget(caller.owner(), what, Timestamp::now()).await?;
    Ok(Reply(Forgotten { facts: forgotten.facts, episodes: forgotten.episodes }))
}

async fn next_page(
    store: &dyn MemoryStore,
    owner: Option<&Owner>,
    before: Option<&MemoryId>,
) -> Result<(Vec<Memory>, bool), StoreError> {
    let page = store.memories(owner, &MemoryFilter::default(), before, MAX_MEMORY_PAGE).await?;
    Ok((page.memories, page.more))
}

fn store<'a>(gateway: &'a Gateway, caller: &Caller) -> Result<&'a Arc<dyn MemoryStore>, Problem> {
    Ok(gateway.runner.tools.memories.of(caller.owner())?)
}

/// The notebook in which an assistant looks; of one that is not there any more, its own.
fn known_to(gateway: &Gateway, caller: &Caller, assistant: Option<String>) -> Option<String> {
    assistant.map(|name| match caller.assistant(&gateway.runner.assistants, Some(&name)) {
        Some(assistant) => notebook(&assistant, None).assistant,
        None => name,
    })
}

/// What can be a fact.
fn fact_text(text: &str) -> Result<&str, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "empty_text", "`text` is empty"));
    }
    if text.chars().nth(FACT_CHARS).is_some() {
        let detail = format!("`text` has at most {FACT_CHARS} characters");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "text_too_long", detail));
    }
    Ok(text)
}

fn memory_id(text: &str) -> Result<MemoryId, Problem> {
    MemoryId::parse(text).map_err(|_| none())
}

fn none() -> Problem {
    Problem::not_found("memory")
}

fn missing(error: StoreError) -> Problem {
    if matches!(error, StoreError::NoSession) { none() } else { error.into() }
}

impl From<MemoryError> for Problem {
    fn from(error: MemoryError) -> Self {
        let (status, code) = match &error {
            MemoryError::Unavailable(store) => return store.clone().into(),
            MemoryError::Sensitive(_) => (StatusCode::UNPROCESSABLE_ENTITY, "sensitive"),
            MemoryError::NotSaid => (StatusCode::BAD_REQUEST, "invalid_field"),
            MemoryError::Nothing => (StatusCode::NOT_FOUND, "not_found"),
            MemoryError::Full => (StatusCode::CONFLICT, "full"),
            MemoryError::Forgotten => (StatusCode::CONFLICT, "forgotten"),
            MemoryError::Off | MemoryError::Temporary | MemoryError::Nobody => (StatusCode::CONFLICT, "memory_off"),
        };
        Self::new(status, code, error.to_string())
    }
}
