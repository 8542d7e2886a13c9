//! How a server is asked: what it was seen to refuse is left out or said otherwise, once it has answered without it. Pure.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::llm::{
    refusal,
    request::{ChatRequest, PromptRole},
};

/// Asks for the usage at the end of a stream. Not every server knows it.
pub(super) const USAGE_OPTIONS: &str = "stream_options";
/// Whether there may be several calls at once. Not every server knows it either.
pub(super) const PARALLEL: &str = "parallel_tool_calls";
/// The limit of tokens, by its older name and by its newer one.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];
/// What can be left out, each with a bit of its own.
const OPTIONAL: [&str; 8] =
    [USAGE_OPTIONS, "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop", PARALLEL];
const NEWER_LIMIT: u32 = 1 << 16;
const NO_SYSTEM: u32 = 1 << 17;
const USER_FIRST: u32 = 1 << 18;

/// How one request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner(u32);

/// How a server wants to be asked, as far as it is known.
#[derive(Debug)]
pub(super) struct Learnt(AtomicU32);

impl Learnt {
    /// What is known of a host beforehand: OpenAI itself wants the newer name of the limit and refuses the older one for
    /// some models; most others know the older one only.
    pub(super) fn of(host: &str) -> Self {
        Self(AtomicU32::new(if host == "api.openai.com" { NEWER_LIMIT } else { 0 }))
    }

    pub(super) fn manner(&self) -> Manner {
        Manner(self.0.load(Ordering::Relaxed))
    }

    /// The server has answered who asked it so.
    pub(super) fn keep(&self, manner: Manner) {
        self.0.store(manner.0, Ordering::Relaxed);
    }
}

impl Manner {
    /// What the limit of tokens is called.
    pub(super) const fn limit(self) -> &'static str {
        LIMITS[(self.0 & NEWER_LIMIT != 0) as usize]
    }

    /// Whether a parameter is sent.
    pub(super) fn has(self, name: &str) -> bool {
        !OPTIONAL.iter().zip(0..).any(|(known, bit)| *known == name && self.0 & 1 << bit != 0)
    }

    /// Whether instructions have a role of their own; else they stand before what the user says.
    pub(super) const fn has_system(self) -> bool {
        self.0 & NO_SYSTEM == 0
    }

    /// Whether a conversation may begin with what the assistant says; else that is left out.
    pub(super) const fn may_begin_with_assistant(self) -> bool {
        self.0 & USER_FIRST == 0
    }

    /// How to ask again after a refusal that names something that was sent and can be left out, or said otherwise. `first`
    /// is how this was first asked: no name is changed twice.
    pub(super) fn after(self, first: Self, request: &ChatRequest, status: u16, words: &str) -> Option<Self> {
        if !matches!(status, 400 | 422) {
            return None;
        }
        let mut other = self.0;
        let first_turn = request.prompt.iter().find(|message| message.role != PromptRole::System);
        if first_turn.is_some_and(|turn| turn.role == PromptRole::Assistant) && refusal::is_of_turns(words) {
            other |= USER_FIRST;
        } else if self.has(USAGE_OPTIONS) && [USAGE_OPTIONS, "include_usage"].iter().any(|name| words.contains(name)) {
            other |= 1;
        } else if let Some(refused) = refusal::Unsupported::of(words) {
            let parameters = serde_json::to_value(&*request.parameters).unwrap_or_default();
            let is_sent =
                |name: &str| parameters.get(name).is_some() || name == PARALLEL && request.tools.one_at_a_time;
            for (name, bit) in OPTIONAL.iter().zip(0..) {
                if self.has(name) && is_sent(name) && refused.names(name) {
                    other |= 1 << bit;
                }
            }
            if self.limit() == first.limit() && refused.names(self.limit()) {
                other ^= NEWER_LIMIT;
            }
            let has_system = request.prompt.iter().any(|message| message.role == PromptRole::System);
            if has_system && refused.names("system") && refused.names("role") {
                other |= NO_SYSTEM;
            }
        }
        (other != self.0).then_some(Self(other))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::llm::{
        call::ToolOffer,
        request::{Parameters, PromptMessage},
    };

    fn request() -> ChatRequest {
        let parameters = Parameters { temperature: Some(0.5), seed: Some(1), ..Parameters::default() };
        let prompt = [PromptMessage::new(PromptRole::System, "Be brief.")];
        ChatRequest { parameters: Arc::new(parameters), ..ChatRequest::new(prompt, "", 7) }
    }

    #[test]
    fn what_is_refused_by_name_is_left_out_or_renamed() {
        let first = Learnt::of("h").manner();
        let after = |words: &str| first.after(first, &request(), 400, words);
        let renamed = after(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
        assert_eq!(renamed.unwrap().limit(), "max_completion_tokens");
        let without = after("Unsupported value: 'temperature' does not support 0.5 with this model.").unwrap();
        assert!(!without.has("temperature") && without.has("seed") && without.limit() == "max_tokens");
        let listed = after("unknown field `seed`, expected one of `model`, `max_tokens`, `temperature`").unwrap();
        assert!(!listed.has("seed") && listed.has("temperature") && listed.limit() == "max_tokens");
        assert!(!after("System role not supported").unwrap().has_system());
        assert!(!after("bad include_usage").unwrap().has(USAGE_OPTIONS));
        for words in [
            "max_tokens is too large: 100000",
            "temperature must be at most 1",
            "'top_p' is not supported",
            "no such model",
            "max_completion_tokens is not supported",
            "",
        ] {
            assert_eq!(after(words), None, "{words}");
        }
        let one = ToolOffer { one_at_a_time: true, ..ToolOffer::default() };
        let one = ChatRequest { tools: one, ..request() };
        let without = first.after(first, &one, 400, "Unknown field: parallel_tool_calls").unwrap();
        assert!(!without.has(PARALLEL) && first.has(PARALLEL));
        let turns = "roles must alternate user/assistant/user/assistant/...";
        assert_eq!(after(turns), None, "they do");
        let greeting = [PromptRole::System, PromptRole::Assistant, PromptRole::User]
            .map(|role| PromptMessage::new(role, "Hello!"));
        let greeted = ChatRequest { prompt: Arc::new(greeting), ..request() };
        let other = first.after(first, &greeted, 400, turns).unwrap();
        assert!(!other.may_begin_with_assistant() && other.has_system());
        assert_eq!(other.after(first, &greeted, 400, turns), None, "nothing else helps");
        assert_eq!(first.after(first, &request(), 500, "'temperature' is not supported"), None);
        let openai = Learnt::of("api.openai.com").manner();
        let older = openai.after(openai, &request(), 422, "Unrecognized request argument: max_completion_tokens");
        assert_eq!(older.unwrap().limit(), "max_tokens");
        let again = older.unwrap().after(openai, &request(), 400, "max_tokens is not supported");
        assert_eq!(again, None, "not to and fro");
    }
}
