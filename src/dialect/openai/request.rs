//! What a caller asks for, checked field by field: an error names the field as the caller wrote it.
//!
//! What would make another answer than the one that was asked for, if it were ignored, is refused. What only describes
//! the caller, or leaves the choice to the server, is ignored. `null` is as good as absent.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::llm::{Parameters, PromptMessage, PromptRole};

/// The longest name of a model, in characters.
const MAX_MODEL_CHARS: usize = 256;
/// The most texts that may end an answer.
const MAX_STOPS: usize = 4;

/// A completion that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct CompletionRequest {
    /// The last message.
    pub question: String,
    /// What was said before it, oldest first.
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
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{param}` {problem}")]
pub struct Invalid {
    /// `invalid_field`, `empty_text` or `unsupported_parameter`.
    pub code: &'static str,
    /// The field, such as `messages[2].content`.
    pub param: String,
    /// What is wrong with it, to be read after its name.
    pub problem: String,
}

impl CompletionRequest {
    /// Takes a request apart.
    ///
    /// # Errors
    /// [`Invalid`], for the first field that is missing, wrong, or asks for what the gateway cannot do.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let fields = body.as_object().ok_or_else(|| invalid("body", "must be an object"))?;
        let fields = Fields { fields, path: "" };
        fields.refuse_what_cannot_be_had()?;
        fields.check_model()?;
        let Conversation { question, history, instructions } = conversation(&fields)?;
        let options = fields.object("stream_options")?;
        let include_usage = match &options {
            Some(options) => options.boolean("include_usage")?.unwrap_or(false),
            None => false,
        };
        Ok(Self {
            question,
            history,
            instructions,
            parameters: Arc::new(fields.parameters()?),
            max_output_tokens: fields.max_output_tokens()?,
            stream: fields.boolean("stream")?.unwrap_or(false),
            include_usage,
        })
    }
}

/// An object's fields, and what stands before their names in an error.
struct Fields<'a> {
    fields: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    fn invalid(&self, name: &str, problem: &str) -> Invalid {
        invalid(&self.path(name), problem)
    }

    fn required(&self, name: &str) -> Result<&'a Value, Invalid> {
        self.get(name).ok_or_else(|| self.invalid(name, "is missing"))
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, Invalid> {
        let boolean = |value: &Value| value.as_bool().ok_or_else(|| self.invalid(name, "must be true or false"));
        self.get(name).map(boolean).transpose()
    }

    fn number(&self, name: &str, from: f64, to: f64) -> Result<Option<f64>, Invalid> {
        let number = |value: &Value| {
            let number = value.as_f64().filter(|number| (from..=to).contains(number));
            number.ok_or_else(|| self.invalid(name, &format!("must be a number from {from} to {to}")))
        };
        self.get(name).map(number).transpose()
    }

    fn object(&self, name: &'a str) -> Result<Option<Fields<'a>>, Invalid> {
        let object = |value: &'a Value| {
            let fields = value.as_object().ok_or_else(|| self.invalid(name, "must be an object"))?;
            // Only the outermost object has such fields.
            Ok(Fields { fields, path: if name == "stream_options" { "stream_options." } else { "" } })
        };
        self.get(name).map(object).transpose()
    }

    fn check_model(&self) -> Result<(), Invalid> {
        let name = self.required("model")?.as_str().unwrap_or_default();
        if name.is_empty() || name.chars().nth(MAX_MODEL_CHARS).is_some() {
            return Err(self.invalid("model", &format!("must be a text of 1 to {MAX_MODEL_CHARS} characters")));
        }
        Ok(())
    }

    fn parameters(&self) -> Result<Parameters, Invalid> {
        let seed = |value: &Value| value.as_i64().ok_or_else(|| self.invalid("seed", "must be a whole number"));
        Ok(Parameters {
            temperature: self.number("temperature", 0.0, 2.0)?,
            top_p: self.number("top_p", 0.0, 1.0)?,
            frequency_penalty: self.number("frequency_penalty", -2.0, 2.0)?,
            presence_penalty: self.number("presence_penalty", -2.0, 2.0)?,
            seed: self.get("seed").map(seed).transpose()?,
            stop: self.stop()?,
        })
    }

    fn stop(&self) -> Result<Vec<String>, Invalid> {
        let texts = match self.get("stop") {
            None => return Ok(Vec::new()),
            Some(Value::Array(texts)) => texts.as_slice(),
            Some(text) => std::slice::from_ref(text),
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let stops: Option<Vec<_>> = texts.iter().map(text).collect();
        stops
            .filter(|stops| stops.len() <= MAX_STOPS)
            .ok_or_else(|| self.invalid("stop", &format!("must be a text or at most {MAX_STOPS}, none of them empty")))
    }

    /// The smaller of the two ways to say it.
    fn max_output_tokens(&self) -> Result<Option<u32>, Invalid> {
        let mut least = None::<u32>;
        for name in ["max_tokens", "max_completion_tokens"] {
            let Some(value) = self.get(name) else { continue };
            let tokens = value.as_u64().filter(|tokens| *tokens > 0);
            let tokens = tokens.ok_or_else(|| self.invalid(name, "must be a whole number from 1"))?;
            let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
            least = Some(least.map_or(tokens, |least| least.min(tokens)));
        }
        Ok(least)
    }

    /// What the gateway does not do and must not pass over in silence.
    fn refuse_what_cannot_be_had(&self) -> Result<(), Invalid> {
        for (name, is_harmless) in UNSUPPORTED {
            if self.get(name).is_some_and(|value| !is_harmless(value)) {
                return Err(unsupported(&self.path(name)));
            }
        }
        Ok(())
    }
}

/// Whether a value asks for nothing.
type IsHarmless = fn(&Value) -> bool;

/// Parameters that are refused, unless their value asks for nothing.
const UNSUPPORTED: [(&str, IsHarmless); 14] = [
    ("n", |value| value.as_u64() == Some(1)),
    ("tools", is_empty),
    ("tool_choice", |value| matches!(value.as_str(), Some("none" | "auto"))),
    ("functions", is_empty),
    ("function_call", |value| matches!(value.as_str(), Some("none" | "auto"))),
    ("response_format", |value| value["type"] == "text"),
    ("logprobs", |value| *value == Value::Bool(false)),
    ("top_logprobs", |value| value.as_u64() == Some(0)),
    ("logit_bias", is_empty),
    ("audio", never),
    ("modalities", |value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"))),
    ("prediction", never),
    ("web_search_options", never),
    ("verbosity", |value| value == "medium"),
];

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(Map::is_empty)
        || value.as_str().is_some_and(str::is_empty)
}

const fn never(_: &Value) -> bool {
    false
}

/// The messages as a prompt has them.
struct Conversation {
    question: String,
    history: Vec<PromptMessage>,
    instructions: Option<String>,
}

fn conversation(fields: &Fields<'_>) -> Result<Conversation, Invalid> {
    let messages = fields.required("messages")?.as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages", "must be a list of at least one message"))?;
    let mut instructions: Vec<String> = Vec::new();
    let mut history = Vec::new();
    // The last that is no instruction.
    let mut last = (0, PromptRole::System);
    for (at, value) in messages.iter().enumerate() {
        let (role, content) = message(value, &format!("messages[{at}]."))?;
        if role != PromptRole::System {
            last = (at, role);
        }
        match role {
            // Some clients send instructions that were left empty, and answers that broke off before their first word.
            _ if content.trim().is_empty() => {}
            PromptRole::System => instructions.push(content),
            PromptRole::User | PromptRole::Assistant => history.push(PromptMessage { role, content }),
        }
    }
    let (at, role) = last;
    let asked = if role == PromptRole::User { history.pop().filter(|said| said.role == role) } else { None };
    let question = asked.ok_or_else(|| invalid(&format!("messages[{at}].role"), "must be `user`: the question"))?;
    let instructions = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
    Ok(Conversation { question: question.content, history, instructions })
}

fn message(value: &Value, path: &str) -> Result<(PromptRole, String), Invalid> {
    let fields = value.as_object().ok_or_else(|| invalid(path.trim_end_matches('.'), "must be an object"))?;
    let fields = Fields { fields, path };
    let role = match fields.required("role")?.as_str() {
        Some("system" | "developer") => PromptRole::System,
        Some("user") => PromptRole::User,
        Some("assistant") => PromptRole::Assistant,
        Some("tool" | "function") => return Err(unsupported(&fields.path("role"))),
        _ => return Err(fields.invalid("role", "must be `system`, `developer`, `user` or `assistant`")),
    };
    for name in ["tool_calls", "function_call", "audio", "refusal"] {
        if fields.get(name).is_some_and(|value| !is_empty(value)) {
            return Err(unsupported(&fields.path(name)));
        }
    }
    let content = match fields.get("content") {
        None if role == PromptRole::Assistant => String::new(),
        None => fields.required("content")?.to_string(), // Says that it is missing.
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts_text(parts, &fields)?,
        Some(_) => return Err(fields.invalid("content", "must be a text or a list of parts")),
    };
    if role == PromptRole::User && content.trim().is_empty() {
        return Err(Invalid { code: "empty_text", ..fields.invalid("content", "has no text") });
    }
    Ok((role, content))
}

/// The texts of a message's parts, one below the other.
fn parts_text(parts: &[Value], message: &Fields<'_>) -> Result<String, Invalid> {
    let mut texts = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let path = |name: &str| format!("{}content[{at}].{name}", message.path);
        match part["type"].as_str() {
            Some("text") => {}
            Some(_) => return Err(unsupported(&path("type"))),
            None => return Err(invalid(&path("type"), "must be `text`")),
        }
        texts.push(part["text"].as_str().ok_or_else(|| invalid(&path("text"), "must be a text"))?);
    }
    Ok(texts.join("\n"))
}

fn invalid(param: &str, problem: &str) -> Invalid {
    Invalid { code: "invalid_field", param: param.to_owned(), problem: problem.to_owned() }
}

fn unsupported(param: &str) -> Invalid {
    let problem = "asks for what this gateway does not do".to_owned();
    Invalid { code: "unsupported_parameter", param: param.to_owned(), problem }
}

#[cfg(test)]
mod tests;
