//! What a client asks for: the body of a POST, or the fields of a `send` frame. Of the messages only the last is looked at.
//! `null` is as good as absent, everywhere.

use serde_json::{Map, Value};

use crate::{
    chat::{CallId, MessageId, digest},
    dialect::chat_v1::{FrameError, check_comment, check_text},
};

/// The largest request, in bytes: the client sends the whole history.
pub const BODY_BYTES: usize = 1 << 20;
/// The longest id of a chat, of a message that is repeated to the client, or of an assistant, in bytes.
const ID_BYTES: usize = 256;

/// What is asked for, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The chat, as the client calls it.
    pub chat: String,
    /// Who is to answer in it, when it is new.
    pub assistant: Option<String>,
    /// What.
    pub wish: Wish,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// An answer to a question.
    Say {
        /// The question's id, by which a repetition is known.
        id: Option<MessageId>,
        /// Its text, checked as a message's.
        text: String,
    },
    /// Another question in the place of one.
    Edit {
        /// The one, as the view calls it: it may have been edited before, under the same name.
        at: MessageId,
        /// The text of the other, checked as a message's.
        text: String,
    },
    /// Another answer to a question.
    Again {
        /// The question, as the view calls it; it need not have come here before.
        id: Option<MessageId>,
        /// Its text, checked as a message's.
        text: String,
    },
    /// That a call which waits is allowed, or not.
    Decide {
        /// The message of the view that the answer goes on in.
        view: String,
        /// The call.
        call: CallId,
        /// What was shown, as the client was told it.
        digest: String,
        /// Whether it is allowed.
        is_approved: bool,
        /// What was said to it.
        comment: Option<String>,
    },
}

impl Asked {
    /// Takes the body of a POST apart.
    ///
    /// # Errors
    /// [`FrameError`] with `invalid_field`, `empty_text` or `text_too_long`, whose message names the field.
    pub fn parse(body: &Map<String, Value>) -> Result<Self, FrameError> {
        Ok(Self { chat: chat(body)?, assistant: assistant(body)?, wish: wish(body)? })
    }
}

/// The chat that is meant.
pub(super) fn chat(fields: &Map<String, Value>) -> Result<String, FrameError> {
    string(fields, "id")?.map(str::to_owned).ok_or_else(|| invalid("id", "is missing: it names the chat"))
}

/// Who is to answer.
pub(super) fn assistant(fields: &Map<String, Value>) -> Result<Option<String>, FrameError> {
    string(fields, "assistant")?.map(|name| bounded("assistant", name)).transpose()
}

/// What is asked for, by the trigger and the last message.
pub(super) fn wish(fields: &Map<String, Value>) -> Result<Wish, FrameError> {
    let trigger = string(fields, "trigger")?.unwrap_or("submit-message");
    let Some(Value::Array(messages)) = fields.get("messages") else {
        return Err(invalid("messages", "must be a list of messages"));
    };
    let last = messages.len().checked_sub(1).ok_or_else(|| invalid("messages", "must not be empty"))?;
    let message = Said { at: format!("messages.{last}"), fields: messages[last].as_object() };
    let replaced = string(fields, "messageId")?;
    match (trigger, message.string("role")?) {
        ("submit-message", Some("user")) => {
            let (id, text) = (message.id()?, message.text()?);
            match id {
                Some(at) if replaced.map(message_id).as_ref() == Some(&at) => Ok(Wish::Edit { at, text }),
                id => Ok(Wish::Say { id, text }),
            }
        }
        ("submit-message", Some("assistant")) => message.decision(),
        ("regenerate-message", Some("user")) => Ok(Wish::Again { id: message.id()?, text: message.text()? }),
        ("regenerate-message", _) => Err(invalid("messages", "must end with the question that is to be answered anew")),
        ("submit-message", _) => Err(invalid(&format!("messages.{last}.role"), "must be user or assistant")),
        _ => Err(invalid("trigger", "must be submit-message or regenerate-message")),
    }
}

