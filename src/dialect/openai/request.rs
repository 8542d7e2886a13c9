//! What a caller asks for, checked field by field: an error names the field as the caller wrote it.
//!
//! What would make another answer than the one that was asked for, if it were ignored, is refused, unless the operator
//! has such things answered in text. What only describes the caller, or leaves the choice to the server, is ignored.
//! `null` is as good as absent, everywhere. Uses `values.rs`, `conversation.rs` and `tools.rs`.

use std::sync::Arc;

use serde_json::Value;

use super::{
    conversation::{Conversation, conversation},
    fields::{Fields, Invalid, invalid, unsupported},
    tools::offer,
    values::{is_empty, whole},
};
use crate::{
    config::Unsupported,
    llm::{Parameters, PromptMessage, ToolChoice, ToolOffer},
};

/// What stands before the name of an assistant where a model is asked for.
pub const ASSISTANT_PREFIX: &str = "assistant:";
/// The longest name of a model, in characters.
const MAX_MODEL_CHARS: usize = 256;
/// The most texts that may end an answer.
const MAX_STOPS: usize = 4;

/// A completion that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    /// The assistant that is asked; the default one where no other is named.
    pub assistant: Option<String>,
    /// What is to be answered.
    pub question: String,
    /// What the assistant has said and called since the question: it is to be gone on with.
    pub begun: Vec<PromptMessage>,
    /// What the caller has that may be called.
    pub tools: ToolOffer,
    /// What was said before the question, oldest first.
    pub history: Vec<PromptMessage>,
    /// The messages of `system` and `developer`, with an empty line between them.
    pub instructions: Option<String>,
    /// How it is to be written.
    pub parameters: Arc<Parameters>,
    /// The most tokens of the answer.
    pub max_output_tokens: Option<u32>,
    /// Whether it shall come piece by piece.
    pub stream: bool,
    /// Whether a stream shall end with what it cost.
    pub include_usage: bool,
    /// Whether the answer may be kept and given again, and a known one may be given.
    pub may_share: bool,
}

impl CompletionRequest {
    /// Takes a request apart.
    ///
    /// # Errors
    /// [`Invalid`], for the first field that is missing, wrong, or asks for what the gateway cannot do.
    pub fn parse(body: &Value, policy: Unsupported) -> Result<Self, Invalid> {
        let fields = body.as_object().ok_or_else(|| invalid("body", "must be an object"))?;
        let fields = Fields { fields, path: "" };
        fields.refuse_what_cannot_be_had(policy)?;
        let assistant = fields.assistant()?;
        let Conversation { question, begun, history, instructions } = conversation(&fields)?;
        let has_calls = history.iter().chain(&begun).any(|message| !message.calls.is_empty());
        let mut tools = offer(&fields)?;
        if tools.choice == ToolChoice::Nothing && !has_calls {
            tools = ToolOffer::default(); // They ask for nothing.
        }
        let parameters = fields.parameters()?;
        let may_share = fields.option("rivulet", "cache")?.unwrap_or(parameters.temperature == Some(0.0));
        Ok(Self {
            assistant,
            question,
            begun,
            history,
            instructions,
            // Who wants other words, or leaves that open, should not get the same ones again.
            may_share: may_share && !has_calls && tools.tools.is_empty(),
            tools,
            parameters: Arc::new(parameters),
            max_output_tokens: fields.max_output_tokens()?,
            stream: fields.boolean("stream")?.unwrap_or(false),
            include_usage: fields.option("stream_options", "include_usage")?.unwrap_or(false),
        })
    }

    /// Who could be asked takes no tools: then a text is the answer, where that is one and `policy` has it so.
    ///
    /// # Errors
    /// [`Invalid`] otherwise.
    pub fn leave_out_tools(&mut self, policy: Unsupported) -> Result<(), Invalid> {
        if self.tools.choice.wants_a_call() {
            return Err(unsupported("tool_choice"));
        }
        if policy == Unsupported::Refuse {
            return Err(unsupported("tools").unless_in_text());
        }
        self.tools = ToolOffer::default();
        Ok(())
    }
}

