//! What a provider's words say about a refusal: providers have few codes in common, and each has words of its own for
//! what clients can do something about. Pure, a leaf.

/// Codes and types that say that a prompt is too long.
const TOO_LONG_CODES: &[&str] = &[
    "context_length_exceeded",
    "context_window_exceeded",
    "contextwindowexceedederror",
    "exceed_context_size_error",
    "model_context_window_exceeded",
    "model_max_prompt_tokens_exceeded",
    "prompt_too_long",
    "request_too_large",
];
/// Sentences that say nothing else.
const TOO_LONG: &[&str] = &[
    "context overflow",
    "input is too long",
    "input length should be",
    "length of the messages",
    "longer than the model's context",
    "maximum context length",
    "maximum prompt length",
    "maximum model length",
    "prompt is too long",
    "prompt too long",
    "please reduce your prompt",
    "too many tokens",
    "超长",
];
/// What is too long, …
const LENGTHS: &[&str] = &[
    "context length",
    "context limit",
    "context size",
    "context window",
    "context the overflows",
    "input token",
    "inputs` tokens",
    "input length",
    "input sequence length",
    "max_model_len",
    "maximum input length",
    "model token limit",
    "n_ctx",
    "prompt length",
    "prompt token",
    "prompt contains",
    "request token",
];
/// … and what says so.
const EXCEEDS: &[&str] = &[
    "exceed",
    "greater than",
    "larger than",
    "longer than",
    "more than",
    "must be <=",
    "must be less",
    "only allows",
    "overflow",
    "reached",
    "too large",
    "too long",
    "too many",
];
/// About the pace and not about a single request, whatever else is said.
const PACES: &[&str] = &["per minute", "per day", "per hour", "per second", "rate limit", "rate_limit", "quota", "tpm"];

/// Whether a refusal says that the prompt is longer than the model takes. `code` is what the provider calls it.
pub(super) fn is_too_long(code: Option<&str>, words: &str) -> bool {
    let code = code.map(str::to_ascii_lowercase);
    if code.is_some_and(|code| TOO_LONG_CODES.contains(&code.as_str())) {
        return true;
    }
    let words = words.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    !says(PACES) && (says(TOO_LONG_CODES) || says(TOO_LONG) || says(LENGTHS) && says(EXCEEDS))
}

/// What says that a model does not go on with a beginning of its answer.
const NO_BEGINNING: &[&str] =
    &["prefill", "end with a user message", "last message must", "final message must", "expected last role"];

/// Whether a refusal is about a beginning that the model should have gone on with.
pub(super) fn is_of_beginning(words: &str) -> bool {
    let words = words.to_lowercase();
    NO_BEGINNING.iter().any(|phrase| words.contains(phrase))
}

/// Whether a refusal is about whose turn it is: some servers take only what begins with the user and alternates.
pub(super) fn is_of_turns(words: &str) -> bool {
    let words = words.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    words.contains("alternat")
        || says(&["first message", "first content", "start with", "begin with"]) && words.contains("user")
}

/// Ways to say that a model, or a server as it was started, knows no tools at all.
const NO_TOOLS: &[&str] = &[
    "not support tool",
    "does not support function call",
    "doesn't support tool",
    "no endpoints found that support tool use",
    "requires --enable-auto-tool-choice",
    "tool calling is not supported",
    "`tool calling` is not supported",
    "tool use is not supported",
    "tool_choice is not supported",
    "tools are not supported",
    "tools is not supported",
    "`tools` is not supported",
    "'tools' is not supported",
    "function calling is not supported",
    "function calling is not enabled",
    "tools param requires",
];

/// Whether a refusal is about tools as such, and not about one of them.
pub(super) fn is_of_tools(words: &str) -> bool {
    let words = words.to_lowercase();
    NO_TOOLS.iter().any(|phrase| words.contains(phrase))
}

