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
    sessions::{assistant, may_ask, session_id},
};
use crate::{
    auth::Caller,
    chat::{Citation, Message, MessageId, Owner, Role, RunId, SessionId, Source, Status, Usage},
    dialect::chat_v1::check_text,
    limits::{Action, Standing, Visitor},
    session::{
        Closed, NewMessage, SendMode, SessionHandle, Viewer,
        log::{Event, RunDone, Step},
        viewer::Change,
    },
    store::{MAX_PAGE, Scope, StoreError},
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
        (None, Some(id)) => hub.get_or_open(&session_of(owner, id), &assistant.name, owner).await?,
        (None, None) => {
            rates::take(&gateway.runner.rates, Action::Sessions, &by).await?;
            hub.open(&assistant.name, owner, false)?
        }
    };
    if is_named && session.assistant() != assistant.name {
        return Err(Problem::not_found("assistant")); // Another one answers in that conversation.
    }
    may_ask(&gateway, &caller, &session)?;
    let (viewer, at) = session.attach(None);
    let message = NewMessage { id, text: question.message, mode: SendMode::Reject, by };
    let receipt = session.send(message).await?;
    let no_run = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "no run");
    let run = receipt.run.clone().ok_or_else(no_run)?;
    let done = if receipt.duplicate {
        match repeated(&session, (viewer, &at.epoch), &run, receipt.queued).await? {
            Some(done) => done,
            None => return Ok((None, stored(&gateway, session.id(), &run).await?)),
        }
    } else {
        wait(viewer, &run).await?
    };
    if let (Status::Error, Some(error)) = (done.status, &done.error) {
        return Err(error.into());
    }
    // `run.done` follows the commit, so the store has the answer.
    let answer = hub.store().message(session.id(), &done.message).await?;
    let answer = answer.ok_or_else(|| Problem::not_found("session"))?;
    let response = Response::of(session.id(), Message { status: done.status, ..answer }, done.usage);
    Ok((rates::of_assistant(receipt.standing), response))
}

impl Response {
    fn of(session: &SessionId, answer: Message, usage: Option<Usage>) -> Reply<Self> {
        Reply(Self {
            session_id: session.clone(),
            message_id: answer.id,
            response: answer.text,
            status: answer.status,
            citations: answer.citations,
            sources: answer.sources,
            usage,
        })
    }
}

/// The session that a question with an id is asked in when it names none: the same one for its repetitions, also after a
/// restart. Others who use the same id have other ones.
fn session_of(owner: Option<&Owner>, question: &MessageId) -> SessionId {
    let mut hash = blake3::Hasher::new_derive_key("rivulet 2026 session of a question with an id");
    let owner = owner.map(Owner::as_str);
    hash.update(&[u8::from(owner.is_some())]);
    let owner = owner.unwrap_or_default();
    hash.update(&(owner.len() as u64).to_le_bytes()).update(owner.as_bytes()).update(question.as_str().as_bytes());
    let name = format!("s_{}", &hash.finalize().to_hex()[..32]);
    SessionId::parse(&name).unwrap_or_else(|_| SessionId::random())
}

/// How the run ended that answers a question which was asked before, waiting for it when it is not over; `None` when it
/// is so long ago that only the store knows.
async fn repeated(
    session: &SessionHandle,
    (before, epoch): (Viewer, &str),
    run: &RunId,
    is_queued: bool,
) -> Result<Option<Arc<RunDone>>, Problem> {
    let (mut kept, _) = session.attach(Some(&format!("{epoch}:0")));
    if let Look::Found(done) = look(&mut kept, run) {
        return Ok(Some(done));
    }
    if is_queued {
        return wait(before, run).await.map(Some);
    }
    let (now, attachment) = session.attach(None);
    let is_live = attachment.snapshot.is_some_and(|snapshot| snapshot.live.is_some_and(|live| live.run == *run));
    if is_live { wait(now, run).await.map(Some) } else { Ok(None) }
}

/// The answer that the store has of a run which is over.
async fn stored(gateway: &Gateway, session: &SessionId, run: &RunId) -> Result<Reply<Response>, Problem> {
    let mut before = None;
    loop {
        let page = gateway.hub.store().messages(session, before.as_ref(), MAX_PAGE, Scope::Everything).await?;
        let oldest = page.messages.first().map(|message| message.id.clone());
        let is_answer = |message: &Message| message.role == Role::Assistant && message.run.as_ref() == Some(run);
        if let Some(answer) = page.messages.into_iter().find(is_answer) {
            let answer = match answer.status {
                Status::Error => return Err(failed()),
                Status::Pending => answer.interrupted(), // Nobody writes it any more.
                _ => answer,
            };
            return Ok(Response::of(session, answer, None));
        }
        before = oldest.filter(|_| page.more);
        if before.is_none() {
            return Err(failed());
        }
    }
}

/// Why is not kept.
fn failed() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer to this question failed")
}

/// What the log has of the end of a run.
enum Look {
    Found(Arc<RunDone>),
    Nothing,
    /// Some of it is gone.
    Trimmed,
}

fn look(viewer: &mut Viewer, run: &RunId) -> Look {
    let mut look = Look::Nothing;
    viewer.read(usize::MAX, |step| {
        match step {
            Step::Event(_, Event::RunDone(done)) if done.run == *run => look = Look::Found(done.clone()),
            Step::Trimmed => look = Look::Trimmed,
            _ => {}
        }
        matches!(look, Look::Nothing)
    });
    look
}

/// Reads the session's log until `run` is over.
async fn wait(mut viewer: Viewer, run: &RunId) -> Result<Arc<RunDone>, Problem> {
    let code = StatusCode::SERVICE_UNAVAILABLE;
    loop {
        match look(&mut viewer, run) {
            Look::Found(done) => return Ok(done),
            Look::Nothing => {}
            Look::Trimmed => {
                return Err(Problem::new(code, "busy", "too much happened at once; the session has the answer"));
            }
        }
        match viewer.changed().await {
            Change::More => {}
            Change::Closed(Closed::Deleted) => return Err(Problem::not_found("session")),
            Change::Closed(Closed::Moved) => return Err(StoreError::Fenced.into()),
            Change::Closed(_) => return Err(Problem::new(code, "internal", "the session ended")),
        }
    }
}
