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
    /// A question with the beginning of its answer: those that fit what is asked now are told.
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
    /// How the answer to it began; of an episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
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
