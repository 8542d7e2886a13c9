//! What OpenAI-compatible servers really send: chunk and error types in which everything is optional, and
//! [`Answer`], which turns chunks into the steps of an answer and knows when it is whole.
//!
//! Pure. Uses `chat` and the events of its parent module.

use serde::Deserialize;
use serde_json::Value;

use self::{
    error::is_error,
    lenient::{Content, any_item, content, count, object, text},
    think::Think,
};
use super::{FinishReason, sse::BodyEnd};
use crate::chat::Usage;

mod error;
mod lenient;
mod think;

pub use error::UpstreamError;

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
    #[serde(deserialize_with = "content")]
    content: Content,
    #[serde(deserialize_with = "text")]
    reasoning_content: Option<String>,
    #[serde(deserialize_with = "text")]
    reasoning: Option<String>,
    #[serde(deserialize_with = "any_item")]
    reasoning_details: bool,
    #[serde(deserialize_with = "any_item")]
    tool_calls: bool,
    /// The older form of a tool call.
    #[serde(deserialize_with = "object")]
    function_call: bool,
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
    const LENGTH: &[&str] = &[
        "length",
        "max_length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "model_context_window_exceeded",
        "context_length_exceeded",
    ];
    const FILTERED: &[&str] = &[
        "content_filter",
        "content_filtered",
        "safety",
        "sensitive",
        "refusal",
        "recitation",
        "blocklist",
        "prohibited_content",
    ];
    const FAILED: &[&str] = &[
        "abort",
        "aborted",
        "error",
        "failed",
        "cancelled",
        "canceled",
        "incomplete",
        "timeout",
        "network_error",
        "insufficient_system_resource",
    ];
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
pub enum Step {
    /// It reasons, or writes what nobody asked for and nobody sees: so many bytes of that, as far as they are known.
    Thinking(u32),
    /// A piece of visible text, never empty.
    Text(String),
    /// Why the text ends; there is proof that it does.
    Finish(FinishReason),
    /// The provider says that it failed.
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
    think: Think,
    /// The model wants a tool to be called, though none was offered.
    called_tool: bool,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Answer {
    /// An answer that is cut at `max_text_bytes` of text, for a server that does not keep to its limit.
    pub(super) fn new(max_text_bytes: usize) -> Self {
        Self { text_bytes: 0, max_text_bytes, think: Think::default(), called_tool: false, finish: None, usage: None }
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
        let reason = raw.as_deref().map(reason);
        let error = chunk.error.or(groq.error).filter(is_error);
        let is_last = error.is_some() || matches!(reason, Some(Reason::Known(_) | Reason::Failed));
        let said = self.said(choice.delta.or(choice.message).unwrap_or_default(), is_last);
        if let Some(error) = error {
            return [said, Some(Step::Failed(UpstreamError::from_value(&error)))];
        }
        if self.text_bytes >= self.max_text_bytes {
            return [said, self.finish(FinishReason::Length)];
        }
        let ended = match reason {
            Some(Reason::Known(FinishReason::Stop)) if self.text_bytes == 0 => Some(Step::Failed(self.without_text())),
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

    /// The stream is over: the text that was held back because it might have been the beginning of a mark.
    pub(super) fn rest(&mut self) -> Option<Step> {
        let held = if self.is_finished() { String::new() } else { self.think.finish() };
        self.text(held)
    }

    /// Why an answer that has no text is none.
    pub(super) fn without_text(&self) -> UpstreamError {
        let detail = match self.called_tool {
            true => "the answer is empty: the model called a tool that nobody offered",
            false => "the answer is empty",
        };
        UpstreamError::new(None, detail)
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

    fn said(&mut self, delta: Delta, is_last: bool) -> Option<Step> {
        let is_text = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let calls = delta.tool_calls || delta.function_call;
        self.called_tool |= calls;
        let mut works = calls
            || delta.content.has_others
            || delta.reasoning_details
            || is_text(&delta.reasoning_content)
            || is_text(&delta.reasoning);
        let mut text = String::new();
        if let Some(content) = delta.content.text.filter(|content| !content.is_empty()) {
            text = self.think.push(content);
            works |= self.think.is_reasoning();
        }
        if is_last {
            text.push_str(&self.think.finish());
        }
        let thought = [&delta.reasoning_content, &delta.reasoning].map(|text| text.as_ref().map_or(0, String::len));
        let bytes = thought.into_iter().max().unwrap_or_default();
        self.text(text).or(works.then_some(Step::Thinking(u32::try_from(bytes).unwrap_or(u32::MAX))))
    }

    /// As much of `text` as the answer may still have.
    fn text(&mut self, mut text: String) -> Option<Step> {
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

#[cfg(test)]
mod tests;
