//! What is asked of a server: the body of a request, without what it refuses. Pure.

use std::{borrow::Cow, iter};

use serde_json::{Value, json};

use super::{
    Endpoint,
    manner::{Manner, PARALLEL, USAGE_OPTIONS},
};
use crate::llm::{
    call::{Answered, ToolChoice, ToolSpec},
    request::{ChatRequest, PromptMessage, PromptRole},
};

impl Endpoint {
    /// The body of a request.
    pub(super) fn body(&self, request: &ChatRequest, manner: Manner) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": messages(&request.prompt, manner),
            "stream": true,
            manner.limit(): request.max_output_tokens,
        });
        if manner.has(USAGE_OPTIONS) {
            body[USAGE_OPTIONS] = json!({ "include_usage": true });
        }
        // What is said of them is valid, and none of them has a name from above.
        if let (Some(body), Ok(Value::Object(said))) =
            (body.as_object_mut(), serde_json::to_value(&*request.parameters))
        {
            body.extend(said.into_iter().filter(|(name, _)| manner.has(name)));
        }
        if !request.tools.tools.is_empty() {
            body["tools"] = request.tools.tools.iter().map(tool).collect();
            match &request.tools.choice {
                ToolChoice::Auto => {}
                ToolChoice::Nothing => body["tool_choice"] = json!("none"),
                ToolChoice::Something => body["tool_choice"] = json!("required"),
                ToolChoice::Named(name) => {
                    body["tool_choice"] = json!({ "type": "function", "function": { "name": name } });
                }
            }
            if request.tools.one_at_a_time && manner.has(PARALLEL) {
                body[PARALLEL] = json!(false);
            }
        }
        for path in &self.strip {
            strip(&mut body, path);
        }
        body
    }
}

/// What servers take as the name of a tool, at the most.
const MAX_NAME_BYTES: usize = 64;

fn tool(tool: &ToolSpec) -> Value {
    let (name, description, parameters) = (&tool.name, &tool.description, &tool.parameters);
    let mut function = json!({ "name": name, "description": description, "parameters": parameters });
    if tool.is_strict {
        function["strict"] = json!(true);
    }
    json!({ "type": "function", "function": function })
}

/// The messages of a prompt. White space at the end of a beginning that the model shall go on with is left out: servers
/// refuse it, and models go on worse behind it.
fn messages(prompt: &[PromptMessage], manner: Manner) -> Value {
    let mut instructions = Vec::new();
    let mut messages = Vec::with_capacity(prompt.len());
    let (mut has_asked, mut calls) = (false, 0);
    for (at, message) in prompt.iter().enumerate() {
        has_asked |= message.role == PromptRole::User;
        let is_last = at + 1 == prompt.len();
        let (role, content) = match message.role {
            PromptRole::Assistant if !has_asked && !manner.may_begin_with_assistant() => continue,
            PromptRole::System if !manner.has_system() => {
                instructions.push(message.content.as_str());
                continue;
            }
            PromptRole::System => ("system", Cow::from(&message.content)),
            PromptRole::Assistant if is_last && message.calls.is_empty() => {
                ("assistant", Cow::from(message.content.trim_end()))
            }
            PromptRole::Assistant => ("assistant", Cow::from(&message.content)),
            PromptRole::User if instructions.is_empty() => ("user", Cow::from(&message.content)),
            PromptRole::User => {
                instructions.push(&message.content);
                ("user", Cow::from(std::mem::take(&mut instructions).join("\n\n")))
            }
        };
        if message.calls.is_empty() {
            messages.push(json!({ "role": role, "content": content }));
        } else {
            messages.extend(called(&content, &message.calls, calls));
            calls += message.calls.len();
        }
    }
    if !instructions.is_empty() {
        messages.push(json!({ "role": "user", "content": instructions.join("\n\n") }));
    }
    Value::from(messages)
}

/// What a model has said with its calls, and what came of each. `before`: how many calls the prompt had until then. Each has
/// an id of nine letters and digits, as every server takes it, that is the same whenever the prompt is.
fn called(content: &str, calls: &[Answered], before: usize) -> impl Iterator<Item = Value> {
    let id = move |at: usize| format!("c{:08}", before + at + 1);
    let made = calls.iter().enumerate().map(|(at, Answered { call, .. })| {
        let arguments = if call.arguments.is_object() { call.arguments.to_string() } else { "{}".to_owned() };
        json!({
            "id": id(at), "type": "function", "function": { "name": name(&call.name), "arguments": arguments },
        })
    });
    // Some servers refuse a text of blanks.
    let content = (!content.trim().is_empty()).then_some(content);
    let message = json!({ "role": "assistant", "content": content, "tool_calls": made.collect::<Value>() });
    let results = calls.iter().enumerate();
    iter::once(message).chain(
        results
            .map(move |(at, answered)| json!({ "role": "tool", "tool_call_id": id(at), "content": answered.result })),
    )
}

/// A name that servers take, whatever a model has called.
fn name(name: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().take(MAX_NAME_BYTES).map(|c| if is_taken(c) { c } else { '_' }).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// Takes the parameter at `path` out of a request: names parted by dots, `[]` behind a name for all of its items.
fn strip(value: &mut Value, path: &str) {
    let Some((name, rest)) = path.split_once('.') else {
        if let Some(object) = value.as_object_mut() {
            object.remove(path);
        }
        return;
    };
    match name.strip_suffix("[]") {
        Some(name) => {
            for item in value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
                strip(item, rest);
            }
        }
        None => {
            if let Some(inner) = value.get_mut(name) {
                strip(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_stripped_wherever_they_stand() {
        let mut body = json!({
            "n": 2, "logit_bias": {}, "stream_options": { "include_usage": true, "x": 1 },
            "messages": [{ "role": "user", "name": "a" }, { "role": "user", "n": 3 }],
        });
        for path in
            ["n", "logit_bias", "stream_options.include_usage", "messages[].name", "absent", "absent[].n", "n.n"]
        {
            strip(&mut body, path);
        }
        assert_eq!(
            body,
            json!({ "stream_options": { "x": 1 }, "messages": [{ "role": "user" }, { "role": "user", "n": 3 }] })
        );
    }
}