/// What says that something is not known or not taken at all, whatever its value.
const UNSUPPORTED: &[&str] = &[
    "additional properties",
    "does not support",
    "extra fields",
    "extra inputs",
    "is not allowed",
    "not accepted",
    "not permitted",
    "not supported",
    "not support",
    "unexpected",
    "unknown",
    "unrecognized",
    "unrecognised",
    "unsupported",
];
/// From here on, a refusal speaks of what it would take.
const INSTEAD: &[&str] = &[
    "expected one of",
    "use '",
    "use `",
    "use \"",
    "please use",
    "supported parameters",
    "allowed parameters",
    "must be one of",
];

/// A refusal of something that is not supported.
pub(super) struct Unsupported(String);

impl Unsupported {
    /// Whether `words` are such a refusal.
    pub(super) fn of(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let end = INSTEAD.iter().filter_map(|part| words.find(part)).min().unwrap_or(words.len());
        let refused = &words[..end];
        UNSUPPORTED.iter().any(|phrase| refused.contains(phrase)).then(|| Self(refused.to_owned()))
    }

    /// Whether it is about what has this name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.match_indices(name).any(|(at, _)| {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            !self.0[..at].ends_with(is_part) && !self.0[at + name.len()..].starts_with(is_part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_that_are_too_long_are_known_in_the_words_of_many() {
        for words in [
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "Please reduce the length of the messages or completion.",
            "prompt is too long: 213462 tokens > 200000 maximum",
            "input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000",
            "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            "Input is too long for requested model.",
            "the request exceeds the available context size, try increasing it",
            "Context size has been exceeded.",
            "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context \
             length of only 4096 tokens",
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "too many tokens: total number of tokens in the prompt cannot exceed 4081",
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000",
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
            "Requested token count exceeds the model's maximum context length of 8192 tokens.",
            "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)",
            "invalid params, context window exceeds limit",
            "Range of input length should be [1, 30720]",
            "prompt token count of 130000 exceeds the limit of 128000",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "context overflow",
            "ContextWindowExceededError: litellm.BadRequestError",
            "Prompt 超长",
        ] {
            assert!(is_too_long(None, words), "{words}");
        }
        assert!(is_too_long(Some("exceed_context_size_error"), "no"));
        assert!(is_too_long(Some("context_length_exceeded"), ""));
    }

    #[test]
    fn refusals_of_turns_are_known_in_the_words_of_many() {
        for words in [
            "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
            "messages: first message must use the \"user\" role",
            "Please ensure that multiturn requests alternate between user and model.",
            "First content should be with role 'user', got model",
            "The first message (except the system message) must be a user message, but an assistant message detected.",
            "Conversation must start with a user message",
        ] {
            assert!(is_of_turns(words), "{words}");
        }
        for words in ["", "System role not supported", "the first message is too long", "no such user"] {
            assert!(!is_of_turns(words), "{words}");
        }
    }

    #[test]
    fn refusals_of_tools_are_known_in_the_words_of_many() {
        for words in [
            "registry.ollama.ai/library/gemma:latest does not support tools",
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
            "No endpoints found that support tool use. To learn more about provider routing, visit: …",
            "`tool calling` is not supported with this model",
            "Unsupported parameter: 'tools' is not supported with this model.",
            "tools param requires --jinja flag",
            "Function calling is not enabled for this model",
        ] {
            assert!(is_of_tools(words), "{words}");
        }
        for words in [
            "",
            "Invalid 'tools[0].function.name': string does not match pattern",
            "Failed to call a function. Please adjust your prompt.",
            "no such model",
        ] {
            assert!(!is_of_tools(words), "{words}");
        }
    }

    #[test]
    fn other_refusals_are_none() {
        for words in [
            "",
            "Incorrect API key provided",
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
            "Rate limit reached on input tokens per minute (TPM): Limit 6000, Requested 8000, too large",
            "You exceeded your current quota, please check your plan and billing details",
            "Unsupported parameter: 'max_tokens' is not supported with this model.",
            "Invalid 'messages[0].name': string too long. Expected a string with maximum length 64",
            "stop: too many sequences, at most 4",
            "roles must alternate user/assistant/user/assistant",
            "Internal Server Error",
        ] {
            assert!(!is_too_long(None, words), "{words}");
        }
    }
}
