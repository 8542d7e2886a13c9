//! `POST /chat`: a question and its whole answer in one request, over the same session and the same run.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    Gateway,
    body::Json,
    problem::Problem,
    sessions::{assistant, session_id},
};
use crate::{
    auth::Caller,
    chat::{Citation, MessageId, RunId, SessionId, Source, Status, Usage},
    dialect::chat_v1::check_text,
    session::{
        Closed, NewMessage, SendMode, Viewer,
        log::{Event, RunDone, Step},
        viewer::Change,
    },
};

#[derive(Deserialize)]
pub(super) struct Question {
    message: String,
    session_id: Option<String>,
    assistant: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Response {
    session_id: SessionId,
    message_id: MessageId,
    response: String,
    status: Status,
    citations: Vec<Citation>,
    sources: Vec<Source>,
    usage: Option<Usage>,
}

pub(super) async fn ask(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    Json(question): Json<Question>,
) -> Result<Answer<Response>, Problem> {
    check_text(&question.message)?;
    let assistant = assistant(question.assistant)?;
    let session = match question.session_id {
        Some(id) => gateway.hub.get_own(&session_id(&id)?, caller.owner()).await?,
        None => gateway.hub.open(&assistant, caller.owner())?,
    };
    let (mut viewer, _) = session.attach(None);
    let message = NewMessage { id: None, text: question.message, mode: SendMode::Reject };
    let receipt = session.send(message).await?;
    let run = receipt.run.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "no run"))?;
    let done = wait(&mut viewer, &run).await?;
    if let (Status::Error, Some(error)) = (done.status, &done.error) {
        return Err(error.into());
    }
    // `run.done` follows the commit, so the store has the answer.
    let answer = gateway.hub.store().message(session.id(), &done.message).await?;
    let answer = answer.ok_or_else(|| Problem::not_found("session"))?;
    Ok(Answer(Response {
        session_id: session.id().clone(),
        message_id: answer.id,
        response: answer.text,
        status: done.status,
        citations: done.citations.clone(),
        sources: answer.sources,
        usage: done.usage,
    }))
}

/// Reads the session's log until `run` is over.
async fn wait(viewer: &mut Viewer, run: &RunId) -> Result<std::sync::Arc<RunDone>, Problem> {
    loop {
        let mut found = None;
        let mut trimmed = false;
        viewer.read(usize::MAX, |step| {
            match step {
                Step::Event(_, Event::RunDone(done)) if done.run == *run => found = Some(done.clone()),
                Step::Trimmed => trimmed = true,
                _ => {}
            }
            found.is_none()
        });
        if let Some(done) = found {
            return Ok(done);
        }
        let code = StatusCode::SERVICE_UNAVAILABLE;
        if trimmed {
            return Err(Problem::new(code, "busy", "too much happened at once; the session has the answer"));
        }
        match viewer.changed().await {
            Change::More => {}
            Change::Closed(Closed::Deleted) => return Err(Problem::not_found("session")),
            Change::Closed(_) => return Err(Problem::new(code, "internal", "the session ended")),
        }
    }
}
