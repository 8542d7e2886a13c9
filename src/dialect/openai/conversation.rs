//! The messages of a request as a prompt has them: instructions, history, question, and the beginning of the answer. Pure.
//!
//! Histories are as old as a conversation, and were often begun with another model: an empty turn or a picture in them
//! must not make the conversation unanswerable for ever. They are left out; only in the question they are refused.

use serde_json::Value;

use super::{
    fields::{Fields, Invalid, invalid, unsupported},
    values::is_empty,
};
use crate::llm::{PromptMessage, PromptRole};

/// The messages as a prompt has them.
pub(super) struct Conversation {
    pub(super) question: String,
    pub(super) beginning: Option<String>,
    pub(super) history: Vec<PromptMessage>,
    pub(super) instructions: Option<String>,
}

/// A message of the caller's.
struct Said {
    role: PromptRole,
    text: String,
    /// The field with its text.
    content: String,
    /// The first of its parts that is no text.
    foreign: Option<String>,
}

impl Said {
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Sorts the messages of a request.
///
/// The question is what the user said last, or, where only instructions were given, the last of them: requests for a title
/// are often like that. What the assistant says behind the question is how the answer begins.
pub(super) fn conversation(fields: &Fields<'_>) -> Result<Conversation, Invalid> {
    let messages = fields.required("messages")?.as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages", "must be a list of at least one message"))?;
    let (mut instructions, mut turns) = (Vec::new(), Vec::new());
    for (at, value) in messages.iter().enumerate().filter(|(_, value)| !value.is_null()) {
        let said = message(value, &format!("messages[{at}]."))?;
        match (said.role, said.foreign) {
            (PromptRole::System, Some(foreign)) => return Err(unsupported(&foreign)),
            // Some clients send instructions that were left empty.
            (PromptRole::System, None) if said.text.trim().is_empty() => {}
            (PromptRole::System, None) => instructions.push(said.text),
            (_, foreign) => turns.push(Said { foreign, ..said }),
        }
    }
    let answered = turns.iter().rposition(|said| said.role == PromptRole::User).map_or(0, |at| at + 1);
    let begun = turns.split_off(answered).into_iter().filter(|said| !said.is_blank());
    let begun = begun.map(|said| said.text).collect::<Vec<_>>().join("\n\n");
    let question = match turns.pop() {
        Some(Said { foreign: Some(foreign), .. }) => return Err(unsupported(&foreign)),
        Some(said) if said.is_blank() => {
            return Err(Invalid { code: "empty_text", ..invalid(&said.content, "has no text") });
        }
        Some(said) => said.text,
        None => instructions.pop().ok_or_else(|| invalid("messages", "must have a text of `user`: the question"))?,
    };
    let history = turns.into_iter().filter(|said| !said.is_blank());
    Ok(Conversation {
        question,
        // Some servers refuse a beginning that ends in white space.
        beginning: (!begun.is_empty()).then(|| begun.trim_end().to_owned()),
        history: history.map(|said| PromptMessage::new(said.role, said.text)).collect(),
        instructions: (!instructions.is_empty()).then(|| instructions.join("\n\n")),
    })
}

fn message(value: &Value, path: &str) -> Result<Said, Invalid> {
    let fields = value.as_object().ok_or_else(|| invalid(path.trim_end_matches('.'), "must be an object"))?;
    let fields = Fields { fields, path };
    let role = match fields.required("role")?.as_str() {
        Some("system" | "developer") => PromptRole::System,
        Some("user") => PromptRole::User,
        Some("assistant") => PromptRole::Assistant,
        Some("tool" | "function") => return Err(unsupported(&fields.path("role"))),
        _ => return Err(fields.invalid("role", "must be `system`, `developer`, `user` or `assistant`")),
    };
    for name in ["tool_calls", "function_call", "audio"] {
        if fields.get(name).is_some_and(|value| !is_empty(value)) {
            return Err(unsupported(&fields.path(name)));
        }
    }
    let (text, foreign) = match fields.get("content") {
        // What a model said instead of an answer was said all the same.
        None => (fields.get("refusal").and_then(Value::as_str).unwrap_or_default().to_owned(), None),
        Some(Value::String(text)) => (text.clone(), None),
        Some(Value::Array(parts)) => read_parts(parts, &fields)?,
        Some(_) => return Err(fields.invalid("content", "must be a text or a list of parts")),
    };
    Ok(Said { role, text, content: fields.path("content"), foreign })
}

/// The texts of a message's parts, one below the other, and the first part that is none.
fn read_parts(parts: &[Value], message: &Fields<'_>) -> Result<(String, Option<String>), Invalid> {
    let (mut texts, mut foreign) = (Vec::with_capacity(parts.len()), None);
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_null()) {
        let path = |name: &str| format!("{}content[{at}].{name}", message.path);
        let field = match part["type"].as_str() {
            Some("text") => "text",
            Some("refusal") => "refusal",
            Some(_) => {
                foreign.get_or_insert_with(|| path("type"));
                continue;
            }
            None => return Err(invalid(&path("type"), "must be `text`")),
        };
        match &part[field] {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => texts.push(text.as_str()),
            _ => return Err(invalid(&path(field), "must be a text")),
        }
    }
    Ok((texts.join("\n"), foreign))
}
