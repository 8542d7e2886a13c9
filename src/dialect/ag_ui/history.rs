//! The messages of a conversation as the client has them: told back as they came, where some of an answer is withdrawn. Pure.

use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// A message of the client's.
#[derive(Debug)]
pub(super) struct Message {
    id: String,
    json: Box<RawValue>,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub struct History(Vec<Message>);

impl History {
    /// Keeps a message. Clients are strict about what is `null`: it is left out, as absent means the same.
    pub(super) fn push(&mut self, id: &str, message: &Value) {
        let mut message = message.clone();
        leave_out_nulls(&mut message);
        for call in message.get_mut("toolCalls").and_then(Value::as_array_mut).into_iter().flatten() {
            leave_out_nulls(call);
        }
        if let Ok(json) = to_raw_value(&message) {
            self.0.push(Message { id: id.to_owned(), json });
        }
    }

    /// Forgets what was told of this answer before: it is told again from its beginning. Whether there was any of it.
    pub(super) fn forget(&mut self, answer: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|message| !is_of(&message.id, answer));
        self.0.len() < before
    }

    /// As they are told back.
    pub(super) fn told(&self) -> impl Iterator<Item = Told<'_>> {
        self.0.iter().map(|message| Told(&message.json))
    }
}

/// A message that is told back.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(super) struct Told<'a>(&'a RawValue);

/// Whether a message belongs to an answer: its first one has the answer's id, and all others begin with that.
fn is_of(id: &str, answer: &str) -> bool {
    id.strip_prefix(answer).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn leave_out_nulls(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}
