//! What a run is asked for. The history that comes with it is the client's own: only its last message of the user is new, and
//! what was said before is known here already. Pure.
//!
//! Tools, state and context of the client are not looked at: an assistant of this gateway has its own.

use serde_json::{Map, Value};

use super::history::History;
use crate::{
    chat::{CallId, MessageId, ToolStatus, digest},
    dialect::{
        named::{named, no_name},
        openai::{Invalid, invalid},
    },
};

/// A run that is asked for.
#[derive(Debug)]
pub struct RunAgentInput {
    /// What the client calls the conversation.
    pub thread: String,
    /// What it calls the run.
    pub run: String,
    /// What it wants.
    pub asked: Asked,
    /// A call of an earlier answer of which is known now what becomes of it.
    pub settled: Option<(CallId, ToolStatus)>,
    /// The conversation as the client has it.
    pub history: History,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// An answer to what the user said last.
    Say {
        /// By which a repetition is known.
        id: MessageId,
        /// What was said. Its bounds are not checked.
        text: String,
    },
    /// A call that waits is allowed, or not.
    Decide(Verdict),
}

/// Yes or no to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// To which.
    pub call: CallId,
    /// That of the call, as it was shown.
    pub digest: String,
    /// Whether it is yes.
    pub is_approved: bool,
    /// What is said to it. Its bounds are not checked.
    pub comment: Option<String>,
}

/// The id of the interrupt that a call waits behind. It tells what was shown, so that nothing else is allowed by saying it
/// back.
pub(super) fn interrupt_id(call: &CallId, digest: &str) -> String {
    format!("{call}:{digest}")
}

impl RunAgentInput {
    /// Takes a request apart. `null` is as good as absent.
    ///
    /// # Errors
    /// [`Invalid`], for the first field that is missing or wrong.
    pub fn parse(body: &Value) -> Result<Self, Invalid> {
        let fields = body.as_object().ok_or_else(|| invalid("body", "must be an object"))?;
        let name = |field| named(fields, field)?.ok_or_else(|| no_name(field));
        let (thread, run) = (name("threadId")?, name("runId")?);
        let (history, last) = messages(fields)?;
        let verdict = verdict(fields)?;
        let is_new = last.as_ref().is_some_and(|(_, is_last)| *is_last);
        let (asked, settled) = match (verdict, last) {
            // Whoever says something else instead of yes or no goes on without the call.
            (Some((verdict, false)), Some((said, _))) if is_new => {
                (said?, Some((verdict.call, ToolStatus::Superseded)))
            }
            (Some((_, true)), Some((_, true))) => {
                return Err(invalid("resume", "something new is asked beside a decision: ask it in the next run"));
            }
            (Some((verdict, _)), _) => {
                let status = if verdict.is_approved { ToolStatus::Approved } else { ToolStatus::Denied };
                let settled = Some((verdict.call.clone(), status));
                (Asked::Decide(verdict), settled)
            }
            (None, Some((said, _))) => (said?, None),
            (None, None) => return Err(invalid("messages", "must have a message of the role `user`")),
        };
        Ok(Self { thread, run, asked, settled, history })
    }
}

/// What the user said last, and whether nothing follows it.
type Last = (Result<Asked, Invalid>, bool);

fn messages(fields: &Map<String, Value>) -> Result<(History, Option<Last>), Invalid> {
    let messages =
        fields.get("messages").and_then(Value::as_array).ok_or_else(|| invalid("messages", "must be a list"))?;
    let (mut history, mut last) = (History::default(), None);
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let fields = message.as_object().ok_or_else(|| invalid(&path, "must be an object"))?;
        let text = |name: &str| {
            let text = fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.ok_or_else(|| invalid(&format!("{path}.{name}"), "must be a text"))
        };
        let (id, role) = (text("id")?, text("role")?);
        history.push(id, message);
        if role == "user" {
            last = Some((id, fields, path, at + 1 == messages.len()));
        }
    }
    let last = last.map(|(id, fields, path, is_last)| {
        let said = content(fields.get("content"), &format!("{path}.content"));
        (said.map(|text| Asked::Say { id: message_id(id), text }), is_last)
    });
    Ok((history, last))
}

