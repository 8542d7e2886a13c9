//! What the mock reads of a request.

use serde::Deserialize;

/// A request for a completion, as far as the answer depends on it.
#[derive(Debug, Deserialize)]
pub(super) struct CompletionRequest {
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) stream: bool,
    pub(super) stream_options: Option<StreamOptions>,
    #[serde(default)]
    pub(super) messages: Vec<AskedMessage>,
    pub(super) max_tokens: Option<usize>,
    pub(super) max_completion_tokens: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AskedMessage {
    #[serde(default)]
    pub(super) content: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: bool,
}