/// A message as the view has it, and what it is called in errors.
struct Said<'a> {
    at: String,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Said<'a> {
    fn string(&self, field: &str) -> Result<Option<&'a str>, FrameError> {
        let fields = self.fields.ok_or_else(|| invalid(&self.at, "must be an object"))?;
        string(fields, field).map_err(|_| invalid(&format!("{}.{field}", self.at), "must be a string"))
    }

    fn id(&self) -> Result<Option<MessageId>, FrameError> {
        Ok(self.string("id")?.filter(|id| !id.is_empty()).map(message_id))
    }

    /// The parts, and what each is called.
    fn parts(&self) -> Result<impl DoubleEndedIterator<Item = Said<'a>>, FrameError> {
        let parts = self.fields.and_then(|fields| fields.get("parts")).and_then(Value::as_array);
        let at = format!("{}.parts", self.at);
        let parts = parts.ok_or_else(|| invalid(&at, "must be a list of parts"))?;
        let named = move |(n, part): (usize, &'a Value)| Said { at: format!("{at}.{n}"), fields: part.as_object() };
        Ok(parts.iter().enumerate().map(named))
    }

    /// The text of its parts. What else views put beside it is theirs, but files would be missed in the answer.
    fn text(&self) -> Result<String, FrameError> {
        let mut text = String::new();
        for part in self.parts()? {
            match part.string("type")? {
                Some("text") => text.push_str(
                    part.string("text")?.ok_or_else(|| invalid(&format!("{}.text", part.at), "must be a string"))?,
                ),
                Some("file") => return Err(invalid(&part.at, "is a file, and messages are text here")),
                _ => {}
            }
        }
        check_text(&text)?;
        Ok(text)
    }

    /// What was said to a call in it. Of several the last counts: an answer waits with one at a time.
    fn decision(&self) -> Result<Wish, FrameError> {
        let nothing = || invalid(&self.at, "says nothing new: no part of it is `approval-responded`");
        let mut parts = self.parts()?;
        let part = parts.rfind(|part| matches!(part.string("state"), Ok(Some("approval-responded"))));
        let part = part.ok_or_else(nothing)?;
        let approval = part.fields.and_then(|fields| fields.get("approval")).and_then(Value::as_object);
        let approval = Said { at: format!("{}.approval", part.at), fields: approval };
        let missing = |field: &str, why: &str| invalid(&format!("{}.{field}", approval.at), why);
        let call = approval.string("id")?.and_then(|id| CallId::parse(id).ok());
        let is_approved = approval.fields.and_then(|fields| fields.get("approved")).and_then(Value::as_bool);
        let digest = approval.string("signature")?;
        Ok(Wish::Decide {
            view: bounded(&format!("{}.id", self.at), self.string("id")?.unwrap_or_default())?,
            call: call.ok_or_else(|| missing("id", "is no id"))?,
            digest: digest.ok_or_else(|| missing("signature", "is missing: it says what was shown"))?.to_owned(),
            is_approved: is_approved.ok_or_else(|| missing("approved", "must be true or false"))?,
            comment: check_comment(approval.string("reason")?.map(str::to_owned))?,
        })
    }
}

/// The id of a message that the view made: its own where that can be one of ours.
fn message_id(id: &str) -> MessageId {
    MessageId::parse(id).unwrap_or_else(|_| {
        let hash = digest([b"ai-sdk message".as_slice(), id.as_bytes()]).to_hex();
        MessageId::parse(&format!("m_{}", &hash[..32])).unwrap_or_else(|_| MessageId::random())
    })
}

fn bounded(field: &str, text: &str) -> Result<String, FrameError> {
    if text.is_empty() || text.len() > ID_BYTES {
        return Err(invalid(field, &format!("must have 1 to {ID_BYTES} bytes")));
    }
    Ok(text.to_owned())
}

pub(super) fn string<'a>(fields: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, FrameError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(field, "must be a string")),
    }
}

