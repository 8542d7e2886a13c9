//! Calls in what a model wrote and its server could not read: some tell it with their refusal. Pure.

use serde_json::{Map, Value};

use super::arguments::{MAX_CALLS, arguments};
use crate::llm::{
    call::{Call, ToolSpec},
    json::Json,
};

/// So many brackets are looked behind.
const MAX_LOOKS: usize = 4 * MAX_CALLS;
/// How Llama writes calls: `<function=NAME={…}</function>`, `<function=NAME>{…}</function>`.
const FUNCTION: &str = "<function=";

/// The calls in a text, at least one: as objects with a name and arguments, wherever they stand, or in marks. `None` when
/// there are none, or when one is of something that was not offered: then nobody knows what the rest is worth.
pub(super) fn calls(written: &str, offered: &[ToolSpec]) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = written;
    for _ in 0..MAX_LOOKS {
        let Some(at) = [rest.find(FUNCTION), rest.find('{')].into_iter().flatten().min() else { break };
        rest = &rest[at..];
        let found = match rest.strip_prefix(FUNCTION) {
            Some(behind) => marked(behind),
            None => object(rest),
        };
        match found {
            Some((call, behind)) => {
                calls.push(call);
                rest = behind;
            }
            None => rest = &rest[1..],
        }
    }
    let are_offered = calls.iter().all(|call| offered.iter().any(|tool| tool.name == call.name));
    (are_offered && (1..=MAX_CALLS).contains(&calls.len())).then_some(calls)
}

/// A call behind its mark, and what follows it.
fn marked(text: &str) -> Option<(Call, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let (name, rest) = text.split_at(text.find(|c| !is_name(c))?);
    let begin = rest.find(|c: char| !matches!(c, '=' | '>' | '(' | '[') && !c.is_whitespace())?;
    let rest = &rest[begin..];
    let (arguments, rest) = if rest.starts_with('{') { value(rest)? } else { (Map::new().into(), rest) };
    // What has no arguments is over with its closing mark.
    let is_whole = arguments.as_object().is_some_and(|arguments| !arguments.is_empty()) || rest.contains("</");
    (!name.is_empty() && is_whole).then(|| (Call { name: name.to_owned(), arguments }, rest))
}

/// A call as an object, and what follows it.
fn object(text: &str) -> Option<(Call, &str)> {
    let (object, rest) = value(text)?;
    let named = object.get("name")?.as_str()?.to_owned();
    let arguments = match object.get("arguments").or_else(|| object.get("parameters"))? {
        Value::String(written) => arguments(written),
        other => other.clone(),
    };
    arguments.is_object().then_some((Call { name: named, arguments }, rest))
}

/// The value with which a text begins, and what follows it.
fn value(text: &str) -> Option<(Value, &str)> {
    let mut json = Json::new(text);
    let value = json.tree().ok()?;
    Some((value, json.rest()))
}
