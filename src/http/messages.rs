//! A conversation without a WebSocket: messages by POST. What happens comes by `events.rs`.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};

use super::{body::Json, gateway::Gateway, idempotency, problem::Problem, sessions::session_id};
use crate::{
    auth::Caller,
    chat::{MessageId, RunId},
    dialect::chat_v1::check_text,
    limits::Visitor,
    session::{NewMessage, Receipt, SendMode, StopTarget},
};

#[derive(Deserialize)]
pub(super) struct Message {
    id: Option<MessageId>,
    text: String,
    mode: Option<SendMode>,
}

#[derive(Serialize)]
pub(super) struct Accepted {
    message: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    duplicate: bool,
    queued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Stopped {
    run: RunId,
}

pub(super) async fn send(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    Path(session): Path<String>,
    headers: HeaderMap,
    Json(Message { id, text, mode }): Json<Message>,
) -> Result<(StatusCode, Reply<Accepted>), Problem> {
    check_text(&text)?;
    let id = idempotency::key(id, &headers)?;
    let session = gateway.hub.get_own(&session_id(&session)?, caller.owner()).await?;
    let message = NewMessage { id, text, mode: mode.unwrap_or_default(), by };
    let receipt = session.send(message).await?;
    let Receipt { message, run, duplicate, queued, remaining } = receipt;
    let accepted = Accepted { message, run, duplicate, queued, remaining };
    Ok((StatusCode::ACCEPTED, Reply(accepted)))
}

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
