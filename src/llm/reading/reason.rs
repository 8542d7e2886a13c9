//! What finish reasons mean, in the words of many servers. Pure, a leaf.

use crate::llm::event::FinishReason;

/// What a finish reason says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The answer is whole, or its end is known.
    Known(FinishReason),
    /// The model wants a tool to be called. It has nothing more to say here, which makes it a stop; but servers that call
    /// tools themselves go on behind it.
    Called,
    /// The server gave up.
    Failed,
    /// Nobody knows what it means. Not the proof of a whole answer, but no failure either: `[DONE]` decides.
    Other,
}

/// The meaning of a finish reason.
pub(super) fn meaning(reason: &str) -> Reason {
    const STOP: &[&str] = &["stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"];
    const CALLED: &[&str] = &["tool_calls", "tool_use", "function_call"];
    const LENGTH: &[&str] = &[
        "length",
        "max_length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "model_context_window_exceeded",
        "context_length_exceeded",
    ];
    const FILTERED: &[&str] = &[
        "content_filter",
        "content_filtered",
        "safety",
        "sensitive",
        "refusal",
        "recitation",
        "blocklist",
        "prohibited_content",
    ];
    const FAILED: &[&str] = &[
        "abort",
        "aborted",
        "error",
        "failed",
        "cancelled",
        "canceled",
        "incomplete",
        "timeout",
        "network_error",
        "insufficient_system_resource",
    ];
    let is = |names: &[&str]| names.iter().any(|name| reason.eq_ignore_ascii_case(name));
    if is(STOP) {
        Reason::Known(FinishReason::Stop)
    } else if is(CALLED) {
        Reason::Called
    } else if is(LENGTH) {
        Reason::Known(FinishReason::Length)
    } else if is(FILTERED) {
        Reason::Known(FinishReason::Filtered)
    } else if is(FAILED) {
        Reason::Failed
    } else {
        Reason::Other
    }
}
