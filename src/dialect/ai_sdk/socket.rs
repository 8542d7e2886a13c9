//! The frames of the SDK's `WebSocketChatTransport`. A socket carries several requests at once, each with an id of the client.

use serde_json::{Map, Value, json};

use super::{
    chunks::Chunks,
    request::{Asked, assistant, chat, invalid, string, wish},
};
use crate::{
    dialect::{
        Codec,
        chat_v1::{ErrorFrame, FrameError},
        json,
    },
    session::log::{Event, Step},
};

/// The subprotocol's name, for clients that offer one.
pub const SUBPROTOCOL: &str = "ai-sdk.v7";

/// The longest id of a request, in bytes: it stands in every frame that answers it.
const REQUEST_BYTES: usize = 128;

/// What a client says, and in which request.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The request.
    pub request: String,
    /// What.
    pub said: Said,
}

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// It asks.
    Send(Asked),
    /// It wants the answer that is being written, from its beginning.
    Resume {
        /// In this chat.
        chat: String,
    },
    /// It listens to this request no more.
    Abort,
}

/// A frame that was not understood.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameFault {
    /// Its request, when that could be read.
    pub request: Option<String>,
    /// What is wrong.
    pub error: Box<FrameError>,
}

/// Reads a frame.
///
/// # Errors
/// [`FrameFault`]
pub fn frame(text: &str) -> Result<Frame, FrameFault> {
    let fields = json::object(text.as_bytes()).map_err(|broken| FrameFault {
        request: request(&broken.fields).ok(),
        error: Box::new(FrameError {
            re: None,
            code: "bad_json",
            message: format!("not a JSON object: {}", broken.error),
        }),
    })?;
    let request = request(&fields).map_err(|error| FrameFault { request: None, error: error.into() })?;
    match said(&fields) {
        Ok(said) => Ok(Frame { request, said }),
        Err(error) => Err(FrameFault { request: Some(request), error: error.into() }),
    }
}

fn request(fields: &Map<String, Value>) -> Result<String, FrameError> {
    let id = string(fields, "requestId")?.filter(|id| !id.is_empty() && id.len() <= REQUEST_BYTES);
    id.map(str::to_owned).ok_or_else(|| invalid("requestId", &format!("must have 1 to {REQUEST_BYTES} bytes")))
}

fn said(fields: &Map<String, Value>) -> Result<Said, FrameError> {
    match string(fields, "type")? {
        Some("send") => {
            let body = match fields.get("body") {
                None | Some(Value::Null) => None,
                Some(Value::Object(body)) => Some(body),
                Some(_) => return Err(invalid("body", "must be an object")),
            };
            let assistant = body.map(assistant).transpose()?.flatten();
            Ok(Said::Send(Asked { chat: chat(fields)?, assistant, wish: wish(fields)? }))
        }
        Some("resume") => Ok(Said::Resume { chat: chat(fields)? }),
        Some("abort") => Ok(Said::Abort),
        _ => Err(invalid("type", "must be send, resume or abort")),
    }
}

/// Tells an answer in frames: its chunks with numbers from 0 on.
#[derive(Debug)]
pub struct Framed {
    request: String,
    chunks: Chunks,
    sequence: u64,
    has_begun: bool,
}

impl Framed {
    /// For this request.
    #[must_use]
    pub const fn new(request: String, chunks: Chunks) -> Self {
        Self { request, chunks, sequence: 0, has_begun: false }
    }
}

impl Codec for Framed {
    fn step(&mut self, step: &Step<'_>, frames: &mut Vec<String>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            frames.push(json!({"type": "start", "requestId": self.request}).to_string());
        }
        let mut chunks = Vec::new();
        self.chunks.step(step, &mut chunks);
        let request = Value::from(self.request.as_str());
        for chunk in chunks {
            let sequence = self.sequence;
            frames.push(format!(r#"{{"type":"chunk","requestId":{request},"sequence":{sequence},"chunk":{chunk}}}"#));
            self.sequence += 1;
        }
        if matches!(step, Step::Event(_, Event::RunDone(_))) {
            frames.push(json!({"type": "end", "requestId": self.request}).to_string());
        }
    }

    fn fail(&mut self, fault: &ErrorFrame, frames: &mut Vec<String>) {
        frames.push(error(Some(&self.request), &fault.message));
    }
}

/// Nothing is being written in the chat that was to be resumed.
#[must_use]
pub fn no_active(request: &str) -> String {
    json!({"type": "no-active", "requestId": request}).to_string()
}

/// It was refused. A request that nobody could read is called `-`, which clients pass over.
#[must_use]
pub fn error(request: Option<&str>, message: &str) -> String {
    json!({"type": "error", "requestId": request.unwrap_or("-"), "errorText": message}).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        chat::{MessageId, RunId, SessionId, Status},
        dialect::ai_sdk::Wish,
        session::log::RunDone,
    };

