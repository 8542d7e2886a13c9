//! What OpenAI-compatible servers really send: chunk and error types in which everything is optional, and
//! [`Answer`], which turns chunks into the steps of an answer and knows when it is whole.
//!
//! Pure. Uses `chat` and the events of its parent module.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{FinishReason, sse::BodyEnd};
use crate::chat::Usage;

/// One event of a stream, or a whole completion: then `message` stands where `delta` would.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    x_groq: Option<XGroq>,
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    #[serde(deserialize_with = "count")]
    index: Option<u32>,
    delta: Option<Delta>,
    message: Option<Delta>,
    #[serde(deserialize_with = "text")]
    finish_reason: Option<String>,
    #[serde(rename = "finishReason", deserialize_with = "text")]
    finish_reason_camel: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Delta {
    #[serde(deserialize_with = "text")]
    content: Option<String>,
    #[serde(deserialize_with = "text")]
    reasoning_content: Option<String>,
    #[serde(deserialize_with = "text")]
    reasoning: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    #[serde(deserialize_with = "count")]
    prompt_tokens: Option<u32>,
    #[serde(deserialize_with = "count")]
    completion_tokens: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct XGroq {
    usage: Option<WireUsage>,
    error: Option<Value>,
}

impl WireUsage {
    /// An explicit zero is a count; nothing at all (`{}`) is none.
    fn counted(&self) -> Option<Usage> {
        if self.prompt_tokens.is_none() && self.completion_tokens.is_none() {
            return None;
        }
        Some(Usage {
            input: self.prompt_tokens.unwrap_or(0),
            output: self.completion_tokens.unwrap_or(0),
            estimated: false,
        })
    }
}

/// What a provider says about a failure, wherever it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpstreamError {
    /// The HTTP status that it means, if one can be told.
    pub(super) status: Option<u16>,
    /// Whether a content filter refused the request.
    pub(super) filter: bool,
    /// Its words, all of them: a key must be taken out before anything is cut, or half of it would stay.
    pub(super) detail: String,
}

impl UpstreamError {
    fn new(status: Option<u16>, detail: &str) -> Self {
        let detail = detail.trim();
        let detail = if detail.is_empty() { "no reason given" } else { detail };
        Self { status, filter: false, detail: detail.to_owned() }
    }

    /// Reads the value of an `error` field: a text, or an object with a message and a code of any type.
    pub(super) fn from_value(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let status = ["code", "status_code", "status", "type"].iter().find_map(|name| status_of(error.get(name)?));
        let Some(message) = error.as_str().or_else(|| text("message")) else {
            return Self::new(status, &error.to_string());
        };
        let code = error.get("code").map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
        let said = match code.filter(|code| code != "null").or_else(|| text("type").map(str::to_owned)) {
            Some(code) => Self::new(status, &format!("{message} ({code})")),
            None => Self::new(status, message),
        };
        let filter = ["code", "type"].iter().any(|name| text(name).is_some_and(|code| FILTERS.contains(&code)));
        Self { filter, ..said }
    }

    /// Reads an error body: JSON in any of the usual shapes, a web page, or plain text.
    pub(super) fn from_body(body: &[u8]) -> Self {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            return Self::from_json(&value).unwrap_or_else(|| Self::new(None, &value.to_string()));
        }
        let text = String::from_utf8_lossy(body);
        if !text.trim_start().starts_with('<') {
            return Self::new(None, &text);
        }
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        Self::new(None, &format!("a web page: {}", title.map_or("without a title", |(title, _)| title.trim())))
    }

    /// The error in a JSON document, if it is one: `{"error": …}`, `{"message": …}` or `{"detail": …}`.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        if let Some(error) = value.get("error").filter(|error| is_error(error)) {
            return Some(Self::from_value(error));
        }
        if value.get("choices").is_some() {
            return None;
        }
        match value.get("detail") {
            Some(detail) if value.get("message").is_none() => Some(Self::from_value(detail)),
            _ => value.get("message").map(|_| Self::from_value(value)),
        }
    }
}

