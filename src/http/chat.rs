//! `POST /chat`: a question and its whole answer in one request, over the same session and the same run.

use std::sync::Arc;

use axum::{Extension, Json as Reply, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    body::Json,
    gateway::Gateway,
    idempotency::Key,
    problem::Problem,
    rates,
    sessions::{assistant, may_ask, session_id, session_named},
};
use crate::{
    auth::Caller,
    chat::{Citation, MessageId, SessionId, Source, Status, Usage},
    dialect::chat_v1::check_text,
    hub::Ask,
    limits::{Action, Standing, Visitor},
    session::{
        Answer, Closed, SendMode,
        answer::Next,
        log::{Event, RunDone, Step},
    },
    store::StoreError,
};

#[derive(Deserialize, ToSchema)]
pub(super) struct Question {
    /// Makes it safe to repeat.
    id: Option<MessageId>,
    #[schema(min_length = 1, max_length = 16_384, pattern = "\\S")]
    message: String,
    /// The conversation that it goes on with; a new one when absent.
    session_id: Option<String>,
    assistant: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Answer)]
pub(super) struct Response {
    session_id: SessionId,
    message_id: MessageId,
    response: String,
    status: Status,
    citations: Vec<Citation>,
    sources: Vec<Source>,
    usage: Option<Usage>,
}

/// Asks a question and waits for the whole answer.
///
/// A request that is hung up does not stop the answer: it is in the session.
#[utoipa::path(
    post, path = "/chat", tag = "Conversations", operation_id = "ask",
    params(Key),
    request_body = Question,
    responses((status = 200, description = "The answer; `status` says whether it is whole", body = Response)),
)]
pub(super) async fn ask(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Extension(by): Extension<Visitor>,
    key: Key,
    Json(question): Json<Question>,
) -> Result<(Option<Extension<Standing>>, Reply<Response>), Problem> {
    check_text(&question.message)?;
    let is_named = question.assistant.is_some();
    let assistant = assistant(&gateway, &caller, question.assistant.as_deref())?;
    let (hub, owner) = (&gateway.hub, caller.owner());
    let id = question.id.or(key.id());
    let session = match (question.session_id, &id) {
        (Some(id), _) => hub.get_own(&session_id(&id)?, owner).await?,
        (None, Some(id)) => hub.get_or_open(&session_named(owner, id.as_str()), &assistant.name, owner).await?,
        (None, None) => {
            rates::take(&gateway.runner.rates, Action::Sessions, &by).await?;
            hub.open(&assistant.name, owner, false)?
        }
    };
    if is_named && session.assistant() != assistant.name {
        return Err(Problem::not_found("assistant")); // Another one answers in that conversation.
    }
    may_ask(&gateway, &caller, &session)?;
    let ask = Ask::Say { id, text: question.message, mode: SendMode::Reject };
    let (receipt, answer) = hub.ask(&session, ask, by).await?;
    let done = end(answer).await?;
    if done.status == Status::Error {
        return Err(done.error.as_ref().map_or_else(failed, Problem::from));
    }
    // `run.done` follows the commit, so the store has the answer.
    let answer = hub.store().message(session.id(), &done.message).await?;
    let answer = answer.ok_or_else(|| Problem::not_found("session"))?;
    let response = Response {
        session_id: session.id().clone(),
        message_id: answer.id,
        response: answer.text,
        status: done.status,
        citations: answer.citations,
        sources: answer.sources,
        usage: done.usage,
    };
    Ok((rates::of_assistant(receipt.standing), Reply(response)))
}

/// Why is not kept.
fn failed() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer to this question failed")
}

/// Waits for the end of an answer.
async fn end(mut answer: Answer) -> Result<Arc<RunDone>, Problem> {
    let code = StatusCode::SERVICE_UNAVAILABLE;
    loop {
        let mut done = None;
        let next = answer.next(usize::MAX, |step| {
            if let Step::Event(_, Event::RunDone(end)) = step {
                done = Some(end.clone());
            }
        });
        match (next, done) {
            (_, Some(done)) => return Ok(done),
            (Next::Shown | Next::Over, None) => {}
            (Next::Lost, None) => {
                return Err(Problem::new(code, "busy", "too much happened at once; the session has the answer"));
            }
            (Next::UpToDate, None) => match answer.changed().await {
                Ok(()) => {}
                Err(Closed::Deleted) => return Err(Problem::not_found("session")),
                Err(Closed::Moved) => return Err(StoreError::Fenced.into()),
                Err(Closed::Shutdown | Closed::Failed) => {
                    return Err(Problem::new(code, "internal", "the session ended"));
                }
            },
        }
    }
}
