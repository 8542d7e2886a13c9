//! The calls of a conversation, and what came of them: each has exactly one result. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    fields::{Fields, Invalid, invalid},
    tools::function,
};
use crate::{
    chat::printable,
    llm::{Answered, Call},
};

/// So much of an id is repeated in an error, in bytes.
const SHOWN_BYTES: usize = 64;

/// A call that the assistant has made.
pub(super) struct Made {
    call: Call,
    id: String,
    /// The field with its id.
    path: String,
    came: Option<Came>,
}

/// What came of a call.
pub(super) struct Came {
    pub(super) result: String,
    /// The field of the first of its parts that is no text.
    pub(super) foreign: Option<String>,
}

/// The calls that have no result yet: by id, the message and its call.
#[derive(Default)]
pub(super) struct Open(HashMap<String, (usize, usize)>);

impl Made {
    /// The calls of a message.
    pub(super) fn of(message: &Fields<'_>) -> Result<Vec<Self>, Invalid> {
        let calls = match message.get("tool_calls") {
            None => return Ok(Vec::new()),
            Some(calls) => calls.as_array().ok_or_else(|| message.invalid("tool_calls", "must be a list"))?,
        };
        let calls = calls.iter().enumerate();
        calls.map(|(at, call)| Self::read(call, &format!("{}tool_calls[{at}].", message.path))).collect()
    }

    fn read(call: &Value, path: &str) -> Result<Self, Invalid> {
        let call = Fields::of(call, path)?;
        let inner = format!("{path}function.");
        let function = function(&call, &inner)?;
        let arguments = match function.get("arguments") {
            None => Map::new().into(),
            Some(arguments @ Value::Object(_)) => arguments.clone(),
            Some(Value::String(written)) if written.trim().is_empty() => Map::new().into(),
            // What a model has written need not be JSON.
            Some(Value::String(written)) => {
                serde_json::from_str(written).map_or_else(|_| Value::from(written.as_str()), Value::Object)
            }
            Some(_) => return Err(function.invalid("arguments", "must be a text with a JSON object")),
        };
        let name = function.text("name")?.to_owned();
        Ok(Self { call: Call { name, arguments }, id: call.text("id")?.to_owned(), path: call.path("id"), came: None })
    }

    /// What came of it was read.
    pub(super) fn came(&mut self, came: Came) {
        self.came = Some(came);
    }

    /// Refuses one of which nobody says what came of it.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.came.is_some() {
            return Ok(());
        }
        let problem = format!("is `{}`, and no message of `tool` says what came of that", shown(&self.id));
        Err(invalid(&self.path, &problem))
    }

    /// A part of its result that is no text.
    pub(super) fn foreign(&self) -> Option<&str> {
        self.came.as_ref()?.foreign.as_deref()
    }

    /// The call with its result.
    pub(super) fn answered(self) -> Answered {
        Answered { call: self.call, result: self.came.map(|came| came.result).unwrap_or_default() }
    }
}

impl Open {
    /// The message at `turn` has made these calls.
    pub(super) fn begin(&mut self, turn: usize, calls: &[Made]) -> Result<(), Invalid> {
        for (at, made) in calls.iter().enumerate() {
            if self.0.insert(made.id.clone(), (turn, at)).is_some() {
                let problem = format!("is `{}`, as that of another call without a result", shown(&made.id));
                return Err(invalid(&made.path, &problem));
            }
        }
        Ok(())
    }

    /// The message and its call that a message of `tool` has the result of.
    pub(super) fn end(&mut self, result: &Fields<'_>) -> Result<(usize, usize), Invalid> {
        const FIELD: &str = "tool_call_id";
        let id = result.text(FIELD)?;
        let told = || result.invalid(FIELD, &format!("is `{}`, and no call before it waits for that", shown(id)));
        self.0.remove(id).ok_or_else(told)
    }
}

fn shown(id: &str) -> String {
    printable(id, SHOWN_BYTES)
}
