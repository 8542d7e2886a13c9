//! The Vercel AI SDK's protocol over HTTP: what its `DefaultChatTransport` asks for, and one call more, which stops an answer.
//! The SDK ends a request when its view is gone or another one takes its place, so that a request that ends stops nothing.

use std::sync::Arc;

use axum::{
    Extension, Json as Reply,
    extract::{Path, Query, Request, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use self::asking::ask;
use super::{
    body,
    gateway::Gateway,
    messages::Stopped,
    places::ConnectionPermit,
    problem::Problem,
    sessions::query,
    told::{known_session_of_chat, told},
};
use crate::{
    auth::Caller,
    dialect::ai_sdk::{Asked, BODY_BYTES, Chunks, described},
    limits::Visitor,
    session::{Answer, SendMode, StopTarget},
};

mod asking;
pub(super) mod socket;

/// Says that what follows are chunks of a UI message stream, and of which version.
const STREAM: HeaderName = HeaderName::from_static("x-vercel-ai-ui-message-stream");
/// What stands behind the last chunk.
const LAST: &str = "[DONE]";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Who is to answer in a new chat; in the body it counts more.
    assistant: Option<String>,
}

/// A question, an edited one, one to be answered anew, or a decision, and the answer as a UI message stream.
///
/// Of the messages only the last is looked at: what was said before is what the gateway has stored. Whoever hangs up stops
/// nothing.
#[utoipa::path(
    post, path = "/ai-sdk/chat", tag = "AI SDK", operation_id = "ai_sdk_chat",
    params(Wanted),
    request_body = described::ChatRequest,
    responses((status = 200, description = "Chunks, and `[DONE]` behind the last", content(("text/event-stream")))),
)]
pub(super) async fn chat(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    permit: Option<Extension<ConnectionPermit>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let wanted = query(wanted)?;
    let body: Map<String, Value> = body::json(request, BODY_BYTES).await?;
    let asked = Asked::parse(&body)?;
    drop(body);
    let asked = Asked { assistant: asked.assistant.or(wanted.assistant), ..asked };
    let (_, answer, chunks) = ask(&gateway, (&caller, by), asked, SendMode::Reject).await?;
    Ok(stream(answer, chunks, permit))
}

/// The answer that is being written in a chat, from its beginning.
#[utoipa::path(
    get, path = "/ai-sdk/chat/{id}/stream", tag = "AI SDK", operation_id = "ai_sdk_resume",
    params(("id" = String, Path, description = "The chat, as the client calls it")),
    responses(
        (status = 200, description = "Chunks, and `[DONE]` behind the last", content(("text/event-stream"))),
        (status = 204, description = "Nothing is being written in it"),
    ),
)]
pub(super) async fn resume(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    permit: Option<Extension<ConnectionPermit>>,
    Path(chat): Path<String>,
) -> Result<Response, Problem> {
    let session = known_session_of_chat(&gateway, &caller, &chat).await?;
    let Some((session, answer)) = session.and_then(|session| Answer::live(&session).map(|answer| (session, answer)))
    else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    Ok(stream(answer, Chunks::new(session.id().clone(), None), permit))
}

/// Stops the answer that is being written in a chat. What was written of it is kept.
#[utoipa::path(
    post, path = "/ai-sdk/chat/{id}/stop", tag = "AI SDK", operation_id = "ai_sdk_stop",
    params(("id" = String, Path, description = "The chat, as the client calls it")),
    responses((status = 202, description = "It is being stopped", body = Stopped)),
)]
pub(super) async fn stop(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(chat): Path<String>,
) -> Result<(StatusCode, Reply<Stopped>), Problem> {
    let session = known_session_of_chat(&gateway, &caller, &chat).await?;
    let run = session.ok_or_else(|| Problem::not_found("session"))?.stop(StopTarget::Active).await?;
    Ok((StatusCode::ACCEPTED, Reply(Stopped { run })))
}

fn stream(answer: Answer, chunks: Chunks, permit: Option<Extension<ConnectionPermit>>) -> Response {
    let mut response = told(answer, chunks, Some(LAST), permit.map(|Extension(permit)| permit));
    response.headers_mut().insert(STREAM, HeaderValue::from_static("v1"));
    response
}
