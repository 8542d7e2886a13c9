//! Servers that take less than others, and refuse the rest in their own words. Pure.

use serde_json::Value;

use super::{
    deviation,
    fault::{Fault, Strict},
};

impl Strict {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "no-stream-options" => Self::StreamOptions,
            "no-max-tokens" => Self::MaxTokens,
            "no-max-completion-tokens" => Self::MaxCompletionTokens,
            "no-temperature" => Self::Temperature,
            "no-system" => Self::System,
            "no-prefill" => Self::Prefill,
            "no-blank-prefill" => Self::BlankPrefill,
            "alternate" => Self::Alternate,
            "no-tools" => Self::Tools,
            _ => return None,
        })
    }

    /// The refusal of a request that has it, or no fault at all.
    pub(super) fn judge(self, body: &[u8]) -> Fault {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        if !self.is_in(&asked) {
            return Fault::None;
        }
        let says = match self {
            Self::StreamOptions => "Unrecognized request argument supplied: stream_options",
            Self::MaxTokens => {
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            }
            Self::MaxCompletionTokens => "Extra inputs are not permitted: max_completion_tokens",
            Self::Temperature => {
                "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is \
                 supported."
            }
            Self::System => "System role not supported",
            Self::Prefill => {
                "This model does not support assistant message prefill. The conversation must end with a user message."
            }
            Self::BlankPrefill => "messages: final assistant content cannot end with trailing whitespace",
            Self::Alternate => {
                "After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."
            }
            Self::Tools => "mock does not support tools",
        };
        let error = serde_json::json!({ "error": { "message": says, "type": "invalid_request_error", "code": null } });
        deviation::status(400, &[("content-type", "application/json")], error.to_string())
    }

    fn is_in(self, asked: &Value) -> bool {
        let messages: Vec<(&str, &str)> = asked["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|message| {
                (message["role"].as_str().unwrap_or_default(), message["content"].as_str().unwrap_or_default())
            })
            .collect();
        let last = messages.last().copied().unwrap_or_default();
        match self {
            Self::StreamOptions => asked.get("stream_options").is_some(),
            Self::MaxTokens => asked.get("max_tokens").is_some(),
            Self::MaxCompletionTokens => asked.get("max_completion_tokens").is_some(),
            Self::Temperature => asked.get("temperature").is_some(),
            Self::Tools => asked.get("tools").is_some(),
            Self::System => messages.iter().any(|(role, _)| *role == "system"),
            Self::Prefill => last.0 == "assistant",
            Self::BlankPrefill => last.0 == "assistant" && last.1.trim_end() != last.1,
            Self::Alternate => {
                let turns = messages.iter().map(|(role, _)| *role).filter(|role| *role != "system");
                turns.zip(["user", "assistant"].into_iter().cycle()).any(|(role, due)| role != due)
            }
        }
    }
}
