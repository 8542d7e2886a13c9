//! What a request is answered with, when that is not the script. Pure.

use serde_json::Value;

use super::{
    plan::{self, Call, Round},
    request::{AskedMessage, CompletionRequest, Mode, Tool, ToolChoice},
};

/// What the request's last question says, or what its calls have come to, and how many rounds of calls it has had; `None`:
/// neither. With `always_calls` there are calls in it as long as there may be any.
pub(super) fn reply(asked: &CompletionRequest, always_calls: bool) -> (Option<Round>, usize) {
    let last = asked.messages.iter().rposition(|message| message.role == "user");
    let (question, since) = match last {
        Some(last) => (asked.messages[last].content.as_str().unwrap_or_default(), &asked.messages[last + 1..]),
        None => ("", asked.messages.as_slice()),
    };
    let number = since.iter().filter(|message| !message.calls().is_empty()).count();
    let (offered, must_call, may_call) = match &asked.tool_choice {
        Some(ToolChoice::Mode(Mode::None)) => (names(asked), false, false),
        Some(ToolChoice::Mode(Mode::Required)) => (names(asked), true, true),
        Some(ToolChoice::One(tool)) => (vec![tool.function().name.as_str()], true, true),
        Some(ToolChoice::Mode(Mode::Auto)) | None => (names(asked), always_calls, true),
    };
    let rounds = plan::rounds(question, &offered);
    let calls = |round: &&Round| !round.calls.is_empty();
    if must_call && rounds.get(number).filter(calls).is_none() {
        let again = rounds.iter().find(calls).cloned();
        return (again.or_else(|| offered.first().map(|name| of(name))), number);
    }
    let mut round = rounds.into_iter().nth(number).unwrap_or_default();
    if !may_call {
        round.calls.clear();
    }
    (Some(round).filter(|round| *round != Round::default()).or_else(|| results(since)), number)
}

/// The names of the tools that are offered.
fn names(asked: &CompletionRequest) -> Vec<&str> {
    asked.tools.iter().flatten().map(|tool: &Tool| tool.function().name.as_str()).collect()
}

/// A call of a tool that nobody says anything to.
fn of(name: &str) -> Round {
    Round { calls: vec![Call { name: name.to_owned(), arguments: "{}".to_owned() }], ..Round::default() }
}

/// What the calls since the question have come to, a line for each.
fn results(since: &[AskedMessage]) -> Option<Round> {
    let name_of = |id: &str| {
        let call = since.iter().flat_map(AskedMessage::calls).find(|call| call.id() == id);
        call.map_or("", |call| &call.function().name)
    };
    let lines: Vec<String> = since
        .iter()
        .filter_map(|message| {
            let name = name_of(message.tool_call_id.as_deref()?);
            Some(match &message.content {
                Value::String(text) => format!("{name} said: {text}"),
                other => format!("{name} said: {other}"),
            })
        })
        .collect();
    (!lines.is_empty()).then(|| Round { text: lines.join("\n"), calls: Vec::new() })
}
