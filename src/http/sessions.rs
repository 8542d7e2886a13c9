//! `/sessions`: make, list, read, name, delete.
//!
//! Everybody sees their own sessions only, and somebody else's look as if they did not exist. Without authentication
//! callers are nobody in particular, and all sessions of nobody in particular are theirs.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{body::Json, desk::page_limit, gateway::Gateway, names, problem::Problem, rates};
use crate::{
    auth::Caller,
    chat::{Message, MessageId, Owner, SessionId, Timestamp, Title},
    config::Assistant,
    limits::{Action, Visitor},
    session::SessionHandle,
    store::{
        Scope, SessionRecord,
        memories::{Forget, MemoryFilter},
    },
};

/// The most bytes of a session's metadata.
const MAX_METADATA: usize = 4096;

#[derive(Deserialize, ToSchema)]
pub(super) struct NewSession {
    /// Who answers in it; the default one when absent.
    #[schema(max_length = 64, examples("default"))]
    assistant: Option<String>,
    /// What the client wants to remember with it: an object of at most 4,096 bytes.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Whether it neither knows nor leaves any memories.
    #[serde(default)]
    temporary: bool,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    session_id: SessionId,
    assistant: String,
    /// What it is called: as somebody has named it, or after its first question. Absent before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<names::Title>)]
    title: Option<Title>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    message_count: u64,
    /// Nothing that was told elsewhere is known in it, and nothing of it is remembered; absent where that is not so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    temporary: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// When it is deleted if nothing more is said in it.
    expires_at: Timestamp,
}

/// A conversation and what was said in it.
#[derive(Serialize, ToSchema)]
pub(super) struct Conversation {
    #[serde(flatten)]
    session: Session,
    messages: Vec<Message>,
    /// Whether there are older messages; ask again with `before` set to the first one's id.
    more: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<Session>,
    /// Whether there are older sessions; ask again with `before` set to the last one's id.
    more: bool,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// The last id of the page before.
    #[param(value_type = Option<SessionId>)]
    before: Option<String>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Only those in whose titles this stands, in capital letters or not.
    #[param(value_type = Option<names::Title>)]
    q: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// The last id of the page before.
    #[param(value_type = Option<MessageId>)]
    before: Option<String>,
    /// The most entries wanted; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Whether messages that were replaced are wanted too.
    #[serde(default)]
    replaced: bool,
}

/// Makes a session.
#[utoipa::path(
    post, path = "/sessions", tag = "Conversations", operation_id = "create_session",
    request_body = NewSession,
    responses((status = 201, description = "The session", body = Session)),
)]
pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    Json(new): Json<NewSession>,
) -> Result<(StatusCode, Reply<Session>), Problem> {
    let assistant = assistant(&gateway, &caller, new.assistant.as_deref())?;
    if let Some(metadata) = &new.metadata
        && (!metadata.is_object() || metadata.to_string().len() > MAX_METADATA)
    {
        let problem = format!("must be an object of at most {MAX_METADATA} bytes");
        return Err(Problem::invalid_field("metadata", &problem));
    }
    rates::take(&gateway.runner.rates, Action::Sessions, &by).await?;
    let record = gateway.hub.create(&assistant.name, caller.owner(), new.metadata, new.temporary).await?;
    Ok((StatusCode::CREATED, Reply(describe(&gateway, record))))
}

/// Lists one's sessions, newest first.
#[utoipa::path(
    get, path = "/sessions", tag = "Conversations", operation_id = "list_sessions",
    params(Listing),
    responses((status = 200, description = "A page of them", body = SessionList)),
)]
pub(super) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    listing: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Reply<SessionList>, Problem> {
    let Listing { before, limit, q } = query(listing)?;
    let before = before.as_deref().map(session_id).transpose()?;
    let part = q.as_deref().map(|q| title("q", q)).transpose()?;
    let store = gateway.hub.store();
    let found = store.sessions(caller.owner(), part.as_ref(), before.as_ref(), page_limit(limit)?).await?;
    let sessions = found.sessions.into_iter().map(|record| describe(&gateway, record)).collect();
    Ok(Reply(SessionList { sessions, more: found.more }))
}

