//! What a caller gets: a completion, its chunks, models, errors. The gateway's own things ride in the field `rivulet`,
//! which clients of the original interface pass on or pass over.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::called::{Piece, ToolCall};
use crate::chat::{Citation, Source, Status, Usage};

/// The end of a whole stream. One that broke off has none.
pub const DONE: &str = "data: [DONE]\n\n";

/// What a completion and all of its chunks have in common.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Names the completion.
    pub id: String,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// Who answers, as far as that is known.
    pub model: String,
}

/// The gateway's own field.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Extension<'a> {
    /// How the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What was found for the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<&'a [Source]>,
    /// Which parts of the text rest on which source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Vec<Citation>>,
    /// Whether the answer was written before, for somebody who asked the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<bool>,
    /// Whether the provider did not say what it cost, and the gateway counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_usage: Option<bool>,
    /// What there is of an answer that broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<&'a str>,
}

/// Why an answer ends; `None` when it broke off, and is not whole.
#[must_use]
pub const fn finish_reason(status: Status) -> Option<&'static str> {
    match status {
        Status::Complete => Some("stop"),
        Status::Length => Some("length"),
        Status::Filtered => Some("content_filter"),
        Status::Pending
        | Status::Stopped
        | Status::Incomplete
        | Status::Error
        | Status::Interrupted
        | Status::AwaitingApproval => None,
    }
}

/// What ends in calls.
pub const TOOL_CALLS: &str = "tool_calls";

/// A whole answer: a text, and what the caller is to call.
#[must_use]
pub fn completion(
    envelope: &Envelope,
    (text, calls): (&str, &[ToolCall]),
    finish: &str,
    usage: Option<Usage>,
    extension: &Extension<'_>,
) -> String {
    json(&Completion {
        id: &envelope.id,
        object: "chat.completion",
        created: envelope.created,
        model: &envelope.model,
        choices: [Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content: (calls.is_empty() || !text.is_empty()).then_some(text),
                refusal: None,
                tool_calls: calls,
            },
            logprobs: None,
            finish_reason: finish,
        }],
        usage: usage.map(Tokens::from),
        rivulet: extension,
    })
}

/// Writes the events of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Chunks<'a> {
    /// What they have in common.
    pub envelope: &'a Envelope,
    /// Whether the last one tells what it cost, and all others that they do not.
    pub include_usage: bool,
}

impl Chunks<'_> {
    /// The first one: who speaks, and the sources.
    #[must_use]
    pub fn begin(&self, extension: &Extension<'_>) -> String {
        self.event(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, None, Some(extension))
    }

    /// A piece of the answer.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.event(Delta { content: Some(text), ..Delta::default() }, None, None)
    }

    /// What the caller is to call: of each, what it is, and then all of its arguments.
    #[must_use]
    pub fn calls(&self, calls: &[ToolCall]) -> String {
        let pieces = calls.iter().enumerate().flat_map(|(index, call)| call.pieces(index));
        pieces.map(|piece| self.event(Delta { tool_calls: Some([piece]), ..Delta::default() }, None, None)).collect()
    }

    /// The answer is whole: why it ends, what it cost where that was asked for, and the end of the stream.
    #[must_use]
    pub fn end(&self, finish: &str, usage: Option<Usage>, extension: &Extension<'_>) -> String {
        let mut events = self.event(Delta::default(), Some(finish), Some(extension));
        if self.include_usage {
            events.push_str(&data(&Chunk { choices: [None], usage: Some(usage.map(Tokens::from)), ..self.chunk() }));
        }
        events.push_str(DONE);
        events
    }

    fn event(&self, delta: Delta<'_>, finish: Option<&str>, extension: Option<&Extension<'_>>) -> String {
        let choice = ChunkChoice { index: 0, delta, logprobs: None, finish_reason: finish };
        let usage = self.include_usage.then_some(None);
        data(&Chunk { choices: [Some(choice)], usage, rivulet: extension, ..self.chunk() })
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk {
            id: &self.envelope.id,
            object: "chat.completion.chunk",
            created: self.envelope.created,
            model: &self.envelope.model,
            choices: [None],
            usage: None,
            rivulet: None,
        }
    }
}

/// An error, as the body of an answer or as an event of a stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OpenAiError)]
pub struct ErrorBody<'a> {
    error: ErrorFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    rivulet: Option<Cow<'a, serde_json::Value>>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct ErrorFields<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'a str,
}

