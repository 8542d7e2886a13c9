//! The calls of one answer: which may be run, what of them is shown, and what the model is told came of them.
//!
//! Pure. Results are data: each goes to the model as JSON, cut where it is long. Uses `chat`, `llm`'s plain values and `tools`.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    chat::{CallId, ToolCall, ToolOutcome, ToolStatus, printable},
    config::Calling,
    llm::Call,
    tools::{Arguments, Output, Tool, ToolError, Toolbox},
};

/// With the same arguments a tool is run so often in one answer; further calls are answered from the first one.
const SAME_CALLS: usize = 2;
/// So many results of one round are as long as results may be; of more, each has less.
const WHOLE_RESULTS: usize = 4;
/// The longest arguments, and the longest data, that are shown and kept, in bytes of JSON.
const SHOWN_BYTES: usize = 8 << 10;
/// The same of all calls of an answer together: what does not fit is left out.
const SHOWN_BYTES_IN_ALL: usize = 64 << 10;
/// The longest words for the model of why a call was not run, in bytes.
const MAX_REFUSAL_BYTES: usize = 2 << 10;
/// The longest name of a tool that is shown, and the longest summary, in bytes.
const NAME_BYTES: usize = 64;
const SUMMARY_BYTES: usize = 400;

/// What an answer has called so far.
#[derive(Debug)]
pub(super) struct Calls {
    most: u32,
    result_bytes: usize,
    /// The same for those of this round, of which there may be many.
    each: usize,
    /// Whether none is run any more.
    are_over: bool,
    made: u32,
    /// What may be shown yet, in bytes of JSON.
    room: usize,
    /// By name and arguments: how often, and what the first one came to.
    same: HashMap<(String, String), (usize, Option<Came>)>,
}

/// What a call came to: for everybody, and for the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Came {
    pub(super) outcome: ToolOutcome,
    pub(super) result: String,
}

/// A call, as it is shown, and what is done about it.
pub(super) struct Planned<'a> {
    pub(super) shown: ToolCall,
    pub(super) call: Call,
    pub(super) next: Next<'a>,
}

/// What is done about a call.
pub(super) enum Next<'a> {
    /// It is run.
    Run(&'a Tool, Arguments),
    /// It has its result without that.
    Came(Came),
}

impl Calls {
    pub(super) fn new(bounds: &Calling) -> Self {
        let (result_bytes, each) = (bounds.result_bytes, bounds.result_bytes);
        Self {
            most: bounds.max_calls,
            result_bytes,
            each,
            are_over: false,
            made: 0,
            room: SHOWN_BYTES_IN_ALL,
            same: HashMap::new(),
        }
    }

    /// So many calls follow, at once. Together, their results have no more room than those of a few.
    pub(super) fn begin(&mut self, calls: usize, are_over: bool) {
        self.each = (self.result_bytes * WHOLE_RESULTS / calls.max(WHOLE_RESULTS)).min(self.result_bytes);
        self.are_over = are_over;
    }

    /// Whether none may follow.
    pub(super) const fn are_used_up(&self) -> bool {
        self.made >= self.most
    }

    /// What is done about a call that stands at `off` in the answer.
    pub(super) fn plan<'a>(&mut self, toolbox: &'a Toolbox, call: Call, off: u64) -> Planned<'a> {
        let tool = toolbox.find(&call.name);
        let checked = tool.map(|tool| (tool, tool.check(&call.arguments)));
        let name = printable(&call.name, NAME_BYTES);
        let args = match &checked {
            Some((_, Ok(arguments))) => all_of(arguments),
            _ => call.arguments.clone(),
        };
        let next = if self.are_over {
            let why = "no more tools are called for this answer: answer with what is known by now";
            Next::Came(Came::not_run(ToolStatus::Error, why))
        } else if self.are_used_up() {
            let why = format!("no more than {} calls are made for an answer", self.most);
            Next::Came(Came::not_run(ToolStatus::Error, &why))
        } else {
            match checked {
                None => Next::Came(Came::not_run(ToolStatus::Error, &format!("there is no tool {name}"))),
                Some((_, Err(wrong))) => Next::Came(Came::not_run(ToolStatus::Invalid, &wrong.to_string())),
                Some((tool, Ok(arguments))) => match self.known(&call, &args) {
                    Some(came) => Next::Came(came),
                    None => Next::Run(tool, arguments),
                },
            }
        };
        self.made = self.made.saturating_add(1);
        let title = tool.map_or_else(|| name.clone(), |tool| tool.title().to_owned());
        let args = self.shown(args).unwrap_or(Value::Null);
        Planned { shown: ToolCall { call: CallId::random(), tool: name, title, args, off }, call, next }
    }

    /// What a call came to that was made often enough. Otherwise it is counted.
    fn known(&mut self, call: &Call, args: &Value) -> Option<Came> {
        let (count, first) = self.same.entry((call.name.clone(), args.to_string())).or_default();
        *count += 1;
        if *count <= SAME_CALLS {
            return None;
        }
        let Some(came) = first else {
            let why = "it is being called with the same arguments already";
            return Some(Came::not_run(ToolStatus::Error, why));
        };
        let result = format!("{}\nThis was called before with the same arguments; it is not run again.", came.result);
        Some(Came { outcome: ToolOutcome { ms: 0, ..came.outcome.clone() }, result })
    }

    /// A value as it is shown and kept: its beginning where it is long, and nothing where there is no room any more.
    fn shown(&mut self, value: Value) -> Option<Value> {
        let text = value.to_string();
        let value = if text.len() <= SHOWN_BYTES { value } else { Value::String(printable(&text, SHOWN_BYTES)) };
        self.room = self.room.checked_sub(text.len().min(SHOWN_BYTES))?;
        Some(value)
    }

    /// A call was run. What it came to is kept for the same call, unless that is known to have come to something.
    pub(super) fn ran(&mut self, planned: &Planned<'_>, came: &Came) {
        if let Next::Run(_, arguments) = &planned.next
            && let Some((_, known)) = self.same.get_mut(&(planned.call.name.clone(), all_of(arguments).to_string()))
            && known.as_ref().is_none_or(|known| known.outcome.status != ToolStatus::Ok)
        {
            *known = Some(came.clone());
        }
    }

    /// What a tool said, in so many milliseconds; `None`: nothing in the time that it had. `quoted`: the passages that it
    /// found.
    pub(super) fn came(&mut self, said: Option<Result<Output, ToolError>>, quoted: Option<String>, ms: u64) -> Came {
        let (status, summary, data) = match said {
            Some(Ok(output)) => (ToolStatus::Ok, output.summary, Some(output.data)),
            Some(Err(error)) => (ToolStatus::Error, error.to_string(), None),
            None => (ToolStatus::Timeout, "it took too long".to_owned(), None),
        };
        let result = quoted.or_else(|| data.as_ref().map(Value::to_string)).unwrap_or_else(|| wrong(&summary));
        let data = data.filter(|data| data.to_string().len() <= SHOWN_BYTES).and_then(|data| self.shown(data));
        let outcome = ToolOutcome { status, ms, summary: printable(&summary, SUMMARY_BYTES), data };
        Came { outcome, result: cut(result, self.each) }
    }
}

