//! The calls of one answer: which may be run, what of them is shown, and what the model is told came of them.
//!
//! Pure. Results are data: each goes to the model as JSON, cut where it is long. Uses `chat`, `llm`'s plain values and `tools`.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    chat::{Approval, Artifact, CallId, Message, Timestamp, ToolCall, ToolOutcome, ToolStatus, ToolUse, printable},
    config::Calling,
    llm::{Answered, Call},
    tools::{Arguments, Output, Tool, ToolError, Toolbox},
};

/// With the same arguments a tool is run so often in one answer, and one that changes something once; further calls are
/// answered from the first one.
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
    /// Whether there is a conversation that keeps them, and somebody who can be asked.
    are_kept: bool,
    /// Whether one of this round waits to be allowed.
    has_waiting: bool,
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
    /// It is run when somebody has allowed it, if they do.
    Wait(Box<Came>),
}

impl Calls {
    /// `are_kept`: calls that change something, or have to be allowed, can be made.
    pub(super) fn new(bounds: &Calling, are_kept: bool) -> Self {
        let (result_bytes, each) = (bounds.result_bytes, bounds.result_bytes);
        Self {
            most: bounds.max_calls,
            result_bytes,
            each,
            are_over: false,
            are_kept,
            has_waiting: false,
            made: 0,
            room: SHOWN_BYTES_IN_ALL,
            same: HashMap::new(),
        }
    }

    /// So many calls follow, at once. Together, their results have no more room than those of a few.
    pub(super) fn begin(&mut self, calls: usize, are_over: bool) {
        self.each = (self.result_bytes * WHOLE_RESULTS / calls.max(WHOLE_RESULTS)).min(self.result_bytes);
        (self.are_over, self.has_waiting) = (are_over, false);
    }

    /// Whether none may follow.
    pub(super) const fn are_used_up(&self) -> bool {
        self.made >= self.most
    }

