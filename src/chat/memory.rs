//! What a user has told an assistant, and it knows again in other conversations. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    id::{MemoryId, MessageId, SessionId},
    owner::Owner,
    time::Timestamp,
};

/// What one user has told one assistant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notebook {
    /// Whose it is; of nobody in particular where nobody need say who they are: all are one user then.
    pub owner: Option<Owner>,
    /// The assistant's name, or [`Notebook::SHARED`].
    pub assistant: String,
}

impl Notebook {
    /// Stands for all assistants of a user that have one notebook together. No assistant can have this name.
    pub const SHARED: &'static str = "*";
}

/// What sort of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemoryKind {
    /// Something that holds until another is said: the model is told all of them.
    Fact,
    /// What was said in a turn, word by word: those that fit what is asked now are told.
    Episode,
}

impl MemoryKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Episode => "episode",
        }
    }
}

/// How something came to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The user asked for it, in words, by a tool that quotes them, or in the list of memories.
    Explicit,
    /// A rule found it in what the user said.
    Rule,
    /// The turn itself.
    Turn,
}

impl Origin {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Rule => "rule",
            Self::Turn => "turn",
        }
    }
}

/// Something that a user has told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Memory {
    /// Never met twice.
    pub id: MemoryId,
    /// The assistant that knows it; `*`: all of the user's that share what they know.
    pub assistant: String,
    /// What sort it is.
    pub kind: MemoryKind,
    /// What it is about, as in `name` or `likes:coffee`: another fact about the same takes its place. Of what a rule knows; a
    /// fact without one ends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// What was said, in the user's words.
    pub text: String,
    /// How it came to be remembered.
    pub origin: Origin,
    /// The conversation in which it was said; it may be deleted by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// When it was said.
    pub said_at: Timestamp,
    /// Since when something else holds in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it is forgotten by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The most characters of a memory's text in a [`Recollection`].
const SHOWN_CHARS: usize = 200;

/// What was remembered for an answer: told with it, and kept with no message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recollection {
    /// What the user has told with the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noted: Vec<Noted>,
    /// What of earlier conversations the model was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recalled: Vec<Recalled>,
    /// Nobody could look, or not in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unavailable: bool,
}

/// A fact that is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Its id.
    pub id: MemoryId,
    /// The beginning of what was said.
    pub text: String,
    /// What it is about, when a rule knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The facts that hold no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<MemoryId>,
}

/// A memory that was told the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled {
    /// Its id.
    pub id: MemoryId,
    /// What sort it is.
    pub kind: MemoryKind,
    /// The beginning of what was said.
    pub text: String,
    /// When it was said.
    pub said_at: Timestamp,
    /// Where; it may be deleted by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// In which message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
}

impl Recollection {
    /// Whether there is nothing to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.noted.is_empty() && self.recalled.is_empty() && !self.unavailable
    }

    /// The bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let noted = self.noted.iter().map(|one| one.text.len());
        noted.chain(self.recalled.iter().map(|one| one.text.len())).sum()
    }
}

impl Noted {
    /// A memory, and the facts that it ended.
    #[must_use]
    pub fn of(memory: &Memory, ended: &[Memory]) -> Self {
        Self {
            id: memory.id.clone(),
            text: beginning(&memory.text),
            attribute: memory.attribute.clone(),
            ended: ended.iter().map(|one| one.id.clone()).collect(),
        }
    }
}

impl From<&Memory> for Recalled {
    fn from(memory: &Memory) -> Self {
        Self {
            id: memory.id.clone(),
            kind: memory.kind,
            text: beginning(&memory.text),
            said_at: memory.said_at,
            session: memory.session.clone(),
            message: memory.message.clone(),
        }
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
