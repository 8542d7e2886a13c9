//! `/deep-chat`: an answer for the chat element of that name. As it is written, where the element is to stream, and else as a
//! whole. The element shows errors that have its own form, so those of these addresses have it.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    body,
    gateway::Gateway,
    places::ConnectionPermit,
    problem::Problem,
    rates,
    sessions::{assistant, may_ask},
    told::{session_of_chat, tell, told},
};
use crate::{
    auth::Caller,
    dialect::{
        chat_v1::check_text,
        deep_chat::{DeepChat, Question, described},
    },
    hub::Ask,
    limits::{Action, Visitor},
    session::{Answer, SendMode, SessionHandle},
};

/// The largest request, in bytes: an element may send the whole history.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Where the addresses are.
const BASE: &str = "/api/v1/deep-chat/";

/// Whether errors of this address have the element's form.
pub(super) fn is_below(path: &str) -> bool {
    path.starts_with(BASE)
}

/// An answer, for the element `deep-chat`.
///
/// With `Accept: text/event-stream` it comes as it is written. A request that is hung up does not stop it.
#[utoipa::path(
    post, path = "/deep-chat/chat", tag = "Conversations", operation_id = "ask_deep_chat",
    request_body = described::Question,
    responses((status = 200, description = "The answer", content(
        (described::Answer = "application/json"),
        ("text/event-stream"),
    ))),
)]
pub(super) async fn chat(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    permit: Option<Extension<ConnectionPermit>>,
    request: Request,
) -> Result<Response, Problem> {
    let is_stream = wants_events(request.headers());
    let body: Value = body::json(request, MAX_BODY_BYTES).await?;
    let question = Question::parse(&body)?;
    drop(body);
    check_text(&question.text)?;
    let session = session_of(&gateway, &caller, &by, &question).await?;
    let ask = Ask::Say { id: None, text: question.text, mode: SendMode::Reject };
    let (receipt, answer) = gateway.hub.ask(&session, ask, by).await?;
    let codec = DeepChat::new(session.id().clone());
    let mut response = if is_stream {
        told(answer, codec, None, permit.map(|Extension(permit)| permit))
    } else {
        whole(answer, codec).await
    };
    rates::note(&mut response, receipt.standing.filter(|standing| standing.action == Action::Assistant));
    Ok(response)
}

async fn session_of(
    gateway: &Gateway,
    caller: &Caller,
    by: &Visitor,
    question: &Question,
) -> Result<SessionHandle, Problem> {
    let wanted = question.assistant.as_deref();
    if let Some(session) = &question.session {
        return session_of_chat(gateway, (caller, by), session, wanted).await;
    }
    let assistant = assistant(gateway, caller, wanted)?;
    rates::take(&gateway.runner.rates, Action::Sessions, by).await?;
    let session = gateway.hub.open(&assistant.name, caller.owner(), false)?;
    may_ask(gateway, caller, &session)?;
    Ok(session)
}

/// All of an answer, once it is over.
async fn whole(mut answer: Answer, mut codec: DeepChat) -> Response {
    let mut passed_over = Vec::new();
    while tell(&mut answer, &mut codec, &mut passed_over).await {
        passed_over.clear();
    }
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], codec.whole()).into_response()
}

/// Whether the answer is wanted as it is written.
fn wants_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/event-stream")
    })
}
