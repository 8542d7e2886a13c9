//! Calls of tools as servers write them: as they should be, and with every quirk. Pure.

use serde_json::{Value, json};

use super::{fault::Quirk, plan::Call};

/// Pieces in which the arguments of a call come.
const PIECES: usize = 3;
/// What nobody offers.
const UNKNOWN: &str = "no_such_tool";

/// Calls as they are sent.
#[derive(Debug)]
pub(super) struct Written {
    /// What is added to the answer, piece by piece.
    pub(super) deltas: Vec<Value>,
    /// What the message of a whole completion has of them.
    pub(super) message: Value,
    /// Why the answer ends.
    pub(super) finish: &'static str,
}

impl Quirk {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "tools-index-zero" => Self::IndexZero,
            "tools-no-index" => Self::NoIndex,
            "tools-one-delta" => Self::OneDelta,
            "tools-args-object" => Self::ArgsObject,
            "tools-args-repeat" => Self::ArgsRepeat,
            "tools-args-broken" => Self::ArgsBroken,
            "tools-name-garbage" => Self::NameGarbage,
            "tools-name-every" => Self::NameEvery,
            "tools-id-changes" => Self::IdChanges,
            "tools-finish-stop" => Self::FinishStop,
            "tools-old" => Self::Old,
            "tools-loop" => Self::Loop,
            "tools-length" => Self::Length,
            "tools-unknown" => Self::Unknown,
            _ => return None,
        })
    }
}

/// Writes the calls of a round, which is counted from 0. None at all are nothing, and an ordinary end.
pub(super) fn write(mut calls: Vec<Call>, round: usize, quirk: Option<Quirk>) -> Written {
    calls.iter_mut().for_each(|call| alter(call, quirk));
    let Some(last) = calls.last_mut() else {
        return Written { deltas: Vec::new(), message: json!({}), finish: "stop" };
    };
    if quirk == Some(Quirk::Length) {
        let half = last.arguments.chars().count() / 2;
        last.arguments = last.arguments.chars().take(half).collect();
    }
    if quirk == Some(Quirk::Old) {
        return old(&calls[0]);
    }
    let mut whole: Vec<Value> =
        calls.iter().enumerate().map(|(at, call)| object(call, &format!("call_{round}_{at}"), quirk)).collect();
    let message = json!({ "tool_calls": whole });
    for (at, call) in whole.iter_mut().enumerate() {
        call["index"] = json!(at);
    }
    let deltas = match quirk {
        Some(Quirk::OneDelta) => vec![json!({ "tool_calls": whole })],
        _ => {
            whole.into_iter().flat_map(|call| pieces(call, quirk)).map(|call| json!({ "tool_calls": [call] })).collect()
        }
    };
    let finish = match quirk {
        Some(Quirk::FinishStop) => "stop",
        Some(Quirk::Length) => "length",
        _ => "tool_calls",
    };
    Written { deltas, message, finish }
}

/// Calls as Llama writes them, in the form in which Groq quotes what it could not read; none: one of a tool that nobody has.
pub(super) fn failed_generation(calls: &[Call]) -> String {
    if calls.is_empty() {
        return format!("<function={UNKNOWN}>{{}}</function>");
    }
    calls.iter().map(|Call { name, arguments }| format!("<function={name}>{arguments}</function>")).collect()
}

/// What is wrong with a call, however it is sent.
fn alter(call: &mut Call, quirk: Option<Quirk>) {
    match quirk {
        Some(Quirk::NameGarbage) => call.name += "<|channel|>commentary",
        Some(Quirk::Unknown) => UNKNOWN.clone_into(&mut call.name),
        // Its last bracket.
        Some(Quirk::ArgsBroken) => drop(call.arguments.pop()),
        _ => {}
    }
}

fn object(call: &Call, id: &str, quirk: Option<Quirk>) -> Value {
    let arguments = match quirk {
        Some(Quirk::ArgsObject) => serde_json::from_str(&call.arguments).unwrap_or_default(),
        _ => json!(call.arguments),
    };
    json!({ "id": id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
}

/// The pieces of a call that has an index.
fn pieces(call: Value, quirk: Option<Quirk>) -> Vec<Value> {
    let Some(arguments) = call["function"]["arguments"].as_str() else { return vec![call] };
    let mut parts = parts(arguments);
    if quirk == Some(Quirk::ArgsRepeat) {
        parts.push(arguments.to_owned());
    }
    let mut first = call.clone();
    first["function"]["arguments"] = json!("");
    let later = parts.into_iter().enumerate().map(|(at, part)| {
        let mut piece = json!({ "index": call["index"], "function": { "arguments": part } });
        match quirk {
            Some(Quirk::NameEvery) => piece["function"]["name"] = call["function"]["name"].clone(),
            Some(Quirk::IdChanges) => {
                piece["id"] = json!(format!("{}_{at}", call["id"].as_str().unwrap_or_default()));
            }
            _ => {}
        }
        piece
    });
    let mut pieces: Vec<Value> = std::iter::once(first).chain(later).collect();
    for piece in pieces.iter_mut().filter_map(Value::as_object_mut) {
        match quirk {
            Some(Quirk::IndexZero) => drop(piece.insert("index".to_owned(), json!(0))),
            Some(Quirk::NoIndex) => drop(piece.remove("index")),
            _ => {}
        }
    }
    pieces
}

/// A call as it was written before there could be several at once.
fn old(call: &Call) -> Written {
    let begin = json!({ "function_call": { "name": call.name, "arguments": "" } });
    let parts = parts(&call.arguments).into_iter().map(|part| json!({ "function_call": { "arguments": part } }));
    Written {
        deltas: std::iter::once(begin).chain(parts).collect(),
        message: json!({ "function_call": { "name": call.name, "arguments": call.arguments } }),
        finish: "function_call",
    }
}

/// A text in pieces of about the same length.
fn parts(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(chars.len().div_ceil(PIECES).max(1)).map(|part| part.iter().collect()).collect()
}