    /// What is done about a call that stands at `off` in the answer.
    pub(super) fn plan<'a>(&mut self, toolbox: &'a Toolbox, call: Call, off: u64, now: Timestamp) -> Planned<'a> {
        let id = CallId::random();
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
                Some((tool, Ok(arguments))) => match self.known(&call, &args, tool.changes()) {
                    Some(came) => Next::Came(came),
                    None => self.allowed(tool, arguments, &args, &id, now),
                },
            }
        };
        self.made = self.made.saturating_add(1);
        let title = tool.map_or_else(|| name.clone(), |tool| tool.title().to_owned());
        let args = self.shown(args).unwrap_or(Value::Null);
        let changes = tool.is_some_and(Tool::changes);
        Planned { shown: ToolCall { call: id, tool: name, title, args, off, changes }, call, next }
    }

    /// What is done about a call that could be run: it may have to be allowed.
    fn allowed<'a>(
        &mut self,
        tool: &'a Tool,
        arguments: Arguments,
        args: &Value,
        id: &CallId,
        now: Timestamp,
    ) -> Next<'a> {
        let refused = |why| Next::Came(Came::not_run(ToolStatus::Error, why));
        let asks = match tool.asks() {
            _ if (tool.changes() || tool.asks().is_some()) && !self.are_kept => {
                return refused("this is called in conversations alone, where it is kept and somebody can be asked");
            }
            None if tool.changes() && self.has_waiting => {
                return refused("another call has to be allowed first: call this once more afterwards");
            }
            None => return Next::Run(tool, arguments),
            Some(_) if self.has_waiting => {
                return refused("one call has to be allowed after the other: call this once more afterwards");
            }
            // Whoever allows it is shown all of it.
            Some(_) if args.to_string().len() > SHOWN_BYTES.min(self.room) => {
                return refused("its arguments are too long to be shown to whoever has to allow it");
            }
            Some(asks) => asks,
        };
        self.has_waiting = true;
        let until = now.plus_seconds(asks.ttl_h.saturating_mul(3600));
        let approval = Approval::of(id.clone(), tool.name(), args, asks.approver.clone(), until);
        let outcome = ToolOutcome { status: ToolStatus::Waiting, approval: Some(approval), ..ToolOutcome::default() };
        Next::Wait(Box::new(Came { outcome, result: String::new() }))
    }

    /// What an earlier answer to the same question has called is not called once more without need.
    pub(super) fn know(&mut self, answer: &Message) {
        let was_made = |used: &&ToolUse| {
            let ToolOutcome { status, ms, approval, .. } = &used.outcome;
            approval.is_none() && (*ms > 0 || !matches!(status, ToolStatus::Error | ToolStatus::Invalid))
        };
        for used in answer.tools.iter().filter(was_made) {
            let call = Call { name: used.call.tool.clone(), arguments: used.call.args.clone() };
            self.note(&call, Came { outcome: used.outcome.clone(), result: told(&used.outcome) });
        }
    }

    /// A call was made, and came to this.
    pub(super) fn note(&mut self, call: &Call, came: Came) {
        self.made = self.made.saturating_add(1);
        let (count, known) = self.same.entry((call.name.clone(), call.arguments.to_string())).or_default();
        *count += 1;
        *known = Some(came);
    }

    /// What is done about a call that has waited, and is decided.
    pub(super) fn resume<'a>(toolbox: &'a Toolbox, used: &ToolUse) -> Planned<'a> {
        let call = Call { name: used.call.tool.clone(), arguments: used.call.args.clone() };
        let next = match (used.outcome.status, toolbox.find(&call.name)) {
            (ToolStatus::Approved, Some(tool)) => match tool.check(&call.arguments) {
                // Nothing else is done than what was shown.
                Ok(arguments) if all_of(&arguments) != call.arguments => {
                    let why = "the tool takes other arguments than when it was allowed: call it once more";
                    Next::Came(Came::not_run(ToolStatus::Invalid, why))
                }
                Ok(arguments) => Next::Run(tool, arguments),
                Err(wrong) => Next::Came(Came::not_run(ToolStatus::Invalid, &wrong.to_string())),
            },
            (ToolStatus::Approved, None) => {
                Next::Came(Came::not_run(ToolStatus::Error, "there is no such tool any more"))
            }
            _ => Next::Came(denied(used)),
        };
        Planned { shown: ToolCall { call: CallId::random(), off: 0, ..used.call.clone() }, call, next }
    }

    /// What a call came to that was made often enough. Otherwise it is counted.
    fn known(&mut self, call: &Call, args: &Value, changes: bool) -> Option<Came> {
        let (count, first) = self.same.entry((call.name.clone(), args.to_string())).or_default();
        *count += 1;
        if *count <= if changes { 1 } else { SAME_CALLS } {
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
    /// found; `artifacts`: what is kept of what it made.
    pub(super) fn came(
        &mut self,
        said: Option<Result<Output, ToolError>>,
        quoted: Option<String>,
        artifacts: Vec<Artifact>,
        ms: u64,
        changes: bool,
    ) -> Came {
        let (status, summary, data) = match said {
            Some(Ok(output)) => (ToolStatus::Ok, output.summary, Some(output.data)),
            Some(Err(error)) if changes && error.is_uncertain() => {
                (ToolStatus::Error, format!("{error}; whether it came to anything is not known"), None)
            }
            Some(Err(error)) => (ToolStatus::Error, error.to_string(), None),
            None if changes => {
                let why = "it took too long, and whether it came to anything is not known: it is not called again";
                (ToolStatus::Timeout, why.to_owned(), None)
            }
            None => (ToolStatus::Timeout, "it took too long".to_owned(), None),
        };
        let result = quoted.or_else(|| data.as_ref().map(Value::to_string)).unwrap_or_else(|| wrong(&summary));
        let data = data.filter(|data| data.to_string().len() <= SHOWN_BYTES).and_then(|data| self.shown(data));
        let summary = printable(&summary, SUMMARY_BYTES);
        let outcome = ToolOutcome { status, ms, summary, data, approval: None, artifacts };
        Came { outcome, result: cut(result, self.each) }
    }
}

impl Came {
    fn not_run(status: ToolStatus, why: &str) -> Self {
        let outcome = ToolOutcome { status, summary: printable(why, SUMMARY_BYTES), ..ToolOutcome::default() };
        Self { outcome, result: cut(wrong(why), MAX_REFUSAL_BYTES) }
    }
}

/// The calls of an answer that is gone on from, with what the model is told came of each; without the one that was decided,
/// which is told where it was made.
pub(super) fn answered(answer: &Message) -> Vec<Answered> {
    let others = answer.tools.iter().filter(|used| used.outcome.approval.is_none());
    let each = others.map(|used| {
        let call = Call { name: used.call.tool.clone(), arguments: used.call.args.clone() };
        Answered { call, result: told(&used.outcome) }
    });
    each.collect()
}

/// What a model is told of a call that came to this before.
fn told(outcome: &ToolOutcome) -> String {
    outcome.data.as_ref().map_or_else(|| wrong(&outcome.summary), Value::to_string)
}

/// The call of an answer that was decided.
pub(super) fn decided(answer: &Message) -> Option<&ToolUse> {
    let is_it = |used: &&ToolUse| matches!(used.outcome.status, ToolStatus::Approved | ToolStatus::Denied);
    answer.tools.iter().find(is_it)
}

fn denied(used: &ToolUse) -> Came {
    let comment = used.outcome.approval.as_ref().and_then(|approval| approval.comment.as_deref());
    let why = match comment {
        Some(comment) => format!("it was not allowed, and not done. They said: {comment}"),
        None => "it was not allowed, and not done".to_owned(),
    };
    Came::not_run(ToolStatus::Denied, &why)
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
        Some(Ok(Output { summary: "x".repeat(1000), data, ..Output::default() }))
    }

    #[test]
    fn what_is_long_is_cut_and_the_model_hears_by_how_much() {
        let mut calls = Calls::new(&Calling { result_bytes: 256, ..Calling::default() }, true);
        let came = calls.came(said(json!("ä".repeat(5000))), None, Vec::new(), 1, false);
        assert!(
            came.result.starts_with("\"ää") && came.result.ends_with("9747 bytes are left out: ask for less."),
            "{}",
            came.result
        );
        assert_eq!((came.outcome.data, came.outcome.summary.len()), (None, SUMMARY_BYTES));
        let short = calls.came(said(json!({"a": 1})), None, Vec::new(), 1, false);
        assert_eq!((&*short.result, short.outcome.data), (r#"{"a":1}"#, Some(json!({"a": 1}))));
    }

    #[test]
    fn what_is_shown_is_bounded_for_all_calls_together() {
        let (toolbox, mut calls) = (toolbox(), Calls::new(&Calling::default(), true));
        let long = "1".repeat(20_000);
        let shown: Vec<_> = (0..10).map(|_| calls.plan(&toolbox, call(&long), 0, Timestamp(0)).shown.args).collect();
        assert!(shown[..8].iter().all(|args| args.as_str().is_some_and(|args| args.len() == SHOWN_BYTES)));
        assert_eq!(shown[8..], [Value::Null, Value::Null]);
    }

    #[test]
    fn no_more_are_run_than_may_be() {
        let (toolbox, mut calls) = (toolbox(), Calls::new(&Calling { max_calls: 1, ..Calling::default() }, true));
        let is_run = |planned: &Planned<'_>| matches!(planned.next, Next::Run(..));
        assert!(is_run(&calls.plan(&toolbox, call("1 + 1"), 0, Timestamp(0))));
        assert!(calls.are_used_up() && !is_run(&calls.plan(&toolbox, call("1 + 2"), 0, Timestamp(0))));
    }
}
