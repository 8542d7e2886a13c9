//! What a session is asked to do, and what comes of it. Plain values. Uses `chat`, `limits` and `store`'s errors.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::moment::Moment;
use crate::{
    chat::{Decision, Feedback, MessageId, RunId, Undecided},
    limits::{OverLimit, Standing, Visitor},
    store::StoreError,
};

/// What to do with a message while an answer is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SendMode {
    /// Refuse it.
    #[default]
    Reject,
    /// Answer it afterwards.
    Queue,
    /// Stop the answer, and all that wait, and answer this.
    Replace,
}

/// A user's message on its way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// The client's id for it, by which a repetition is known; one is made when there is none.
    pub id: Option<MessageId>,
    /// The text; the caller has checked its bounds.
    pub text: String,
    /// What to do when an answer is being written.
    pub mode: SendMode,
    /// Whose messages it is counted among.
    pub by: Visitor,
}

/// A conversation that is to go on another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redo {
    /// Answer a question anew.
    Regenerate {
        /// The question, or its answer; the newest answer when there is none.
        at: Option<MessageId>,
    },
    /// Put another question in the place of one, and answer that.
    Edit {
        /// The question to replace.
        at: MessageId,
        /// The text of the new one; the caller has checked its bounds.
        text: String,
    },
    /// Go on with the call that the newest answer waits with, or without it.
    Decide(Decision),
}

/// What became of a message. Given only after it is durably stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The id of the question that is answered.
    pub message: MessageId,
    /// The run that answers it.
    pub run: Option<RunId>,
    /// Whether it had been accepted before; then nothing was stored and nothing runs twice.
    pub duplicate: bool,
    /// Whether its run waits for another one.
    pub queued: bool,
    /// What is left of messages, where they are counted.
    pub standing: Option<Standing>,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SendError {
    /// An answer is being written, and the mode was [`SendMode::Reject`].
    #[error("an answer is being written")]
    Busy,
    /// Too many messages wait already.
    #[error("too many messages are waiting")]
    QueueFull,
    /// The gateway's limits allow no further run now.
    #[error(transparent)]
    Limit(OverLimit),
    /// The id belongs to another message of this session.
    #[error("this id belongs to another message")]
    IdempotencyConflict,
    /// There is no such message in the conversation; it may have been replaced.
    #[error("there is no such message in the conversation")]
    NotFound,
    /// Only what a user said can be edited.
    #[error("`message` is an answer, and only what a user said can be edited")]
    NotAQuestion,
    /// Nothing was decided.
    #[error(transparent)]
    Undecided(Undecided),
    /// The store did not take it; nothing was changed.
    #[error("the message could not be stored")]
    StorageUnavailable,
    /// It would be one more session than its owner may have.
    #[error("there are as many conversations as one may have: delete some")]
    TooManySessions,
    /// The session was deleted.
    #[error("the session is gone")]
    Gone,
    /// Its assistant is not on offer any more.
    #[error("the assistant of this conversation is not on offer any more")]
    NoAssistant,
    /// The gateway is about to end.
    #[error("the gateway is shutting down")]
    Draining,
    /// Another gateway has the session, and does not answer.
    #[error("another gateway has the session, and cannot be reached at the moment")]
    Elsewhere,
    /// The session failed.
    #[error("the session failed")]
    Internal,
}

impl SendError {
    /// The error code that clients see (docs/protocol.md).
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            // While it drains, too: the client comes back after the restart and repeats it.
            Self::Busy | Self::Draining | Self::Elsewhere => "busy",
            Self::QueueFull => "queue_full",
            Self::Limit(refusal) => refusal.code(),
            Self::TooManySessions => "too_many",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::NotFound | Self::Gone | Self::NoAssistant => "not_found",
            Self::NotAQuestion => "invalid_field",
            Self::Undecided(Undecided::Unknown) => "not_found",
            Self::Undecided(Undecided::Already) => "already_decided",
            Self::Undecided(Undecided::Expired) => "expired",
            Self::Undecided(Undecided::Altered) => "digest_mismatch",
            Self::Undecided(Undecided::Others) => "forbidden",
            Self::StorageUnavailable => "storage_unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same may be accepted later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(
            self,
            Self::IdempotencyConflict
                | Self::NotFound
                | Self::NotAQuestion
                | Self::Undecided(_)
                | Self::TooManySessions
                | Self::Gone
                | Self::NoAssistant
        )
    }

    /// When, as far as that is known.
    #[must_use]
    pub const fn retry_in(self) -> Option<Duration> {
        if let Self::Limit(refusal) = self { refusal.retry_in() } else { None }
    }
}

/// Which run to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopTarget {
    /// The one that is being written.
    Active,
    /// This one, running or waiting.
    Run(RunId),
    /// The one that answers this message.
    For(MessageId),
}

/// The run is over, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("there is no such run to stop")]
pub struct RunNotActive;

/// Why a session ends for those who watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closed {
    /// It was deleted.
    Deleted,
    /// The gateway ends.
    Shutdown,
    /// It failed; the stored part is intact and a new attempt finds it.
    Failed,
    /// Another gateway has it, or may have.
    Moved,
}

pub(crate) enum Command {
    Send(Box<NewMessage>, oneshot::Sender<Result<Receipt, SendError>>),
    Redo(Option<MessageId>, Box<(Redo, Visitor)>, oneshot::Sender<Result<Receipt, SendError>>),
    Rate(MessageId, Box<Feedback>, oneshot::Sender<Result<(), SendError>>),
    Stop(Box<Stop>, oneshot::Sender<Result<RunId, RunNotActive>>),
    Delete(oneshot::Sender<Result<bool, StoreError>>),
    /// Nobody has watched for long: nothing that is answered, or waits for it, is wanted any more.
    Abandon,
    /// The gateway ends: what runs has to end, too.
    Interrupt,
    /// Another gateway is to have the session. It stays while something happens in it, or somebody watches it at a gateway
    /// that goes on.
    Leave,
}

/// A wish to stop, and where the session was when it came: what is done in between was in vain.
pub(crate) struct Stop {
    pub(crate) target: StopTarget,
    pub(crate) came: Moment,
    pub(crate) pieces: u64,
}
