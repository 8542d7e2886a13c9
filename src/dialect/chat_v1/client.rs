//! What a client may say.
//!
//! Unknown fields are ignored; a field of the wrong kind is named. Frames are checked by hand and not by a derived
//! deserializer, because its errors cannot tell a client which field was wrong in words it can show.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bounds::{COMMENT_CHARS, TEXT_CHARS};
use crate::{
    chat::{CallId, Feedback, MessageId, Rating, RunId},
    config::Secret,
    dialect::json,
    session::{Redo, SendMode, StopTarget},
};

/// The longest `id` that is repeated as `re`, in bytes as JSON.
const ID_BYTES: usize = 512;

/// A frame and the id that its answer carries as `re`.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The client's id, a string or a number, echoed as it came.
    pub id: Option<Value>,
    /// What it says.
    pub body: ClientFrame,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    /// Says who it is, or goes on from a cursor, or both.
    Hello {
        /// The credential.
        token: Option<Secret>,
        /// The cursor.
        resume: Option<String>,
    },
    /// Replaces the token of the socket.
    Auth {
        /// The new one.
        token: Secret,
    },
    /// A message.
    Send {
        /// Its id.
        id: Option<MessageId>,
        /// Its text, not blank and within [`TEXT_CHARS`].
        text: String,
        /// What to do when an answer is being written.
        mode: SendMode,
        /// Who is to answer.
        assistant: Option<String>,
    },
    /// Lets the conversation go on another way.
    Redo {
        /// The id of the new question, or of the new answer when the question stays.
        id: Option<MessageId>,
        /// Which way. The text of an edit is checked as that of a message is.
        redo: Redo,
    },
    /// Whether a call that waits is allowed.
    Approve {
        /// Which.
        call: CallId,
        /// What was shown.
        digest: String,
        /// Whether it is.
        is_approved: bool,
        /// What is said to it, within [`COMMENT_CHARS`].
        comment: Option<String>,
    },
    /// What the person thinks of a message.
    Feedback {
        /// The message.
        message: MessageId,
        /// Its comment is within [`COMMENT_CHARS`].
        feedback: Feedback,
    },
    /// Whether the person types.
    Typing {
        /// Whether they do.
        on: bool,
    },
    /// Stops a run.
    Stop(StopTarget),
    /// Asks for text again.
    Sync {
        /// Of this run.
        run: RunId,
        /// From this offset, in UTF-16 code units.
        off: u64,
    },
    /// Nobody looks at the page, or somebody does again.
    View {
        /// Whether nobody does.
        hidden: bool,
    },
    /// Asks for a `pong`.
    Ping {
        /// Echoed as it came.
        t: Option<Value>,
    },
    /// Answers a `ping`.
    Pong,
}

/// Why a frame was not understood. The socket stays open.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameError {
    /// The frame's id, when it had one that could be read.
    pub re: Option<Value>,
    /// A code of docs/protocol.md.
    pub code: &'static str,
    /// A sentence that names the field.
    pub message: String,
}

/// Reads a frame.
///
/// # Errors
/// [`FrameError`] with `bad_json`, `unknown_type`, `invalid_field`, `empty_text` or `text_too_long`.
pub fn parse(text: &str) -> Result<Frame, FrameError> {
    let fields = json::object(text.as_bytes()).map_err(|broken| {
        let message = if broken.error.is_data() {
            "a frame is a JSON object".to_owned()
        } else {
            format!("not JSON: {}", broken.error)
        };
        // Whose frame it was can be told when its id came before what is wrong.
        FrameError { re: echoed(&broken.fields), code: "bad_json", message }
    })?;
    let id = echoed(&fields);
    if id.is_none() && fields.get("id").is_some_and(|id| !id.is_null()) {
        return Err(invalid("id", "must be a string or a number, and not long"));
    }
    let body = FrameFields(fields).body().map_err(|error| FrameError { re: id.clone(), ..error })?;
    Ok(Frame { id, body })
}

/// The frame's id, as far as it can be repeated.
fn echoed(fields: &Map<String, Value>) -> Option<Value> {
    let id = fields.get("id").filter(|id| id.is_string() || id.is_number())?;
    (id.to_string().len() <= ID_BYTES).then(|| id.clone())
}

/// Checks the text of a user's message.
///
/// # Errors
/// [`FrameError`] with `empty_text` or `text_too_long`.
pub fn check_text(text: &str) -> Result<(), FrameError> {
    if text.trim().is_empty() {
        return Err(error("empty_text", "the text of the message is empty".to_owned()));
    }
    // The number of bytes decides most cases without counting.
    if text.len() > TEXT_CHARS && text.chars().count() > TEXT_CHARS {
        return Err(error("text_too_long", format!("the text of the message is longer than {TEXT_CHARS} characters")));
    }
    Ok(())
}

/// Checks what somebody says to an answer or a call; nothing when it is blank.
///
/// # Errors
/// [`FrameError`] with `invalid_field`.
pub fn check_comment(comment: Option<String>) -> Result<Option<String>, FrameError> {
    let comment = comment.filter(|comment| !comment.trim().is_empty());
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS) {
        return Err(invalid("comment", &format!("is longer than {COMMENT_CHARS} characters")));
    }
    Ok(comment)
}

/// What a frame says, taken out field by field.
struct FrameFields(Map<String, Value>);

