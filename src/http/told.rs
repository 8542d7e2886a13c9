//! Answers for those who speak a protocol of others: the session that such a client means, and one answer of it as
//! server-sent events. Uses `dialect`, `hub` and `session`.

use async_stream::stream;
use axum::response::Response;

use super::{
    event_stream::{KEEP_ALIVE, event_stream},
    gateway::Gateway,
    places::ConnectionPermit,
    problem::Problem,
    rates,
    sessions::{assistant, may_ask, session_named},
};
use crate::{
    auth::Caller,
    chat::SessionId,
    dialect::{Codec, MAX_NAME_CHARS, chat_v1::DELTA_BYTES, cut_off, is_name},
    hub::HubError,
    limits::{Action, Visitor},
    session::{Answer, SessionHandle, answer::Next},
    store::StoreError,
};

/// What the ids of our own sessions begin with.
const OWN_ID: &str = "s_";

/// The session of a conversation that the client has named; where there is none, it is opened. An id of ours is that session,
/// of which there has to be one. `wanted` is who is to answer; in a conversation that there is, nobody else does.
///
/// # Errors
/// What the client is told.
pub(super) async fn session_of_chat(
    gateway: &Gateway,
    (caller, by): (&Caller, &Visitor),
    chat: &str,
    wanted: Option<&str>,
) -> Result<SessionHandle, Problem> {
    let (hub, owner) = (&gateway.hub, caller.owner());
    let session = match own_id(chat) {
        Some(id) => hub.get_own(&id, owner).await?,
        None => {
            let id = named(caller, chat)?;
            let assistant = assistant(gateway, caller, wanted)?;
            if let Err(StoreError::NoSession) = hub.record(&id, owner).await {
                rates::take(&gateway.runner.rates, Action::Sessions, by).await?;
            }
            hub.get_or_open(&id, &assistant.name, owner).await?
        }
    };
    if wanted.is_some_and(|wanted| wanted != session.assistant()) {
        return Err(Problem::not_found("assistant")); // Another one answers in that conversation.
    }
    may_ask(gateway, caller, &session)?;
    Ok(session)
}

/// The same, where there is one.
///
/// # Errors
/// What the client is told.
pub(super) async fn known_session_of_chat(
    gateway: &Gateway,
    caller: &Caller,
    chat: &str,
) -> Result<Option<SessionHandle>, Problem> {
    let id = own_id(chat).map_or_else(|| named(caller, chat), Ok)?;
    match gateway.hub.get_own(&id, caller.owner()).await {
        Ok(session) => Ok(Some(session)),
        Err(HubError::Store(StoreError::NoSession)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn own_id(chat: &str) -> Option<SessionId> {
    chat.starts_with(OWN_ID).then(|| SessionId::parse(chat).ok()).flatten()
}

fn named(caller: &Caller, chat: &str) -> Result<SessionId, Problem> {
    if !is_name(chat) {
        let problem = format!("must have 1 to {MAX_NAME_CHARS} characters, none of which is a control character");
        return Err(Problem::invalid_field("id", &problem));
    }
    // A control character, so that no id of a question means the same.
    Ok(session_named(caller.owner(), &format!("chat\n{chat}")))
}

/// An answer as server-sent events, in the words of `codec`; behind its end stands `last`, where the protocol has such a thing.
/// Whoever hangs up stops nothing: it is a reader that has gone.
pub(super) fn told(
    mut answer: Answer,
    mut codec: impl Codec + 'static,
    last: Option<&'static str>,
    permit: Option<ConnectionPermit>,
) -> Response {
    let events = stream! {
        let _held_while_it_is_open = permit;
        let mut frames = Vec::new();
        loop {
            let more = tell(&mut answer, &mut codec, &mut frames).await;
            if !frames.is_empty() {
                yield frames.drain(..).map(|frame| event(&frame)).collect();
            }
            if !more {
                break;
            }
        }
        if let Some(last) = last {
            yield event(last);
        }
    };
    event_stream(KEEP_ALIVE, events)
}

/// Has `codec` tell what comes next of an answer, or waits until something has. False when nothing follows.
pub(super) async fn tell(answer: &mut Answer, codec: &mut impl Codec, frames: &mut Vec<String>) -> bool {
    let next = answer.next(DELTA_BYTES, |step| codec.step(step, frames));
    let lost = match next {
        Next::Shown => return true,
        Next::Over => return false,
        Next::Lost => Some(cut_off(None)),
        Next::UpToDate => answer.changed().await.err().map(|cause| cut_off(Some(cause))),
    };
    if let Some(error) = &lost {
        codec.fail(error, frames);
    }
    lost.is_none()
}

/// A frame is one line: JSON has no line breaks.
fn event(frame: &str) -> String {
    format!("data: {frame}\n\n")
}
