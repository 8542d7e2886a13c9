//! Something that answers: one of the few traits of the house, because the network begins here. Uses `chat` and
//! `telemetry`.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::stream::BoxStream;

use super::{breaker::BreakerState, error::ModelError, event::ModelEvent, request::ChatRequest};
use crate::{chat::Owner, telemetry::caches::CacheReport};

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
    /// Whether it can be asked for calls.
    pub takes_tools: bool,
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
    fn name(&self) -> Arc<str>;

    /// Begins an answer. Nothing happens before the stream is polled. [`ModelEvent::By`] comes before any text.
    fn stream(&self, request: ChatRequest) -> ModelStream;

    /// The servers behind it, in the order in which they are asked; none when it needs no server.
    fn targets(&self) -> Vec<TargetReport> {
        Vec::new()
    }

    /// Whether answers to `asker` outside of any session are kept, to be given again.
    fn keeps(&self, _asker: Option<&Owner>) -> bool {
        false
    }

    /// How the cache of its answers stands; none when nothing is kept.
    fn caches(&self) -> Vec<CacheReport> {
        Vec::new()
    }
}