impl Came {
    fn not_run(status: ToolStatus, why: &str) -> Self {
        let outcome = ToolOutcome { status, summary: printable(why, SUMMARY_BYTES), ..ToolOutcome::default() };
        Self { outcome, result: cut(wrong(why), MAX_REFUSAL_BYTES) }
    }
}

fn all_of(arguments: &Arguments) -> Value {
    Value::Object(arguments.as_json().clone())
}

/// An error, as the model is told of it.
fn wrong(why: &str) -> String {
    json!({ "error": why }).to_string()
}

/// At most so many bytes of a result, and how much is missing.
fn cut(mut result: String, most: usize) -> String {
    if result.len() > most {
        let kept = result.floor_char_boundary(most);
        let missing = result.len() - kept;
        result.truncate(kept);
        result.push_str(&format!(" … {missing} bytes are left out: ask for less."));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BuiltIn, Tool as Configured, Tools};

    fn toolbox() -> Toolbox {
        Toolbox::of(&Tools { offered: vec![Configured::BuiltIn(BuiltIn::Calc)], ..Tools::default() })
    }

    fn call(expression: &str) -> Call {
        Call { name: "calc".to_owned(), arguments: json!({ "expression": expression }) }
    }

    fn said(data: Value) -> Option<Result<Output, ToolError>> {
        Some(Ok(Output { summary: "x".repeat(1000), data, passages: Vec::new() }))
    }

    #[test]
    fn what_is_long_is_cut_and_the_model_hears_by_how_much() {
        let mut calls = Calls::new(&Calling { result_bytes: 256, ..Calling::default() });
        let came = calls.came(said(json!("ä".repeat(5000))), None, 1);
        assert!(
            came.result.starts_with("\"ää") && came.result.ends_with("9747 bytes are left out: ask for less."),
            "{}",
            came.result
        );
        assert_eq!((came.outcome.data, came.outcome.summary.len()), (None, SUMMARY_BYTES));
        let short = calls.came(said(json!({"a": 1})), None, 1);
        assert_eq!((&*short.result, short.outcome.data), (r#"{"a":1}"#, Some(json!({"a": 1}))));
    }

    #[test]
    fn what_is_shown_is_bounded_for_all_calls_together() {
        let (toolbox, mut calls) = (toolbox(), Calls::new(&Calling::default()));
        let long = "1".repeat(20_000);
        let shown: Vec<_> = (0..10).map(|_| calls.plan(&toolbox, call(&long), 0).shown.args).collect();
        assert!(shown[..8].iter().all(|args| args.as_str().is_some_and(|args| args.len() == SHOWN_BYTES)));
        assert_eq!(shown[8..], [Value::Null, Value::Null]);
    }

    #[test]
    fn no_more_are_run_than_may_be() {
        let (toolbox, mut calls) = (toolbox(), Calls::new(&Calling { max_calls: 1, ..Calling::default() }));
        let is_run = |planned: &Planned<'_>| matches!(planned.next, Next::Run(..));
        assert!(is_run(&calls.plan(&toolbox, call("1 + 1"), 0)));
        assert!(calls.are_used_up() && !is_run(&calls.plan(&toolbox, call("1 + 2"), 0)));
    }
}
