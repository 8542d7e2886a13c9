//! What a reading tells of an answer: values alone.

use crate::llm::{call::Call, event::FinishReason, upstream_error::UpstreamError};

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It reasons, or writes what nobody asked for and nobody sees, or a call: so many bytes of that.
    Thinking(u32),
    /// A piece of visible text, never empty.
    Text(String),
    /// What was passed on before was reasoning, and does not count.
    Withdrawn,
    /// An event could not be read; its end follows.
    BadEvent,
    /// What it wants to be called, whole and at least one; a finished end follows.
    Calls(Vec<Call>),
    /// It is over; nothing follows.
    End(End),
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is whole, or its limit is known; there is proof.
    Finished(FinishReason),
    /// The provider says that it failed, or has nothing to say.
    Failed(UpstreamError),
    /// The proof is missing, or a part of it; what was missing.
    Truncated(String),
    /// The model wrote something that is no answer, which another time it may not do; what.
    Unusable(&'static str),
}
