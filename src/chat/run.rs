//! What is told of a run: who writes, what it does, takes and costs, and why it failed. Pure.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tool::ToolProgress;

/// Who writes an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The model's name at its provider, or that of a built-in model.
    pub model: Arc<str>,
    /// Whether it was written before, for somebody who asked the same.
    pub cached: bool,
}

impl Author {
    /// This model, now.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self { model: model.into(), cached: false }
    }
}

/// Tokens of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u32,
    /// Tokens of the answer.
    pub output: u32,
    /// True when the provider did not say and we counted ourselves.
    pub estimated: bool,
}

/// What a run is doing. Not part of the log: only the newest phase matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waits for its turn.
    Queued,
    /// Looks for passages.
    Retrieving,
    /// The model was asked and has not said anything.
    Waiting,
    /// The model reasons without visible text.
    Thinking,
    /// Text is coming.
    Streaming,
    /// The model calls a tool.
    Tool,
}

/// What a run is doing, and where it is in line while it waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doing {
    /// What.
    pub phase: Phase,
    /// How many have their turn before it is over with them all, itself included; 1 is the next.
    pub position: Option<usize>,
    /// How far a tool is that is called, when it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Arc<ToolProgress>>,
}

impl Doing {
    /// It waits, at this place in line.
    #[must_use]
    pub fn queued(position: Option<usize>) -> Self {
        Self { position, ..Phase::Queued.into() }
    }
}

impl From<Phase> for Doing {
    fn from(phase: Phase) -> Self {
        Self { phase, position: None, progress: None }
    }
}

/// Milliseconds that the parts of a run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timing {
    /// From acceptance to the start of the run.
    pub queue_ms: u64,
    /// Looking for passages.
    pub retrieval_ms: u64,
    /// From the start of the run to its first text; 0 when there was none.
    pub ttft_ms: u64,
    /// From the start of the run to its end.
    pub total_ms: u64,
}

/// A failure as clients may know it: a code of docs/protocol.md and a sentence, no internals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// The code.
    pub code: Cow<'static, str>,
    /// The sentence.
    pub message: String,
    /// Whether trying again later can help.
    pub retryable: bool,
    /// Not before so many milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

impl RunError {
    /// A failure of which nobody knows when it will be over.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>, retryable: bool) -> Self {
        Self { code: code.into(), message: message.into(), retryable, retry_in_ms: None }
    }

    /// The same, over after `wait`.
    #[must_use]
    pub fn retry_in(self, wait: Option<Duration>) -> Self {
        Self { retry_in_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)), ..self }
    }
}
