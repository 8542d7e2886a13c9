//! Calls of tools: what a model is offered, what it asks for, and what it is told came of it. A leaf.

use std::sync::Arc;

use serde_json::Value;

/// A tool as a model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// At most 64 of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// What its arguments have to be: a JSON schema of an object.
    pub parameters: Value,
    /// Whether a server that can shall see to it that they are.
    pub is_strict: bool,
}

/// What a model may call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolOffer {
    /// All there is to call; none: nothing is said of tools.
    pub tools: Arc<[ToolSpec]>,
    /// What it is to call of them.
    pub choice: ToolChoice,
    /// Whether an answer may have one call at the most: further ones are left out.
    pub one_at_a_time: bool,
}

/// What a model is to call. Where a server does not pass that on, the model may do otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// What it likes, or nothing.
    #[default]
    Auto,
    /// Nothing: it is still told of its tools, for its earlier calls are in the prompt.
    Nothing,
    /// Something.
    Something,
    /// The tool of this name.
    Named(String),
}

impl ToolChoice {
    /// Whether a text alone is no answer.
    #[must_use]
    pub const fn wants_a_call(&self) -> bool {
        matches!(self, Self::Something | Self::Named(_))
    }
}

impl ToolOffer {
    /// How long it is in a prompt, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tools.iter().map(ToolSpec::bytes).sum()
    }
}

/// A call that a model has made, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it calls; need not be anything that it was offered.
    pub name: String,
    /// An object; or, where the model wrote no JSON object, a text with what it wrote.
    pub arguments: Value,
}

/// A call and what it is told came of it. Neither is ever without the other, so no prompt has a call without a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What was called.
    pub call: Call,
    /// What came of it, in the words for the model.
    pub result: String,
}

impl ToolSpec {
    /// How long it is in a prompt, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.name.len() + self.description.len() + written(&self.parameters)
    }
}

impl Answered {
    /// How long it is in a prompt, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.call.name.len() + written(&self.call.arguments) + self.result.len()
    }
}

fn written(value: &Value) -> usize {
    value.to_string().len()
}
