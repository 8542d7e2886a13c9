//! The messages of a request as a prompt has them: instructions, history, question, and what was said since that. Pure.
//!
//! Histories are as old as a conversation, and were often begun with another model: an empty turn or a picture in them
//! must not make the conversation unanswerable for ever. They are left out; only in the question, and in what tools said
//! since that, they are refused.

use serde_json::Value;

use super::{
    calls::{Came, Made, Open},
    fields::{Fields, Invalid, invalid, unsupported},
    values::is_empty,
};
use crate::llm::{PromptMessage, PromptRole};

/// The messages as a prompt has them.
pub(super) struct Conversation {
    pub(super) question: String,
    pub(super) begun: Vec<PromptMessage>,
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
    calls: Vec<Made>,
}

impl Said {
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && self.calls.is_empty()
    }

    fn into_message(self) -> PromptMessage {
        let calls = self.calls.into_iter().map(Made::answered).collect();
        PromptMessage { calls, ..PromptMessage::new(self.role, self.text) }
    }
}

/// Sorts the messages of a request.
///
/// The question is what the user said last, or, where only instructions were given, the last of them: requests for a title
/// are often like that. Behind it stands what the assistant has called, and how the answer begins.
pub(super) fn conversation(request: &Fields<'_>) -> Result<Conversation, Invalid> {
    let messages = request.required("messages")?.as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages", "must be a list of at least one message"))?;
    let (mut instructions, mut turns, mut open) = (Vec::new(), Vec::<Said>::new(), Open::default());
    for (at, value) in messages.iter().enumerate().filter(|(_, value)| !value.is_null()) {
        let path = format!("messages[{at}].");
        let fields = Fields::of(value, &path)?;
        let Some(role) = role(&fields)? else {
            let (turn, call) = open.end(&fields)?;
            let (result, foreign) = read_text(&fields)?;
            turns[turn].calls[call].came(Came { result, foreign });
            continue;
        };
        let said = message(&fields, role)?;
        open.begin(turns.len(), &said.calls)?;
        match (said.role, said.foreign) {
            (PromptRole::System, Some(foreign)) => return Err(unsupported(&foreign)),
            // Some clients send instructions that were left empty.
            (PromptRole::System, None) if said.text.trim().is_empty() => {}
            (PromptRole::System, None) => instructions.push(said.text),
            (_, foreign) => turns.push(Said { foreign, ..said }),
        }
    }
    turns.iter().flat_map(|said| &said.calls).try_for_each(Made::check)?;
    let answered = turns.iter().rposition(|said| said.role == PromptRole::User).map_or(0, |at| at + 1);
    let begun = begun(turns.split_off(answered))?;
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
        begun,
        history: history.map(Said::into_message).collect(),
        instructions: (!instructions.is_empty()).then(|| instructions.join("\n\n")),
    })
}

/// What was said and called since the question.
fn begun(said: Vec<Said>) -> Result<Vec<PromptMessage>, Invalid> {
    if let Some(foreign) = said.iter().flat_map(|said| &said.calls).find_map(Made::foreign) {
        return Err(unsupported(foreign));
    }
    let mut begun = Vec::<PromptMessage>::new();
    for message in said.into_iter().filter(|said| !said.is_blank()).map(Said::into_message) {
        match begun.last_mut().filter(|before| before.calls.is_empty()) {
            Some(before) => {
                before.content.push_str("\n\n");
                before.content.push_str(&message.content);
                before.calls = message.calls;
            }
            None => begun.push(message),
        }
    }
    if let Some(last) = begun.last_mut().filter(|last| last.calls.is_empty()) {
        // Some servers refuse a beginning that ends in white space.
        last.content.truncate(last.content.trim_end().len());
    }
    Ok(begun)
}

/// Who says a message; `None`: it is what came of a call.
fn role(message: &Fields<'_>) -> Result<Option<PromptRole>, Invalid> {
    Ok(Some(match message.required("role")?.as_str() {
        Some("system" | "developer") => PromptRole::System,
        Some("user") => PromptRole::User,
        Some("assistant") => PromptRole::Assistant,
        Some("tool") => return Ok(None),
        Some("function") => return Err(unsupported(&message.path("role"))),
        _ => return Err(message.invalid("role", "must be `system`, `developer`, `user`, `assistant` or `tool`")),
    }))
}

fn message(fields: &Fields<'_>, role: PromptRole) -> Result<Said, Invalid> {
    for name in ["function_call", "audio"] {
        if fields.get(name).is_some_and(|value| !is_empty(value)) {
            return Err(unsupported(&fields.path(name)));
        }
    }
    // It means nothing here, and is a text all the same.
    if fields.get("tool_call_id").is_some_and(|id| !id.is_string()) {
        return Err(fields.invalid("tool_call_id", "must be a text"));
    }
    let calls = Made::of(fields)?;
    if role != PromptRole::Assistant && !calls.is_empty() {
        return Err(fields.invalid("tool_calls", "are the assistant's alone"));
    }
    let (text, foreign) = read_text(fields)?;
    Ok(Said { role, text, content: fields.path("content"), foreign, calls })
}

/// The text of a message, and the first of its parts that is none.
fn read_text(message: &Fields<'_>) -> Result<(String, Option<String>), Invalid> {
    match message.get("content") {
        // What a model said instead of an answer was said all the same.
        None => Ok((message.get("refusal").and_then(Value::as_str).unwrap_or_default().to_owned(), None)),
        Some(Value::String(text)) => Ok((text.clone(), None)),
        Some(Value::Array(parts)) => read_parts(parts, message),
        Some(_) => Err(message.invalid("content", "must be a text or a list of parts")),
    }
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
