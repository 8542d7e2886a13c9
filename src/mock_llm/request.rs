//! What the mock reads of a request.

use serde::Deserialize;
use serde_json::Value;

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
    pub(super) tools: Option<Vec<Tool>>,
    pub(super) tool_choice: Option<ToolChoice>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AskedMessage {
    #[serde(default)]
    pub(super) role: String,
    #[serde(default)]
    pub(super) content: Value,
    pub(super) tool_calls: Option<Vec<Called>>,
    pub(super) tool_call_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: bool,
}

/// A tool that is offered.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Tool {
    Function { function: Function },
}

#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) parameters: Option<Value>,
}

/// Whether tools are to be called, or which one.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ToolChoice {
    Mode(Mode),
    One(Tool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    None,
    Auto,
    Required,
}

/// A call of an earlier answer.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Called {
    Function { id: String, function: CalledFunction },
}

#[derive(Debug, Deserialize)]
pub(super) struct CalledFunction {
    pub(super) name: String,
    pub(super) arguments: String,
}

impl AskedMessage {
    /// The calls in it, none being the same as no list.
    pub(super) fn calls(&self) -> &[Called] {
        self.tool_calls.as_deref().unwrap_or_default()
    }
}

impl Tool {
    pub(super) fn function(&self) -> &Function {
        let Self::Function { function } = self;
        function
    }
}

impl Called {
    pub(super) fn id(&self) -> &str {
        let Self::Function { id, .. } = self;
        id
    }

    pub(super) fn function(&self) -> &CalledFunction {
        let Self::Function { function, .. } = self;
        function
    }
}