/// The text of a message: one, or parts that are all texts.
fn content(content: Option<&Value>, path: &str) -> Result<String, Invalid> {
    match content {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let mut texts = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let text = part.get("text").and_then(Value::as_str).filter(|_| part["type"] == "text");
                let told = || Invalid {
                    code: "unsupported_parameter",
                    param: format!("{path}[{at}]"),
                    problem: "is no text, and this gateway reads nothing else in a message".to_owned(),
                };
                texts.push(text.ok_or_else(told)?);
            }
            Ok(texts.join("\n"))
        }
        _ => Err(invalid(path, "must be a text, or a list of parts")),
    }
}

/// What is said to the call that waits, and whether it is a word at all: an interrupt that was only cancelled has none.
fn verdict(fields: &Map<String, Value>) -> Result<Option<(Verdict, bool)>, Invalid> {
    let entries = match fields.get("resume") {
        None | Some(Value::Null) => return Ok(None),
        Some(entries) => entries.as_array().ok_or_else(|| invalid("resume", "must be a list"))?,
    };
    let entry = match entries.as_slice() {
        [] => return Ok(None),
        [entry] => entry,
        _ => return Err(invalid("resume", "must have one entry: there is never more than one interrupt")),
    };
    let wrong = |name: &str, problem: &str| invalid(&format!("resume[0].{name}"), problem);
    let known = entry["interruptId"].as_str().and_then(|id| id.rsplit_once(':'));
    let known = known.and_then(|(call, digest)| Some((CallId::parse(call).ok()?, digest.to_owned())));
    let (call, digest) = known.ok_or_else(|| wrong("interruptId", "must be that of an interrupt of this gateway"))?;
    let payload = &entry["payload"];
    let (is_approved, is_said) = match entry["status"].as_str() {
        Some("cancelled") => (false, false),
        Some("resolved") => {
            let yes_or_no = payload.as_bool().or_else(|| payload["approved"].as_bool());
            let told = || wrong("payload", "must be true or false, or an object whose `approved` is that");
            (yes_or_no.ok_or_else(told)?, true)
        }
        _ => return Err(wrong("status", "must be `resolved` or `cancelled`")),
    };
    let comment = payload["comment"].as_str().map(str::to_owned);
    Ok(Some((Verdict { call, digest, is_approved, comment }, is_said)))
}

