//! What a model is asked. A leaf; uses `chat`, `config`, `rules`, the knowledge's [`Passage`] and `telemetry`.

use std::sync::Arc;

use serde::Serialize;

use super::call::{Answered, ToolOffer};
use crate::{
    chat::{Message, Owner, Role, SessionId},
    config::Fallback,
    knowledge::Passage,
    rules::Rules,
    telemetry::spans::RunSpan,
};

/// One utterance of the prompt, as every chat-completion interface has it.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptMessage {
    /// Who says it.
    pub role: PromptRole,
    /// What is said.
    pub content: String,
    /// What the model called after it, and what it was told came of that; of the model's own messages alone.
    pub calls: Vec<Answered>,
}

impl PromptMessage {
    /// Words alone.
    #[must_use]
    pub fn new(role: PromptRole, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), calls: Vec::new() }
    }

    /// How long it is, with its calls and what came of them, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.content.len() + self.calls.iter().map(Answered::bytes).sum::<usize>()
    }
}

impl From<&Message> for PromptMessage {
    fn from(message: &Message) -> Self {
        Self::new(message.role.into(), &message.text)
    }
}

/// The roles of a prompt: those of a conversation, and the gateway's own voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptRole {
    /// Instructions of the assistant.
    System,
    /// The person.
    User,
    /// The model's earlier answers.
    Assistant,
}

impl From<Role> for PromptRole {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
        }
    }
}

/// What a model is asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The whole prompt: instructions, history, passages, question.
    pub prompt: Arc<[PromptMessage]>,
    /// The question alone, for models that work on the passages themselves.
    pub question: Arc<str>,
    /// What it may call.
    pub tools: ToolOffer,
    /// The passages alone, in the order in which the prompt numbers them, from 1.
    pub passages: Arc<[Passage]>,
    /// Whether the absence of passages means anything.
    pub knowledge: KnowledgeUse,
    /// The most tokens the answer may have.
    pub max_output_tokens: u32,
    /// How it is to be written.
    pub parameters: Arc<Parameters>,
    /// Whether text that was passed on can be withdrawn again. When not, only a target that goes on where the text ends
    /// may take over.
    pub may_withdraw: bool,
    /// Who may answer.
    pub choice: Choice,
    /// Who asks; `None` where nobody need say so.
    pub asker: Option<Owner>,
    /// To whom else the same answer may be given.
    pub sharing: Sharing,
    /// What the spans of the attempts hang on.
    pub span: RunSpan,
}

impl ChatRequest {
    /// A request of nobody in particular that leaves all else to the provider.
    #[must_use]
    pub fn new(prompt: impl Into<Arc<[PromptMessage]>>, question: &str, max_output_tokens: u32) -> Self {
        Self {
            prompt: prompt.into(),
            question: question.into(),
            tools: ToolOffer::default(),
            passages: Arc::new([]),
            knowledge: KnowledgeUse::default(),
            max_output_tokens,
            parameters: Arc::default(),
            may_withdraw: true,
            choice: Choice::default(),
            asker: None,
            sharing: Sharing::default(),
            span: RunSpan::default(),
        }
    }

    /// Whether it speaks of tools: of some that may be called, or of calls that were made.
    #[must_use]
    pub fn has_tools(&self) -> bool {
        !self.tools.tools.is_empty() || self.prompt.iter().any(|message| !message.calls.is_empty())
    }

    /// How much a model is given to read, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.prompt.iter().map(PromptMessage::bytes).sum::<usize>() + self.tools.bytes()
    }
}

/// Who may answer, of those that the configuration has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Names of targets; none: all of them.
    pub targets: Arc<[String]>,
    /// Who answers when none of them does; the configuration's when not said.
    pub fallback: Option<Fallback>,
    /// The rules by which it answers, where it does.
    pub rules: Option<Arc<Rules>>,
}

impl Choice {
    /// The rules that answer when no target does.
    pub(super) fn by_rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref().filter(|_| self.fallback == Some(Fallback::Rules))
    }
}

/// With whom an answer may be shared, besides who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sharing {
    /// The conversation; `None` outside of one.
    pub session: Option<SessionId>,
    /// Whether anybody else may be given it: not where who asks wants that, and not where the state of the knowledge cannot
    /// be told.
    pub may_keep: bool,
    /// Whether another answer than the one that may be known already is wanted.
    pub is_anew: bool,
}

/// How an answer is to be written, in the terms of the chat-completion interface; what is not said is the provider's to
/// choose. The caller has checked the bounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Parameters {
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// For answers that can be repeated, where the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Where the answer ends; at most 4.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl Parameters {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How far the knowledge base was looked through for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KnowledgeUse {
    /// All of it: what was not found is not there.
    #[default]
    Searched,
    /// Documents are still being read: there may be more in a moment.
    Loading,
    /// It could not be searched.
    Unavailable,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::call::{Call, ToolSpec};

    #[test]
    fn calls_and_tools_are_a_part_of_what_is_read() {
        let call = Call { name: "calc".to_owned(), arguments: json!({"x": 1}) };
        let calls = vec![Answered { call, result: "one".to_owned() }];
        let message = PromptMessage { calls, ..PromptMessage::new(PromptRole::Assistant, "So:") };
        assert_eq!(message.bytes(), "So:".len() + "calc".len() + r#"{"x":1}"#.len() + "one".len());
        let (asked, tool) = (
            ChatRequest::new([message.clone()], "", 1),
            ToolSpec {
                name: "calc".to_owned(),
                description: "Adds.".to_owned(),
                parameters: json!({}),
                is_strict: false,
            },
        );
        assert!(asked.has_tools() && asked.bytes() == message.bytes());
        let tools = ToolOffer { tools: [tool].into(), ..ToolOffer::default() };
        let offered = ChatRequest { tools, ..ChatRequest::new([], "", 1) };
        assert!(offered.has_tools() && offered.bytes() == "calcAdds.{}".len());
        assert!(!ChatRequest::new([], "", 1).has_tools());
    }
}
