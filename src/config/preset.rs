//! Kinds of model servers, and what is known of each. Pure.

use super::declare::choice;

choice! {
    /// Kinds of servers whose address and habits are known.
    Preset {
        /// Groq's cloud.
        Groq = "groq",
        /// OpenAI itself.
        OpenAi = "openai",
        /// Ollama on this machine.
        Ollama = "ollama",
        /// llama.cpp's server on this machine.
        LlamaCpp = "llama.cpp",
        /// vLLM on this machine.
        Vllm = "vllm",
        /// OpenRouter's cloud.
        OpenRouter = "openrouter",
        /// LM Studio on this machine.
        LmStudio = "lmstudio",
    }
}

/// What is known of a kind of server.
pub(super) struct Known {
    pub(super) base_url: &'static str,
    /// The variable in which the field keeps its key.
    pub(super) key_env: Option<&'static str>,
    pub(super) model: Option<&'static str>,
    /// Parameters that it refuses.
    pub(super) strip: &'static [&'static str],
}

impl Preset {
    /// The preset with this address.
    pub(super) fn at(base_url: &str) -> Option<Self> {
        let url = base_url.trim_end_matches('/');
        Self::ALL.iter().copied().find(|preset| preset.known().base_url == url)
    }

    pub(super) const fn known(self) -> Known {
        const NONE: &[&str] = &[];
        let (base_url, key_env, model, strip) = match self {
            Self::Groq => (
                "https://api.groq.com/openai/v1",
                Some("GROQ_API_KEY"),
                Some("llama-3.3-70b-versatile"),
                &["logprobs", "top_logprobs", "logit_bias", "n", "messages[].name"] as &[&str],
            ),
            Self::OpenAi => ("https://api.openai.com/v1", Some("OPENAI_API_KEY"), Some("gpt-4o-mini"), NONE),
            Self::Ollama => ("http://127.0.0.1:11434/v1", None, None, NONE),
            // It serves one model and takes any name for it.
            Self::LlamaCpp => ("http://127.0.0.1:8080/v1", None, Some("default"), NONE),
            Self::Vllm => ("http://127.0.0.1:8000/v1", None, None, NONE),
            Self::OpenRouter => ("https://openrouter.ai/api/v1", Some("OPENROUTER_API_KEY"), None, NONE),
            Self::LmStudio => ("http://127.0.0.1:1234/v1", None, None, NONE),
        };
        Known { base_url, key_env, model, strip }
    }
}