impl FrameFields {
    fn body(mut self) -> Result<ClientFrame, FrameError> {
        let kind = match self.string("type")? {
            Some(kind) => kind,
            None if self.0.contains_key("message") => return self.short_form(),
            None => return Err(error("unknown_type", "a frame needs a `type`, or a `message` alone".to_owned())),
        };
        match kind.as_str() {
            "send" => {
                let text = self.string("text")?.ok_or_else(|| invalid("text", "is missing"))?;
                self.send(text)
            }
            "regenerate" => {
                let at = self.id("message", MessageId::parse)?;
                Ok(ClientFrame::Redo { id: self.message_id()?, redo: Redo::Regenerate { at } })
            }
            "edit" => {
                let at = self.required("message")?;
                let text = self.string("text")?.ok_or_else(|| invalid("text", "is missing"))?;
                check_text(&text)?;
                Ok(ClientFrame::Redo { id: self.message_id()?, redo: Redo::Edit { at, text } })
            }
            "approve" => self.approve(),
            "feedback" => self.feedback(),
            "typing" => Ok(ClientFrame::Typing { on: self.switch("on")? }),
            "stop" => self.stop(),
            "sync" => {
                let run = self.id("run", RunId::parse)?.ok_or_else(|| invalid("run", "is missing"))?;
                let off = match self.0.get("off") {
                    Some(off) => off.as_u64().ok_or_else(|| invalid("off", "must be a whole number from 0"))?,
                    None => return Err(invalid("off", "is missing")),
                };
                Ok(ClientFrame::Sync { run, off })
            }
            "hello" => {
                let token = self.string("token")?.map(Secret::new);
                Ok(ClientFrame::Hello { token, resume: self.string("resume")? })
            }
            "auth" => {
                let token = self.string("token")?.ok_or_else(|| invalid("token", "is missing"))?;
                Ok(ClientFrame::Auth { token: Secret::new(token) })
            }
            "view" => Ok(ClientFrame::View { hidden: self.switch("hidden")? }),
            "ping" => Ok(ClientFrame::Ping { t: self.0.remove("t") }),
            "pong" => Ok(ClientFrame::Pong),
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(error("unknown_type", format!("`{shown}` is not a type of chat.v1")))
            }
        }
    }

    /// `{"message": "…"}`: the smallest client there is.
    fn short_form(&mut self) -> Result<ClientFrame, FrameError> {
        let text = self.string("message")?.ok_or_else(|| invalid("message", "is missing"))?;
        self.send(text)
    }

    fn send(&mut self, text: String) -> Result<ClientFrame, FrameError> {
        check_text(&text)?;
        let mode = self.0.remove("mode").unwrap_or_default();
        let mode = Option::<SendMode>::deserialize(mode)
            .map_err(|_| invalid("mode", "must be `reject`, `queue` or `replace`"))?
            .unwrap_or_default();
        if !matches!(self.0.get("metadata"), None | Some(Value::Null | Value::Object(_))) {
            return Err(invalid("metadata", "must be an object"));
        }
        let id = self.id("id", MessageId::parse)?;
        Ok(ClientFrame::Send { id, text, mode, assistant: self.string("assistant")? })
    }

    fn feedback(&mut self) -> Result<ClientFrame, FrameError> {
        let message = self.required("message")?;
        let value = self.0.get("value").and_then(Value::as_i64).and_then(|value| i8::try_from(value).ok());
        let value =
            value.and_then(|value| Rating::try_from(value).ok()).ok_or_else(|| invalid("value", "must be 1 or -1"))?;
        let comment = check_comment(self.string("comment")?)?;
        Ok(ClientFrame::Feedback { message, feedback: Feedback { value, comment } })
    }

    fn approve(&mut self) -> Result<ClientFrame, FrameError> {
        let call = self.id("approval", CallId::parse)?.ok_or_else(|| invalid("approval", "is missing"))?;
        let digest = self.string("digest")?.ok_or_else(|| invalid("digest", "is missing"))?;
        let is_approved = match self.string("decision")?.as_deref() {
            Some("approved") => true,
            Some("denied") => false,
            _ => return Err(invalid("decision", "must be approved or denied")),
        };
        let comment = check_comment(self.string("comment")?)?;
        Ok(ClientFrame::Approve { call, digest, is_approved, comment })
    }

    fn stop(&mut self) -> Result<ClientFrame, FrameError> {
        let run = self.id("run", RunId::parse)?;
        let question = self.id("for", MessageId::parse)?;
        Ok(ClientFrame::Stop(match (run, question) {
            (Some(run), _) => StopTarget::Run(run),
            (None, Some(question)) => StopTarget::For(question),
            (None, None) => StopTarget::Active,
        }))
    }

    /// The frame's id, where it can be that of a message; a number only says which frame an `ack` answers.
    fn message_id(&mut self) -> Result<Option<MessageId>, FrameError> {
        if self.0.get("id").is_some_and(Value::is_number) { Ok(None) } else { self.id("id", MessageId::parse) }
    }

    fn required(&mut self, field: &str) -> Result<MessageId, FrameError> {
        self.id(field, MessageId::parse)?.ok_or_else(|| invalid(field, "is missing"))
    }

    fn switch(&self, field: &str) -> Result<bool, FrameError> {
        self.0.get(field).and_then(Value::as_bool).ok_or_else(|| invalid(field, "must be true or false"))
    }

    fn string(&mut self, field: &str) -> Result<Option<String>, FrameError> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(field, "must be a string")),
        }
    }

    fn id<T>(
        &mut self,
        field: &str,
        parse: impl Fn(&str) -> Result<T, crate::chat::InvalidId>,
    ) -> Result<Option<T>, FrameError> {
        let text = self.string(field)?;
        text.map(|text| parse(&text).map_err(|error| invalid(field, &format!("is not an id: {error}")))).transpose()
    }
}

fn error(code: &'static str, message: String) -> FrameError {
    FrameError { re: None, code, message }
}

fn invalid(field: &str, problem: &str) -> FrameError {
    error("invalid_field", format!("`{field}` {problem}"))
}

#[cfg(test)]
mod tests;
