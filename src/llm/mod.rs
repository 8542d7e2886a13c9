//! The upstream side: models that answer.
//!
//! [`ChatModel`] is one of the few traits of the house, because the network begins here. Uses `chat`, `telemetry` and
//! the knowledge's [`Passage`], nothing else of ours.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use serde::Serialize;

use crate::{
    chat::{Author, Message, Owner, Role, Usage},
    knowledge::Passage,
    telemetry::{caches::CacheReport, spans::RunSpan},
};

use self::breaker::BreakerState;

mod attempt;
mod book;
pub mod breaker;
pub mod cache;
mod chunk;
mod error;
pub mod extractive;
mod http;
pub mod openai;
mod order;
mod pacer;
pub mod reading;
mod refusal;
mod retry;
mod seam;
pub mod sse;
mod target;
pub mod targets;

pub use error::{Clock, ModelError, Rejection, Stage};
pub use http::client_for;

/// About how many tokens `bytes` bytes of text are: one per four. Right for English, too many for other scripts by up
/// to a factor of two.
pub(crate) fn estimated_tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX)
}

/// One utterance of the prompt, as every chat-completion interface has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptMessage {
    /// Who says it.
    pub role: PromptRole,
    /// What is said.
    pub content: String,
}

impl From<&Message> for PromptMessage {
    fn from(message: &Message) -> Self {
        Self { role: message.role.into(), content: message.text.clone() }
    }
}

/// The roles of a prompt: those of a conversation, and the gateway's own voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptRole {
    /// Instructions of the assistant.
    System,
    /// The person.
    User,
    /// The model's earlier answers.
    Assistant,
}

impl From<Role> for PromptRole {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
        }
    }
}

/// What a model is asked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// The whole prompt: instructions, history, passages, question.
    pub prompt: Arc<[PromptMessage]>,
    /// The question alone, for models that work on the passages themselves.
    pub question: Arc<str>,
    /// The passages alone, in the order in which the prompt numbers them, from 1.
    pub passages: Arc<[Passage]>,
    /// Whether the absence of passages means anything.
    pub knowledge: KnowledgeUse,
    /// The most tokens the answer may have.
    pub max_output_tokens: u32,
    /// How it is to be written.
    pub parameters: Arc<Parameters>,
    /// Whether text that was passed on can be withdrawn again. When not, only a target that goes on where the text ends
    /// may take over.
    pub may_withdraw: bool,
    /// Who asks; `None` where nobody need say so.
    pub asker: Option<Owner>,
    /// Who asks the same may be given the same answer.
    pub sharing: Sharing,
    /// What the spans of the attempts hang on.
    pub span: RunSpan,
}

/// With whom an answer may be shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sharing {
    /// The tenant; none for those who need not say who they are.
    pub tenant: Option<Arc<str>>,
    /// The state of the knowledge that was searched; `None`: it cannot be told, and the answer is for nobody else.
    pub knowledge: Option<u64>,
    /// Whether another answer than the one that may be known already is wanted.
    pub is_anew: bool,
}

/// How an answer is to be written, in the terms of the chat-completion interface; what is not said is the provider's to
/// choose. The caller has checked the bounds.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Parameters {
    /// 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// For answers that can be repeated, where the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Where the answer ends; at most 4.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl Parameters {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How far the knowledge base was looked through for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KnowledgeUse {
    /// All of it: what was not found is not there.
    #[default]
    Searched,
    /// Documents are still being read: there may be more in a moment.
    Loading,
    /// It could not be searched.
    Unavailable,
}

/// One step of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The model's server has given out all it allows for now: this waits for its turn, at this place, from 1.
    Queued(usize),
    /// After such a wait: a model is asked.
    Asked,
    /// The model reasons without visible text, or writes what nobody sees: so many bytes of it since the last sign.
    /// Comes with every piece, so that it can be charged like text.
    Thinking(u32),
    /// Who writes the text that follows: told before the first text, and again after a failover.
    By(Author),
    /// A piece of visible text, never empty.
    Text(String),
    /// Another model takes over after text was passed on; its text follows. At most once.
    Failover(Failover),
    /// What it cost; the last one counts.
    Usage(Usage),
    /// Why the text ends. At most once, nothing but [`ModelEvent::Usage`] follows.
    Finish(FinishReason),
}

/// Another model takes over within the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// Where the text goes on, in UTF-16 code units: what was passed on after it is withdrawn.
    pub keep: u64,
    /// Whose answer broke off.
    pub from: String,
    /// Who writes now.
    pub to: String,
    /// How it broke off, as `llm_requests_total` calls it.
    pub reason: &'static str,
}

/// Why a model stopped of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// It had said everything.
    Stop,
    /// It reached its limit of output tokens.
    Length,
    /// The provider's content filter cut it.
    Filtered,
}

/// An answer as it is written. Dropping it cancels the generation and closes the upstream connection.
///
/// It ends after [`ModelEvent::Finish`] (and perhaps [`ModelEvent::Usage`]) or after one error.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// One of the models behind a [`ChatModel`], as health reports show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetReport {
    /// What the operator calls it.
    pub name: String,
    /// The model's name at the provider.
    pub model: String,
    /// Whether it is asked.
    pub breaker: BreakerState,
    /// How long it is left alone from now on.
    pub open_for: Option<Duration>,
    /// Failed runs since its last success.
    pub failures: u32,
    /// How the last one of them failed: an outcome of `llm_requests_total`.
    pub last_failure: Option<&'static str>,
    /// Tokens that its rate limit has left, where the provider tells.
    pub tokens_left: Option<u64>,
    /// Requests, likewise.
    pub requests_left: Option<u64>,
}

/// Something that answers.
pub trait ChatModel: Send + Sync + fmt::Debug + 'static {
    /// The name that clients see as `run.start.model`.
    fn name(&self) -> &str;

    /// Begins an answer. Nothing happens before the stream is polled. [`ModelEvent::By`] comes before any text.
    fn stream(&self, request: ChatRequest) -> ModelStream;

    /// The servers behind it, in the order in which they are asked; none when it needs no server.
    fn targets(&self) -> Vec<TargetReport> {
        Vec::new()
    }

    /// How the cache of its answers stands; none when nothing is kept.
    fn caches(&self) -> Vec<CacheReport> {
        Vec::new()
    }
}