impl Fields<'_> {
    /// The assistant that is asked for by the name of a model, when one is.
    fn assistant(&self) -> Result<Option<String>, Invalid> {
        let Some(model) = self.get("model") else { return Ok(None) };
        let name = model.as_str().filter(|name| name.chars().nth(MAX_MODEL_CHARS).is_none());
        let told = || self.invalid("model", &format!("must be a text of at most {MAX_MODEL_CHARS} characters"));
        Ok(name.ok_or_else(told)?.strip_prefix(ASSISTANT_PREFIX).map(str::to_owned))
    }

    /// A switch within an object.
    fn option(&self, object: &str, name: &str) -> Result<Option<bool>, Invalid> {
        let Some(value) = self.get(object) else { return Ok(None) };
        let fields = value.as_object().ok_or_else(|| self.invalid(object, "must be an object"))?;
        Fields { fields, path: &format!("{object}.") }.boolean(name)
    }

    fn parameters(&self) -> Result<Parameters, Invalid> {
        let seed = |value: &Value| whole(value).ok_or_else(|| self.invalid("seed", "must be a whole number"));
        Ok(Parameters {
            temperature: self.number("temperature", 0.0, 2.0)?,
            top_p: self.number("top_p", 0.0, 1.0)?,
            frequency_penalty: self.number("frequency_penalty", -2.0, 2.0)?,
            presence_penalty: self.number("presence_penalty", -2.0, 2.0)?,
            seed: self.get("seed").map(seed).transpose()?,
            stop: self.stop()?,
        })
    }

    /// The texts that end an answer. An empty one, as forms send it that nobody filled in, ends none.
    fn stop(&self) -> Result<Vec<String>, Invalid> {
        let texts = match self.get("stop") {
            None => return Ok(Vec::new()),
            Some(Value::Array(texts)) => texts.as_slice(),
            Some(text) => std::slice::from_ref(text),
        };
        let says_something = |value: &&Value| !value.is_null() && value.as_str() != Some("");
        let stops: Option<Vec<_>> =
            texts.iter().filter(says_something).map(|value| value.as_str().map(str::to_owned)).collect();
        stops
            .filter(|stops| stops.len() <= MAX_STOPS)
            .ok_or_else(|| self.invalid("stop", &format!("must be a text or at most {MAX_STOPS}")))
    }

    /// The smaller of the two ways to say it.
    fn max_output_tokens(&self) -> Result<Option<u32>, Invalid> {
        let named = [self.limit("max_tokens")?, self.limit("max_completion_tokens")?];
        Ok(named.into_iter().flatten().min())
    }

    /// What the gateway does not do and must not pass over in silence.
    fn refuse_what_cannot_be_had(&self, policy: Unsupported) -> Result<(), Invalid> {
        // Functions that may not be used ask for nothing.
        let declines = |name: &str| self.get(name).is_some_and(|choice| choice == "none");
        for Wish { name, is_harmless, in_text, declined_by } in UNSUPPORTED {
            let asks = self.get(name).is_some_and(|value| !is_harmless(value));
            let is_passed_over = (policy == Unsupported::Text && in_text) || declined_by.is_some_and(declines);
            if asks && !is_passed_over {
                let refused = unsupported(&self.path(name));
                return Err(if in_text { refused.unless_in_text() } else { refused });
            }
        }
        Ok(())
    }
}

/// A parameter that is refused, unless its value asks for nothing.
struct Wish {
    name: &'static str,
    is_harmless: fn(&Value) -> bool,
    /// Whether an operator may have it answered in text.
    in_text: bool,
    /// The parameter that takes it back by saying `none`.
    declined_by: Option<&'static str>,
}

impl Wish {
    const fn refused(name: &'static str, is_harmless: fn(&Value) -> bool) -> Self {
        Self { name, is_harmless, in_text: false, declined_by: None }
    }

    const fn in_text(name: &'static str, is_harmless: fn(&Value) -> bool) -> Self {
        Self { in_text: true, ..Self::refused(name, is_harmless) }
    }
}

const UNSUPPORTED: [Wish; 12] = [
    Wish::refused("n", |value| whole(value) == Some(1)),
    Wish { declined_by: Some("function_call"), ..Wish::in_text("functions", is_empty) },
    Wish::refused("function_call", |value| matches!(value.as_str(), Some("none" | "auto"))),
    Wish::in_text("response_format", |value| value["type"] == "text"),
    Wish::refused("logprobs", |value| *value == Value::Bool(false)),
    Wish::refused("top_logprobs", |value| whole(value) == Some(0)),
    Wish::refused("logit_bias", is_empty),
    Wish::refused("audio", never),
    Wish::refused("modalities", |value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"))),
    Wish::refused("prediction", never),
    Wish::refused("web_search_options", never),
    Wish::in_text("verbosity", |value| value == "medium"),
];

const fn never(_: &Value) -> bool {
    false
}

#[cfg(test)]
mod tests;
