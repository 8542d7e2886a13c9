//! What a strict server demands of tools, calls and their results, and says of what is otherwise. Pure.

use serde_json::Value;

use super::{
    plan::is_of_name,
    request::{AskedMessage, Called, CompletionRequest, Tool, ToolChoice},
};

/// Characters of a tool's name.
const MAX_NAME: usize = 64;

/// What is wrong with a request, in words like OpenAI's.
pub(super) fn refusal(asked: &CompletionRequest) -> Option<String> {
    let tools = asked.tools.as_deref();
    offer(tools).or_else(|| choice(asked.tool_choice.as_ref(), tools)).or_else(|| conversation(&asked.messages))
}

fn offer(tools: Option<&[Tool]>) -> Option<String> {
    let tools = tools?;
    if tools.is_empty() {
        return Some("Invalid 'tools': empty array. Expected an array with minimum length 1.".to_owned());
    }
    tools.iter().enumerate().find_map(|(at, tool)| {
        let function = tool.function();
        let name = &function.name;
        if !is_name(name) {
            return Some(no_name(&format!("tools[{at}].function.name")));
        }
        if tools[..at].iter().any(|other| other.function().name == *name) {
            return Some(format!("Invalid 'tools[{at}].function.name': there is another tool '{name}'."));
        }
        let is_object = |schema: &Value| schema["type"] == "object";
        (!function.parameters.as_ref().is_none_or(is_object)).then(|| {
            format!("Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'.")
        })
    })
}

fn choice(choice: Option<&ToolChoice>, tools: Option<&[Tool]>) -> Option<String> {
    let choice = choice?;
    let Some(tools) = tools else {
        return Some(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.".to_owned(),
        );
    };
    let ToolChoice::One(one) = choice else { return None };
    let name = &one.function().name;
    (!tools.iter().any(|tool| tool.function().name == *name))
        .then(|| format!("Invalid value for 'tool_choice': there is no tool '{name}' in 'tools'."))
}

/// Every call has one result, right behind the message that it stands in, and every result a call.
fn conversation(messages: &[AskedMessage]) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        if message.role == "tool" {
            let id = message.tool_call_id.as_deref();
            let Some(call) = open.iter().position(|open| Some(*open) == id) else {
                return Some(format!(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with \
                     'tool_calls' (messages[{at}])."
                ));
            };
            open.swap_remove(call);
            continue;
        }
        if let Some(refusal) = unanswered(&open).or_else(|| calls(at, message)) {
            return Some(refusal);
        }
        open = message.calls().iter().map(Called::id).collect();
    }
    unanswered(&open)
}

fn unanswered(open: &[&str]) -> Option<String> {
    (!open.is_empty()).then(|| {
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            open.join(", ")
        )
    })
}

/// What is wrong with the calls of a message.
fn calls(at: usize, message: &AskedMessage) -> Option<String> {
    let calls = message.tool_calls.as_deref()?;
    if message.role != "assistant" {
        return Some(format!("Invalid 'messages[{at}].tool_calls': only messages with role 'assistant' have them."));
    }
    if calls.is_empty() {
        return Some(format!("Invalid 'messages[{at}].tool_calls': empty array. Expected at least one."));
    }
    calls.iter().enumerate().find_map(|(n, call)| {
        let place = format!("messages[{at}].tool_calls[{n}]");
        let function = call.function();
        if call.id().is_empty() || calls[..n].iter().any(|other| other.id() == call.id()) {
            return Some(format!("Invalid '{place}.id': expected a string that no other call has."));
        }
        if !is_name(&function.name) {
            return Some(no_name(&format!("{place}.function.name")));
        }
        let is_object = serde_json::from_str(&function.arguments).is_ok_and(|value: Value| value.is_object());
        (!is_object).then(|| format!("Invalid '{place}.function.arguments': expected a JSON object as a string."))
    })
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(is_of_name)
}

fn no_name(place: &str) -> String {
    format!("Invalid '{place}': expected at most {MAX_NAME} characters that match the pattern '^[a-zA-Z0-9_-]+$'.")
}