/// The message's id as it is known here: one that is too long has another in its place, always the same.
fn message_id(id: &str) -> MessageId {
    MessageId::parse(id).unwrap_or_else(|_| {
        let known = format!("m_{}", &digest([id.as_bytes()]).to_hex()[..32]);
        MessageId::parse(&known).unwrap_or_else(|_| MessageId::random())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(more: &Value) -> Value {
        let mut input = json!({
            "threadId": "t", "runId": "r", "protocolVersion": "1.0", "state": {}, "tools": [], "context": [],
            "messages": [
                {"id": "u1", "role": "user", "content": "Hello"},
                {"id": "m1", "role": "assistant", "content": "Hi.", "name": null},
                {"id": "u2", "role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "b?"}]},
            ],
        });
        let fields = input.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        input
    }

    fn resume(entry: &Value) -> Value {
        json!({"resume": [entry]})
    }

    #[test]
    fn what_the_user_said_last_is_asked() {
        let read = RunAgentInput::parse(&input(&json!({"resume": []}))).unwrap();
        let say = |id: &str, text: &str| Asked::Say { id: MessageId::parse(id).unwrap(), text: text.into() };
        assert_eq!((read.asked, read.settled), (say("u2", "A\nb?"), None));
        let told: Vec<_> = read.history.told().map(|told| serde_json::to_value(told).unwrap()).collect();
        assert_eq!(told[1], json!({"id": "m1", "role": "assistant", "content": "Hi."}), "nothing is null");
        // After a lost connection, what was told of the answer follows it.
        let again =
            json!({"messages": [{"id": "u1", "role": "user", "content": "Hello"}, {"id": "m1", "role": "assistant"}]});
        assert_eq!(RunAgentInput::parse(&input(&again)).unwrap().asked, say("u1", "Hello"));
    }

    #[test]
    fn an_id_that_is_too_long_is_always_the_same_other_one() {
        let long = |end: &str| {
            let id = "x".repeat(100) + end;
            let messages = json!({"messages": [{"id": id, "role": "user", "content": "Hello"}]});
            RunAgentInput::parse(&input(&messages)).unwrap().asked
        };
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
    }

    #[test]
    fn yes_and_no_name_the_call_and_what_was_shown() {
        let call = CallId::random();
        let id = interrupt_id(&call, "d1");
        let answered = json!([{"id": "u1", "role": "user", "content": "Hello"}, {"id": "m1", "role": "assistant"}]);
        for (status, payload, is_approved) in [
            ("resolved", json!(true), true),
            ("resolved", json!({"approved": false, "comment": "too much"}), false),
            ("cancelled", Value::Null, false),
        ] {
            let more =
                json!({"messages": answered, "resume": [{"interruptId": id, "status": status, "payload": payload}]});
            let read = RunAgentInput::parse(&input(&more)).unwrap();
            let comment = payload["comment"].as_str().map(str::to_owned);
            let verdict = Verdict { call: call.clone(), digest: "d1".into(), is_approved, comment };
            assert_eq!(read.asked, Asked::Decide(verdict));
            let status = if is_approved { ToolStatus::Approved } else { ToolStatus::Denied };
            assert_eq!(read.settled, Some((call.clone(), status)));
        }
        // Who says something new instead goes on without the call; both at once would lose one.
        let entry = |status: &str| json!({"interruptId": id, "status": status, "payload": true});
        let read = RunAgentInput::parse(&input(&resume(&entry("cancelled")))).unwrap();
        assert!(matches!(read.asked, Asked::Say { .. }), "{:?}", read.asked);
        assert_eq!(read.settled, Some((call.clone(), ToolStatus::Superseded)));
        let both = RunAgentInput::parse(&input(&resume(&entry("resolved")))).unwrap_err();
        assert_eq!((both.code, both.param.as_str()), ("invalid_field", "resume"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |message: Value| json!({"messages": [message]});
        for (more, param) in [
            (json!({"threadId": null}), "threadId"),
            (json!({"runId": "x".repeat(129)}), "runId"),
            (json!({"threadId": "a\nb"}), "threadId"),
            (json!({"messages": "Hello"}), "messages"),
            (json!({"messages": []}), "messages"),
            (message(json!("Hello")), "messages[0]"),
            (message(json!({"role": "user", "content": "Hello"})), "messages[0].id"),
            (message(json!({"id": "u", "content": "Hello"})), "messages[0].role"),
            (message(json!({"id": "u", "role": "user"})), "messages[0].content"),
            (
                message(json!({"id": "u", "role": "user", "content": [{"type": "image", "source": {}}]})),
                "messages[0].content[0]",
            ),
            (json!({"resume": {}}), "resume"),
            (json!({"resume": [{}, {}]}), "resume"),
            (resume(&json!({"interruptId": "i", "status": "resolved", "payload": true})), "resume[0].interruptId"),
            (resume(&json!({"interruptId": "c_1:d", "status": "resolved"})), "resume[0].payload"),
            (resume(&json!({"interruptId": "c_1:d", "status": "done"})), "resume[0].status"),
        ] {
            assert_eq!(RunAgentInput::parse(&input(&more)).unwrap_err().param, param, "{more}");
        }
        assert_eq!(RunAgentInput::parse(&json!([])).unwrap_err().param, "body");
    }
}