/// A session with its messages: the newest, oldest of them first.
#[utoipa::path(
    get, path = "/sessions/{id}", tag = "Conversations", operation_id = "get_session",
    params(("id" = SessionId, Path), Page),
    responses((status = 200, description = "The session", body = Conversation)),
)]
pub(super) async fn show(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Reply<Conversation>, Problem> {
    let page = query(page)?;
    let id = session_id(&id)?;
    let before = page.before.as_deref().map(MessageId::parse).transpose();
    let before = before.map_err(|error| Problem::invalid_field("before", &error.to_string()))?;
    let scope = if page.replaced { Scope::Everything } else { Scope::Conversation };
    let wanted = (before.as_ref(), page_limit(page.limit)?, scope);
    let (record, found) = gateway.hub.conversation(&id, caller.owner(), wanted).await?;
    let session = describe(&gateway, record);
    Ok(Reply(Conversation { session, messages: found.messages, more: found.more }))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct NewTitle {
    title: names::Title,
}

/// Calls a session something else.
#[utoipa::path(
    patch, path = "/sessions/{id}", tag = "Conversations", operation_id = "rename_session",
    params(("id" = SessionId, Path)),
    request_body = NewTitle,
    responses((status = 200, description = "The session", body = Session)),
)]
pub(super) async fn rename(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(new): Json<NewTitle>,
) -> Result<Reply<Session>, Problem> {
    let title = title("title", &new.title.0)?;
    let record = gateway.hub.rename(&session_id(&id)?, caller.owner(), title).await?;
    Ok(Reply(describe(&gateway, record)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Deletion {
    /// Whether the facts that were said in it are forgotten, too.
    #[serde(default)]
    memories: bool,
}

/// Deletes a session with what is remembered of its turns, and closes what is open on it.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "Conversations", operation_id = "delete_session",
    params(("id" = SessionId, Path), Deletion),
    responses((status = 204, description = "It is deleted")),
)]
pub(super) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    deletion: Result<Query<Deletion>, axum::extract::rejection::QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Deletion { memories } = query(deletion)?;
    let own = gateway.hub.record(&session_id(&id)?, caller.owner()).await?;
    if memories {
        // First, so that whoever is told that it failed can try again.
        let filter = MemoryFilter { session: Some(own.id.clone()), ..MemoryFilter::default() };
        let store = gateway.runner.tools.memories.of(caller.owner())?;
        store.forget(caller.owner(), Forget::All(filter), Timestamp::now()).await?;
    }
    if gateway.hub.delete(&own.id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("session")) }
}

/// The assistant that a caller asks for; one that is not shown to them is none.
pub(super) fn assistant(gateway: &Gateway, caller: &Caller, name: Option<&str>) -> Result<Arc<Assistant>, Problem> {
    caller.assistant(&gateway.runner.assistants, name).ok_or_else(|| Problem::not_found("assistant"))
}

/// Whoever is not shown the assistant of a conversation any more can read what was said, and asks nothing more.
pub(super) fn may_ask(gateway: &Gateway, caller: &Caller, session: &SessionHandle) -> Result<(), Problem> {
    let may_ask = caller.may_ask(&gateway.runner.assistants, session.assistant());
    if may_ask { Ok(()) } else { Err(Problem::not_found("assistant")) }
}

/// What cannot be an id belongs to no session: one answer for both.
pub(super) fn session_id(text: &str) -> Result<SessionId, Problem> {
    SessionId::parse(text).map_err(|_| Problem::not_found("session"))
}

fn title(field: &str, text: &str) -> Result<Title, Problem> {
    Title::parse(text).map_err(|error| Problem::invalid_field(field, &error.to_string()))
}

pub(super) fn query<T>(query: Result<Query<T>, axum::extract::rejection::QueryRejection>) -> Result<T, Problem> {
    match query {
        Ok(Query(query)) => Ok(query),
        Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_field", rejection.body_text())),
    }
}

fn describe(gateway: &Gateway, record: SessionRecord) -> Session {
    Session {
        expires_at: gateway.hub.expires_at(&record),
        session_id: record.id,
        assistant: record.assistant,
        title: record.title,
        metadata: record.metadata,
        message_count: record.message_count,
        temporary: record.is_temporary,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

/// The session that a client calls so: the same one whenever it does, also after a restart and at other gateways. Others who
/// use the same name have other ones.
pub(super) fn session_named(owner: Option<&Owner>, name: &str) -> SessionId {
    let mut hash = blake3::Hasher::new_derive_key("rivulet 2026 session of a question with an id");
    let owner = owner.map(Owner::as_str);
    hash.update(&[u8::from(owner.is_some())]);
    let owner = owner.unwrap_or_default();
    hash.update(&(owner.len() as u64).to_le_bytes()).update(owner.as_bytes()).update(name.as_bytes());
    let name = format!("s_{}", &hash.finalize().to_hex()[..32]);
    SessionId::parse(&name).unwrap_or_else(|_| SessionId::random())
}
