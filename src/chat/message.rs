//! What is said in a session, and what is thought of it. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    id::{MessageId, RunId},
    source::{Citation, Source},
    time::Timestamp,
    tool::ToolUse,
};

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// How a message, or the run that wrote it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An answer that is queued or still being written. Never seen on the wire after its `run.done`.
    Pending,
    /// Whole: a user's message, or an answer whose model said that it had finished.
    Complete,
    /// Somebody stopped it; the written part is kept.
    Stopped,
    /// The model reached its limit of output tokens.
    Length,
    /// The provider's content filter cut it.
    Filtered,
    /// The stream ended without the proof that the answer is whole.
    Incomplete,
    /// It failed; the part written before, if any, is kept.
    Error,
    /// The gateway ended while it was being written; the text is the last checkpoint.
    Interrupted,
    /// It stands as far as it goes: a tool is to be called, and somebody has to allow that first.
    #[serde(rename = "awaiting_approval")]
    AwaitingApproval,
}

impl Status {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Length => "length",
            Self::Filtered => "filtered",
            Self::Incomplete => "incomplete",
            Self::Error => "error",
            Self::Interrupted => "interrupted",
            Self::AwaitingApproval => "awaiting_approval",
        }
    }
}

/// What a session keeps of one utterance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Unique within the session.
    pub id: MessageId,
    /// Who said it.
    pub role: Role,
    /// The text; of an answer that is being written, what was checkpointed last.
    pub text: String,
    /// How it ended.
    pub status: Status,
    /// Of an answer, the run that wrote it; of a question, the run that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Of an answer, the question.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub question: Option<MessageId>,
    /// The message whose place it took: that one and all after it are no part of the conversation any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<MessageId>,
    /// Whether another message took its place, or that of one before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// Which model wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The version of the assistant that it answers for, when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Which variant of it, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Which parts of the text rest on which source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
    /// What was found for it, so that a reloaded page can show it again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The tools that were called for it, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolUse>,
    /// What the person thinks of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

impl Message {
    /// What the person said, to be answered by `run`.
    #[must_use]
    pub fn question(id: MessageId, text: String, run: RunId, created_at: Timestamp) -> Self {
        Self {
            id,
            role: Role::User,
            text,
            status: Status::Complete,
            run: Some(run),
            question: None,
            replaces: None,
            replaced: false,
            model: None,
            version: None,
            variant: None,
            citations: Vec::new(),
            sources: Vec::new(),
            tools: Vec::new(),
            feedback: None,
            created_at,
        }
    }

    /// The answer that `run` is going to write: empty and pending.
    #[must_use]
    pub fn pending(id: MessageId, question: Option<MessageId>, run: RunId, created_at: Timestamp) -> Self {
        Self {
            role: Role::Assistant,
            status: Status::Pending,
            question,
            ..Self::question(id, String::new(), run, created_at)
        }
    }
}

/// What the person thinks of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Feedback {
    /// Whether it is good.
    #[schema(value_type = i8, minimum = -1, maximum = 1)]
    pub value: Rating,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Good or bad: 1 or -1 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i8", into = "i8")]
pub enum Rating {
    /// 1
    Good,
    /// -1
    Bad,
}

/// Neither 1 nor -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 or -1")]
pub struct InvalidRating;

impl TryFrom<i8> for Rating {
    type Error = InvalidRating;
    fn try_from(value: i8) -> Result<Self, InvalidRating> {
        match value {
            1 => Ok(Self::Good),
            -1 => Ok(Self::Bad),
            _ => Err(InvalidRating),
        }
    }
}

impl From<Rating> for i8 {
    fn from(rating: Rating) -> Self {
        match rating {
            Rating::Good => 1,
            Rating::Bad => -1,
        }
    }
}
