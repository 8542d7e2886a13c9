//! How a run ended, in the words that clients are told. Pure.

use crate::{
    chat::{RunError, Status, Usage},
    limits::OverLimit,
    llm::{FinishReason, ModelError, Rejection},
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How.
    pub status: Status,
    /// What it cost, if known.
    pub usage: Option<Usage>,
    /// Why it failed, when it did.
    pub error: Option<RunError>,
}

impl Outcome {
    /// A run that ended without saying how, with or without text.
    #[must_use]
    pub fn broken_off(without_text: bool) -> Self {
        Self::with_error(RunError::new("internal", "The answer broke off.", true), without_text)
    }

    /// A model has said why it ends.
    pub(super) const fn finished(reason: FinishReason) -> Self {
        let status = match reason {
            FinishReason::Stop => Status::Complete,
            FinishReason::Length => Status::Length,
            FinishReason::Filtered => Status::Filtered,
        };
        Self { status, usage: None, error: None }
    }

    /// A run of which nothing more may be spent or begun.
    pub(super) fn refused(refusal: OverLimit, without_text: bool) -> Self {
        let error = RunError::new(refusal.code(), sentence(&refusal.to_string()), true);
        Self::with_error(error.retry_in(refusal.retry_in()), without_text)
    }

    pub(super) fn failed(error: &ModelError, without_text: bool) -> Self {
        let message = match error {
            ModelError::Unavailable { .. } => "The model cannot be reached.",
            ModelError::Timeout { .. } => "The model took too long.",
            ModelError::Rejected { reason: Rejection::ContextLength, .. } => {
                "The conversation is too long for the model."
            }
            ModelError::Rejected { .. } => "The model's provider rejected the request.",
            ModelError::Unusable { .. } => "The model gave no answer.",
            ModelError::Truncated { .. } => "The model's answer broke off.",
        };
        let retry_after = if let ModelError::Unavailable { retry_after, .. } = error { *retry_after } else { None };
        let told = RunError::new(error.code(), message, error.is_retryable()).retry_in(retry_after);
        Self::with_error(told, without_text)
    }

    fn with_error(error: RunError, without_text: bool) -> Self {
        let status = if without_text { Status::Error } else { Status::Incomplete };
        Self { status, usage: None, error: Some(error) }
    }
}

/// An error's words as a sentence for people.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}