/// The names that content filters go by in errors.
const FILTERS: &[&str] = &["content_filter", "content_policy_violation", "moderation_blocked"];

/// `"error": null`, `""` and `false` say that there is none.
fn is_error(error: &Value) -> bool {
    !matches!(error, Value::Null | Value::Bool(false)) && error.as_str() != Some("")
}

/// The HTTP status behind a code: a number, a number in quotes, or one of the names that providers use.
fn status_of(code: &Value) -> Option<u16> {
    if let Some(number) = code.as_u64() {
        return u16::try_from(number).ok().filter(|status| (400..600).contains(status));
    }
    match code.as_str()? {
        "invalid_api_key" | "authentication_error" => Some(401),
        "insufficient_quota" | "rate_limit_exceeded" | "rate_limit_error" => Some(429),
        "model_not_found" | "not_found_error" => Some(404),
        "invalid_request_error" | "context_length_exceeded" | "tool_use_failed" | "json_validate_failed" => Some(400),
        other => other.parse().ok().filter(|status| (400..600).contains(status)),
    }
}

/// What a finish reason says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The answer is whole, or its end is known.
    Known(FinishReason),
    /// The server gave up.
    Failed,
    /// Nobody knows what it means. Not the proof of a whole answer, but no failure either: `[DONE]` decides.
    Other,
}

fn reason(raw: &str) -> Reason {
    // A model that calls a tool nobody offered has nothing more to say here, which makes it a stop.
    const STOP: &[&str] = &[
        "stop",
        "eos",
        "eos_token",
        "end_turn",
        "stop_sequence",
        "complete",
        "tool_calls",
        "tool_use",
        "function_call",
    ];
    const LENGTH: &[&str] = &["length", "max_tokens", "max_output_tokens"];
    const FILTERED: &[&str] = &["content_filter", "content_filtered", "safety", "refusal"];
    const FAILED: &[&str] = &["abort", "aborted", "error", "cancelled"];
    let is = |names: &[&str]| names.iter().any(|name| raw.eq_ignore_ascii_case(name));
    if is(STOP) {
        Reason::Known(FinishReason::Stop)
    } else if is(LENGTH) {
        Reason::Known(FinishReason::Length)
    } else if is(FILTERED) {
        Reason::Known(FinishReason::Filtered)
    } else if is(FAILED) {
        Reason::Failed
    } else {
        Reason::Other
    }
}

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Thinking,
    Text(String),
    Finish(FinishReason),
    Failed(UpstreamError),
}

/// How an answer stands when its stream is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is whole, and its finish has been told or is this one.
    Finish(FinishReason),
    /// It has no text at all.
    Empty,
    /// The proof is missing.
    Truncated,
}