    #[test]
    fn frames_are_read_and_what_is_wrong_is_said_in_its_request() {
        let user = json!({"id": "u", "role": "user", "parts": [{"type": "text", "text": "hi"}]});
        let send = json!({"type": "send", "requestId": "r", "id": "c", "trigger": "submit-message", "messages": [user],
            "headers": {}, "body": {"assistant": "loan"}, "metadata": null});
        let Ok(Frame { request, said: Said::Send(asked) }) = frame(&send.to_string()) else { panic!("{send}") };
        assert_eq!((request.as_str(), asked.chat.as_str(), asked.assistant.as_deref()), ("r", "c", Some("loan")));
        assert!(matches!(asked.wish, Wish::Say { .. }));
        let resume = frame(r#"{"type":"resume","requestId":"r","id":"c","headers":{},"body":{}}"#);
        assert_eq!(resume, Ok(Frame { request: "r".to_owned(), said: Said::Resume { chat: "c".to_owned() } }));
        let abort = frame(r#"{"type":"abort","requestId":"r"}"#);
        assert_eq!(abort, Ok(Frame { request: "r".to_owned(), said: Said::Abort }));
        for (text, request, named) in [
            (r#"{"requestId":"r","type":"sing"}"#, Some("r"), "`type` must be"),
            (r#"{"requestId":"r","type":"resume"}"#, Some("r"), "`id` is missing"),
            (r#"{"requestId":"r","type":"send","id":"c","body":1}"#, Some("r"), "`body` must be"),
            (r#"{"type":"abort"}"#, None, "`requestId` must have"),
            (r#"{"requestId":"r","type":"abort""#, Some("r"), "not a JSON object"),
            ("[]", None, "not a JSON object"),
        ] {
            let fault = frame(text).unwrap_err();
            assert_eq!(fault.request.as_deref(), request, "{text}");
            assert!(fault.error.message.starts_with(named), "{}", fault.error.message);
        }
    }

    #[test]
    fn chunks_are_numbered_without_a_gap_between_a_start_and_an_end() {
        let (run, message) = (RunId::parse("r_1").unwrap(), MessageId::parse("m_1").unwrap());
        let start = Event::RunStart {
            run: run.clone(),
            message: message.clone(),
            question: message.clone(),
            replaces: None,
            model: "m".into(),
            version: None,
            variant: None,
        };
        let done = Event::RunDone(Arc::new(RunDone {
            run: run.clone(),
            message,
            status: Status::Complete,
            len: 2,
            crc32: 0,
            author: None,
            citations: Vec::new(),
            usage: None,
            timing: crate::chat::Timing::default(),
            error: None,
        }));
        let mut framed = Framed::new("\"r".to_owned(), Chunks::new(SessionId::random(), None));
        let mut frames = Vec::new();
        let delta = Step::Delta { run: &run, off: 0, text: "hi", since: None };
        for step in [Step::Event(1, &start), delta, Step::Event(2, &done)] {
            framed.step(&step, &mut frames);
        }
        let frames: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
        assert!(frames.iter().all(|frame| frame["requestId"] == "\"r"));
        let (first, last) = (&frames[0], frames.last().unwrap());
        assert_eq!((&first["type"], &last["type"]), (&json!("start"), &json!("end")));
        for (n, frame) in frames[1..frames.len() - 1].iter().enumerate() {
            assert_eq!((&frame["type"], &frame["sequence"]), (&json!("chunk"), &json!(n)));
            assert!(frame["chunk"]["type"].is_string());
        }
    }
}
