//! A conversation without a WebSocket: messages by POST. What happens comes by `events.rs`.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::Json,
    gateway::Gateway,
    idempotency::Key,
    problem::Problem,
    rates,
    sessions::{may_ask, session_id},
};
use crate::{
    auth::Caller,
    chat::{MessageId, RunId, SessionId},
    dialect::chat_v1::check_text,
    limits::{Standing, Visitor},
    session::{NewMessage, Receipt, SendMode, StopTarget},
};

#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
pub(super) struct Message {
    /// Makes it safe to repeat.
    id: Option<MessageId>,
    #[schema(min_length = 1, max_length = 16_384, pattern = "\\S")]
    text: String,
    mode: Option<SendMode>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    message: MessageId,
    /// Which will answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    /// Whether the message was there already.
    duplicate: bool,
    /// Whether others are answered before it.
    queued: bool,
    /// How many messages may follow at once, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Stopped {
    pub(super) run: RunId,
}

/// Says something in a session. The answer comes over the socket or the events.
#[utoipa::path(
    post, path = "/sessions/{id}/messages", tag = "Conversations", operation_id = "send_message",
    params(("id" = SessionId, Path), Key),
    request_body = Message,
    responses((status = 202, description = "It is stored, and will be answered", body = Accepted)),
)]
pub(super) async fn send(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    Path(session): Path<String>,
    key: Key,
    Json(Message { id, text, mode }): Json<Message>,
) -> Result<(StatusCode, Option<Extension<Standing>>, Reply<Accepted>), Problem> {
    check_text(&text)?;
    let id = id.or(key.id());
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    may_ask(&gateway, &caller, &session)?;
    let message = NewMessage { id, text, mode: mode.unwrap_or_default(), by };
    let receipt = session.send(message).await?;
    Ok((StatusCode::ACCEPTED, rates::of_assistant(receipt.standing), Reply(Accepted::of(receipt))))
}

impl Accepted {
    pub(super) fn of(Receipt { message, run, duplicate, queued, standing }: Receipt) -> Self {
        let remaining = standing.map(|standing| standing.left.remaining);
        Self { message, run, duplicate, queued, remaining }
    }
}

/// Stops an answer. What was written of it is kept.
#[utoipa::path(
    post, path = "/sessions/{id}/runs/{run}/stop", tag = "Conversations", operation_id = "stop_run",
    params(("id" = SessionId, Path), ("run" = RunId, Path)),
    responses((status = 202, description = "It is being stopped", body = Stopped)),
)]
pub(super) async fn stop(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path((session, run)): Path<(String, String)>,
) -> Result<(StatusCode, Reply<Stopped>), Problem> {
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    let run = RunId::parse(&run).map_err(|_| Problem::not_found("run"))?;
    let run = session.stop(StopTarget::Run(run)).await?;
    Ok((StatusCode::ACCEPTED, Reply(Stopped { run })))
}