/// An answer as far as it has come.
#[derive(Debug)]
pub(super) struct Answer {
    text_bytes: usize,
    max_text_bytes: usize,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Answer {
    /// An answer that is cut at `max_text_bytes` of text, for a server that does not keep to its limit.
    pub(super) fn new(max_text_bytes: usize) -> Self {
        Self { text_bytes: 0, max_text_bytes, finish: None, usage: None }
    }

    /// Whether the finish has been told; then only usage is still of interest.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Whether it was ended here because it became too long; nothing that follows is of interest.
    pub(super) fn is_cut(&self) -> bool {
        self.is_finished() && self.text_bytes >= self.max_text_bytes
    }

    /// What the provider said last about the cost.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Takes a chunk: text first, then how it ends, because some servers put the last token into the last chunk.
    pub(super) fn take(&mut self, chunk: Chunk) -> [Option<Step>; 2] {
        let groq = chunk.x_groq.unwrap_or_default();
        let usage = chunk.usage.as_ref().and_then(WireUsage::counted);
        if let Some(usage) = usage.or_else(|| groq.usage.as_ref().and_then(WireUsage::counted)) {
            self.usage = Some(usage);
        }
        if self.is_finished() {
            return [None, None];
        }
        let choice = chunk.choices.into_iter().flatten().find(|choice| choice.index.unwrap_or(0) == 0);
        let choice = choice.unwrap_or_default();
        let raw = [choice.finish_reason, choice.finish_reason_camel].into_iter().flatten().find(|raw| !raw.is_empty());
        let said = self.said(choice.delta.or(choice.message).unwrap_or_default());
        if let Some(error) = chunk.error.or(groq.error).filter(is_error) {
            return [said, Some(Step::Failed(UpstreamError::from_value(&error)))];
        }
        if self.text_bytes >= self.max_text_bytes {
            return [said, self.finish(FinishReason::Length)];
        }
        let ended = match raw.as_deref().map(reason) {
            Some(Reason::Known(FinishReason::Stop)) if self.text_bytes == 0 => {
                Some(Step::Failed(UpstreamError::new(None, "the answer is empty")))
            }
            Some(Reason::Known(FinishReason::Length)) if self.text_bytes == 0 => {
                // A reasoning model can spend all it may on thoughts that nobody sees.
                let detail = "the answer is empty: the limit of tokens was reached before the first visible word";
                Some(Step::Failed(UpstreamError::new(None, detail)))
            }
            Some(Reason::Known(known)) => self.finish(known),
            Some(Reason::Failed) => {
                let detail = format!("it gave up with the finish reason {:?}", raw.unwrap_or_default());
                Some(Step::Failed(UpstreamError::new(None, &detail)))
            }
            Some(Reason::Other) | None => None,
        };
        [said, ended]
    }

    /// What the end of the stream means for the answer.
    pub(super) fn end(&self, end: &BodyEnd) -> Ending {
        match (self.finish, end) {
            (Some(finish), _) => Ending::Finish(finish),
            (None, BodyEnd::Done) if self.text_bytes > 0 => Ending::Finish(FinishReason::Stop),
            (None, BodyEnd::TooLong) if self.text_bytes > 0 => Ending::Finish(FinishReason::Length),
            (None, BodyEnd::Done | BodyEnd::TooLong) => Ending::Empty,
            (None, BodyEnd::Eof | BodyEnd::NoEvents(_) | BodyEnd::Broken(_)) => Ending::Truncated,
        }
    }

    fn finish(&mut self, reason: FinishReason) -> Option<Step> {
        self.finish = Some(reason);
        Some(Step::Finish(reason))
    }

    fn said(&mut self, delta: Delta) -> Option<Step> {
        let is_text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if !is_text(&delta.content) {
            return (is_text(&delta.reasoning_content) || is_text(&delta.reasoning)).then_some(Step::Thinking);
        }
        let mut text = delta.content?;
        let left = self.max_text_bytes - self.text_bytes;
        if text.len() > left {
            text.truncate(text.floor_char_boundary(left));
            self.text_bytes = self.max_text_bytes;
        } else {
            self.text_bytes += text.len();
        }
        (!text.is_empty()).then_some(Step::Text(text))
    }
}

/// A string, or nothing, whatever else is there.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(Lenient).map(|scalar| match scalar {
        Scalar::Text(text) => Some(text),
        Scalar::Number(_) | Scalar::Nothing => None,
    })
}

/// A count, or nothing, whatever else is there.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(Lenient).map(|scalar| match scalar {
        Scalar::Number(number) => Some(u32::try_from(number).unwrap_or(u32::MAX)),
        Scalar::Text(_) | Scalar::Nothing => None,
    })
}

enum Scalar {
    Text(String),
    Number(u64),
    Nothing,
}

/// Takes any value, so that a field of an unexpected type costs the field and not the event.
struct Lenient;

impl<'de> Visitor<'de> for Lenient {
    type Value = Scalar;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }
    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }
    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates in this cast")]
        Ok(if number >= 0.0 { Scalar::Number(number as u64) } else { Scalar::Nothing })
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }
    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }
}

#[cfg(test)]
mod tests;
