//! From what a view of the AI SDK asks for to an answer. The view keeps the name of a message that it edits, and here each
//! question has a name of its own: which of them a name stands for is read from what took the place of what.

use crate::{
    auth::Caller,
    chat::{Message, MessageId, Role},
    dialect::ai_sdk::{Asked, Chunks, GoingOn, Wish},
    http::{gateway::Gateway, problem::Problem, told::session_of_chat},
    hub::{Ask, Hub},
    limits::Visitor,
    session::{Answer, Redo, SendMode, SessionHandle},
    store::{MAX_PAGE, Scope, StoreError},
};

/// Asks, and gives the answer to read and in which words.
///
/// # Errors
/// What the client is told.
pub(super) async fn ask(
    gateway: &Gateway,
    (caller, by): (&Caller, Visitor),
    Asked { chat, assistant, wish }: Asked,
    mode: SendMode,
) -> Result<(SessionHandle, Answer, Chunks), Problem> {
    let hub = &gateway.hub;
    let session = session_of_chat(gateway, (caller, &by), &chat, assistant.as_deref()).await?;
    let mut going_on = None;
    let ask = match wish {
        Wish::Say { id, text } => Ask::Say { id, text, mode },
        Wish::Edit { at, text } => match standing(hub, &session, &at).await? {
            Some(at) => Ask::Redo { id: None, redo: Redo::Edit { at, text } },
            None => Ask::Say { id: Some(at), text, mode },
        },
        Wish::Again { id, text } => match known(hub, &session, id.as_ref()).await? {
            Some(at) => Ask::Redo { id: None, redo: Redo::Regenerate { at: Some(at) } },
            None => Ask::Say { id, text, mode }, // It was refused before, or never came.
        },
        Wish::Decide { view, call, digest, is_approved, comment } => {
            going_on = Some(GoingOn { view, call: call.clone(), is_approved });
            Ask::Decide(caller.decision(call, digest, is_approved, comment))
        }
    };
    let (_, answer) = hub.ask(&session, ask, by).await?;
    let chunks = Chunks::new(session.id().clone(), going_on);
    Ok((session, answer, chunks))
}

async fn known(hub: &Hub, session: &SessionHandle, id: Option<&MessageId>) -> Result<Option<MessageId>, StoreError> {
    match id {
        Some(id) => standing(hub, session, id).await,
        None => Ok(None),
    }
}

/// The question that stands in the conversation for the one that came first under a name; none where none came.
async fn standing(hub: &Hub, session: &SessionHandle, first: &MessageId) -> Result<Option<MessageId>, StoreError> {
    let found = match hub.store().message(session.id(), first).await {
        Err(StoreError::NoSession) => None, // Nothing was said in it yet.
        found => found?,
    };
    let Some(message) = found else { return Ok(None) };
    if !message.replaced {
        return Ok(Some(message.id));
    }
    let edits = edits(hub, session).await?;
    let mut standing = message.id;
    // The newest last: a question is edited only while it stands.
    for edit in edits {
        if edit.replaces.as_ref() == Some(&standing) {
            standing = edit.id;
        }
    }
    Ok(Some(standing))
}

/// The questions that took the place of others, oldest first.
async fn edits(hub: &Hub, session: &SessionHandle) -> Result<Vec<Message>, StoreError> {
    let mut edits = Vec::new();
    let mut before = None;
    loop {
        let page = hub.store().messages(session.id(), before.as_ref(), MAX_PAGE, Scope::Everything).await?;
        before = page.messages.first().map(|message| message.id.clone()).filter(|_| page.more);
        let is_edit = |message: &Message| message.role == Role::User && message.replaces.is_some();
        let older: Vec<_> = page.messages.into_iter().filter(is_edit).collect();
        edits.splice(0..0, older);
        if before.is_none() {
            return Ok(edits);
        }
    }
}
