//! What a user says now, and the notebook that it may go into. Plain values; uses `chat` and `config`.

use std::sync::Arc;

use crate::{
    chat::{Memory, MemoryId, MemoryKind, Message, MessageId, Notebook, Origin, Owner, SessionId, Timestamp},
    config::{Assistant, KnownTo, Remembering},
};

const DAY_S: u64 = 24 * 3600;

/// What a user says now, and the notebook that it may go into.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// Which.
    pub notebook: Notebook,
    /// How it is kept.
    pub rule: Remembering,
    /// The conversation.
    pub session: SessionId,
    /// The message.
    pub message: MessageId,
    /// What it says.
    pub text: Arc<str>,
    /// When it came.
    pub at: Timestamp,
    /// Whether nobody has answered it yet: who answers it again remembers nothing again of which something was kept then.
    pub is_first: bool,
}

impl Telling {
    /// A question to an assistant, in a conversation that is not temporary; `None`: that one remembers nothing.
    #[must_use]
    pub fn of(
        assistant: &Assistant,
        owner: Option<&Owner>,
        session: &SessionId,
        question: &Message,
        is_first: bool,
    ) -> Option<Self> {
        assistant.memory.enabled.then(|| Self {
            notebook: notebook(assistant, owner),
            rule: assistant.memory.clone(),
            session: session.clone(),
            message: question.id.clone(),
            text: question.text.as_str().into(),
            at: question.created_at,
            is_first,
        })
    }

    /// Something of it, to be kept.
    pub(super) fn memory(&self, kind: MemoryKind, origin: Origin, text: String) -> Memory {
        Memory {
            id: MemoryId::random(),
            assistant: self.notebook.assistant.clone(),
            kind,
            attribute: None,
            text,
            origin,
            session: Some(self.session.clone()),
            message: Some(self.message.clone()),
            said_at: self.at,
            ended_at: None,
            expires_at: Some(end(&self.rule, self.at)),
        }
    }
}

/// When what is said at a moment is forgotten by itself.
fn end(rule: &Remembering, said_at: Timestamp) -> Timestamp {
    said_at.plus_seconds(rule.ttl_days.saturating_mul(DAY_S))
}

/// A fact that a user writes down for an assistant now.
pub(super) fn written(assistant: &Assistant, notebook: &Notebook, text: String) -> Memory {
    let now = Timestamp::now();
    Memory {
        id: MemoryId::random(),
        assistant: notebook.assistant.clone(),
        kind: MemoryKind::Fact,
        attribute: None,
        text,
        origin: Origin::Explicit,
        session: None,
        message: None,
        said_at: now,
        ended_at: None,
        expires_at: Some(end(&assistant.memory, now)),
    }
}

/// The notebook that `owner` has with an assistant.
#[must_use]
pub fn notebook(assistant: &Assistant, owner: Option<&Owner>) -> Notebook {
    let name = match assistant.memory.scope {
        KnownTo::Assistant => assistant.name.as_str(),
        KnownTo::User => Notebook::SHARED,
    };
    Notebook { owner: owner.cloned(), assistant: name.to_owned() }
}