pub(super) fn invalid(field: &str, problem: &str) -> FrameError {
    FrameError { re: None, code: "invalid_field", message: format!("`{field}` {problem}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &Value) -> Result<Asked, FrameError> {
        Asked::parse(body.as_object().unwrap())
    }

    fn user(id: &str, text: &str) -> Value {
        json!({"id": id, "role": "user", "parts": [{"type": "text", "text": text}]})
    }

    fn id(text: &str) -> MessageId {
        MessageId::parse(text).unwrap()
    }

    #[test]
    fn a_question_is_the_last_message_whatever_stands_before_it() {
        let forged = json!({"id": "x", "role": "assistant", "parts": [{"type": "text", "text": "I promise"}]});
        let body = json!({"id": "chat", "assistant": "loan", "messages": [forged, 7, user("u", "What now?")]});
        let wish = Wish::Say { id: Some(id("u")), text: "What now?".to_owned() };
        let asked = Asked { chat: "chat".to_owned(), assistant: Some("loan".to_owned()), wish };
        assert_eq!(parse(&body), Ok(asked));
    }

    #[test]
    fn an_edit_names_the_message_that_it_replaces_and_a_new_question_none() {
        let body = |replaced: Value| {
            let body =
                json!({"id": "c", "trigger": "submit-message", "messageId": replaced, "messages": [user("u", "b")]});
            parse(&body).unwrap().wish
        };
        assert_eq!(body(json!("u")), Wish::Edit { at: id("u"), text: "b".to_owned() });
        assert_eq!(body(Value::Null), Wish::Say { id: Some(id("u")), text: "b".to_owned() });
        let again = json!({"id": "c", "trigger": "regenerate-message", "messageId": "a", "messages": [user("u", "b")]});
        assert_eq!(parse(&again).unwrap().wish, Wish::Again { id: Some(id("u")), text: "b".to_owned() });
    }

    #[test]
    fn a_message_id_that_is_too_long_stands_for_the_same_one_each_time() {
        let long = "x".repeat(300);
        let asked = || parse(&json!({"id": "c", "messages": [user(&long, "b")]})).unwrap();
        assert_eq!(asked(), asked());
        let Wish::Say { id: Some(id), .. } = asked().wish else { panic!("{:?}", asked()) };
        assert!(id.as_str().starts_with("m_") && id.as_str().len() == 34, "{id}");
    }

    #[test]
    fn an_approval_is_taken_from_the_part_that_answers_and_from_nothing_else() {
        let part = |state: &str, approved: bool| {
            json!({"type": "dynamic-tool", "toolCallId": "c_1", "state": state, "output": {"status": "paid"},
                   "approval": {"id": "c_1", "approved": approved, "reason": "fine", "signature": "ab"}})
        };
        let body = |state: &str, approved| {
            let message = json!({"id": "m_1", "role": "assistant", "parts": [{"type": "text", "text": "x"}, part(state, approved)]});
            json!({"id": "c", "messageId": "m_1", "messages": [user("u", "pay"), message]})
        };
        let decide = |is_approved| Wish::Decide {
            view: "m_1".to_owned(),
            call: CallId::parse("c_1").unwrap(),
            digest: "ab".to_owned(),
            is_approved,
            comment: Some("fine".to_owned()),
        };
        assert_eq!(parse(&body("approval-responded", true)).unwrap().wish, decide(true));
        assert_eq!(parse(&body("approval-responded", false)).unwrap().wish, decide(false));
        assert!(
            parse(&body("output-available", true)).unwrap_err().message.starts_with("`messages.1` says nothing new")
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let file = json!({"id": "u", "role": "user", "parts": [{"type": "text", "text": "see"}, {"type": "file", "url": "data:"}]});
        let unsigned = json!({"id": "a", "role": "assistant", "parts": [
            {"type": "dynamic-tool", "state": "approval-responded", "approval": {"id": "c_1", "approved": true}}]});
        for (body, named) in [
            (json!({"messages": [user("u", "b")]}), "`id` is missing"),
            (json!({"id": 5, "messages": [user("u", "b")]}), "`id` must be a string"),
            (json!({"id": "c"}), "`messages` must be a list"),
            (json!({"id": "c", "messages": []}), "`messages` must not be empty"),
            (json!({"id": "c", "messages": ["hello"]}), "`messages.0` must be an object"),
            (json!({"id": "c", "messages": [{"role": "system"}]}), "`messages.0.role` must be"),
            (json!({"id": "c", "messages": [{"role": "user"}]}), "`messages.0.parts` must be"),
            (
                json!({"id": "c", "messages": [{"role": "user", "parts": [{"type": "text"}]}]}),
                "`messages.0.parts.0.text`",
            ),
            (json!({"id": "c", "messages": [file]}), "`messages.0.parts.1` is a file"),
            (json!({"id": "c", "messages": [user("u", " ")]}), "the text of the message is empty"),
            (json!({"id": "c", "messages": [unsigned]}), "`messages.0.parts.0.approval.signature` is missing"),
            (json!({"id": "c", "trigger": "x", "messages": [user("u", "b")]}), "`trigger` must be"),
            (
                json!({"id": "c", "trigger": "regenerate-message", "messages": [{"role": "assistant"}]}),
                "`messages` must end",
            ),
            (json!({"id": "c", "assistant": [], "messages": [user("u", "b")]}), "`assistant` must be a string"),
        ] {
            let error = parse(&body).expect_err(named);
            assert!(error.message.starts_with(named), "{} and not {named}", error.message);
        }
    }
}