impl<'a> ErrorBody<'a> {
    /// An error that has, or would have, this HTTP status.
    #[must_use]
    pub const fn new(status: u16, code: &'a str, message: &'a str, param: Option<&'a str>) -> Self {
        Self { error: ErrorFields { message, r#type: kind(status), param, code }, rivulet: None }
    }

    /// With the gateway's own field.
    #[must_use]
    pub fn with(self, extension: Option<&'a serde_json::Value>) -> Self {
        Self { rivulet: extension.map(Cow::Borrowed), ..self }
    }

    /// As a body.
    #[must_use]
    pub fn json(&self) -> String {
        json(self)
    }

    /// As an event. Nothing follows it.
    #[must_use]
    pub fn event(&self) -> String {
        data(self)
    }
}

/// What kind of error it is, as the original interface calls it.
const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 | 421 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}

/// A model that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Model {
    /// Its name.
    pub id: String,
    object: &'static str,
    /// Seconds since the Unix epoch; 0, for the gateway does not know.
    created: u64,
    owned_by: String,
}

impl Model {
    /// A model of somebody's.
    #[must_use]
    pub fn new(id: &str, owned_by: &str) -> Self {
        Self { id: id.to_owned(), object: "model", created: 0, owned_by: owned_by.to_owned() }
    }
}

/// Models in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

impl ModelList {
    /// These.
    #[must_use]
    pub const fn new(data: Vec<Model>) -> Self {
        Self { object: "list", data }
    }
}

/// A whole answer, as a body.
#[derive(Serialize, ToSchema)]
pub struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Option<Tokens>,
    rivulet: &'a Extension<'a>,
}

#[derive(Serialize, ToSchema)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CompletionMessage)]
struct Message<'a> {
    role: &'static str,
    /// Not there where nothing was said before calls.
    content: Option<&'a str>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tool_calls: &'a [ToolCall],
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[serde(serialize_with = "list")]
    choices: [Option<ChunkChoice<'a>>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Tokens>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rivulet: Option<&'a Extension<'a>>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Piece<'a>; 1]>,
}

#[derive(Serialize, ToSchema)]
struct Tokens {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input.saturating_add(usage.output),
        }
    }
}

/// The choices that there are: one, or none beside the usage.
fn list<S: serde::Serializer>(choices: &[Option<ChunkChoice<'_>>; 1], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(choices.iter().flatten())
}

/// JSON has no line breaks, so it is one line of data.
fn data(value: &impl Serialize) -> String {
    format!("data: {}\n\n", json(value))
}

#[expect(clippy::expect_used, reason = "plain data with text keys can always be written as JSON")]
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn envelope() -> Envelope {
        Envelope { id: "chatcmpl-1".to_owned(), created: 7, model: "m".to_owned() }
    }

    fn events(text: &str) -> Vec<Value> {
        let data = text.split("\n\n").filter(|event| !event.is_empty()).map(|event| &event["data: ".len()..]);
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    const USAGE: Usage = Usage { input: 5, output: 2, estimated: false };

    #[test]
    fn a_chunk_is_one_event() {
        let text = Chunks { envelope: &envelope(), include_usage: false }.text("a\n\"b\"");
        assert_eq!(
            text,
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":\
             [{\"index\":0,\"delta\":{\"content\":\"a\\n\\\"b\\\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
        );
    }

    #[test]
    fn usage_comes_last_and_only_where_it_was_asked_for() {
        let envelope = envelope();
        let chunks = |include_usage| Chunks { envelope: &envelope, include_usage };
        let end = chunks(true).end("stop", Some(USAGE), &Extension::default());
        assert!(end.ends_with(DONE));
        let [finish, usage] = events(&end).try_into().unwrap();
        assert_eq!((&finish["usage"], finish.get("usage").is_some()), (&Value::Null, true));
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"], json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}));
        let [finish] = events(&chunks(false).end("stop", Some(USAGE), &Extension::default())).try_into().unwrap();
        assert!(finish.get("usage").is_none());
    }

    #[test]
    fn only_what_is_whole_has_a_reason_to_end() {
        use Status::{Complete, Error, Filtered, Incomplete, Interrupted, Length, Pending, Stopped};
        let whole = [Complete, Length, Filtered].map(finish_reason);
        assert_eq!(whole, [Some("stop"), Some("length"), Some("content_filter")]);
        assert!([Pending, Stopped, Incomplete, Error, Interrupted].into_iter().all(|s| finish_reason(s).is_none()));
    }
}
