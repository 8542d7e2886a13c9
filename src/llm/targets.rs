//! The configured targets as one model: now one target and one attempt, under four clocks.
//!
//! The clocks of an attempt:
//! - *connect*: until the connection stands (kept by the endpoint's HTTP client);
//! - *first token*: from the start until the model says anything: visible text, or the first sign of reasoning. Role
//!   chunks, empty deltas and comments that keep a connection alive are not something;
//! - *gap*: from then on, between two such signs. A model that reasons for minutes is at work and is not cut, a silent
//!   one is;
//! - *total*: the whole answer, reasoning included.
//!
//! Usage is told once per answer: what the provider counted, or else an estimate of one token per four bytes, marked as
//! such. Uses `chat`, `config`'s LLM section, `telemetry`.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::{
    ChatModel, ChatRequest, Clock, FinishReason, ModelError, ModelEvent, ModelStream, PromptMessage, estimated_tokens,
    openai::{Endpoint, EndpointConfig, EndpointError},
};
use crate::{
    chat::Usage,
    config::LlmConfig,
    telemetry::metrics::{GEN_AI_DURATION, GEN_AI_FIRST_CHUNK, GEN_AI_TOKENS, LLM_REQUESTS},
};

/// Longer clocks are mistakes, and some would overflow.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Why the configured targets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    /// `llm.base_url` without `llm.model`.
    #[error("llm.base_url is set, but llm.model is not")]
    ModelMissing,
    /// A clock that cannot run.
    #[error("llm.{0} must be more than 0 seconds and at most a day")]
    Clock(&'static str),
    /// The endpoint cannot be used.
    #[error("llm: {0}")]
    Endpoint(#[from] EndpointError),
}

/// The configured targets as one [`ChatModel`].
#[derive(Debug)]
pub struct Targets {
    target: Arc<Target>,
}

#[derive(Debug)]
struct Target {
    endpoint: Arc<Endpoint>,
    clocks: Clocks,
}

#[derive(Debug, Clone, Copy)]
struct Clocks {
    first_token: Duration,
    gap: Duration,
    total: Duration,
}

impl Targets {
    /// Checks the configuration; connects to nothing. `None` when no target is configured.
    ///
    /// # Errors
    /// [`TargetsError`] when a target is configured that could never work.
    pub fn from_config(config: &LlmConfig) -> Result<Option<Self>, TargetsError> {
        let Some(base_url) = config.base_url.clone() else {
            return Ok(None);
        };
        let seconds = |name, seconds| match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if !duration.is_zero() && duration <= A_DAY => Ok(duration),
            _ => Err(TargetsError::Clock(name)),
        };
        let endpoint = Endpoint::new(EndpointConfig {
            name: target_name(&base_url),
            base_url,
            api_key: config.api_key.clone(),
            model: config.model.clone().ok_or(TargetsError::ModelMissing)?,
            connect: seconds("connect_s", config.connect_s)?,
        })?;
        let clocks = Clocks {
            first_token: seconds("first_token_s", config.first_token_s)?,
            gap: seconds("gap_s", config.gap_s)?,
            total: seconds("total_s", config.total_s)?,
        };
        Ok(Some(Self { target: Arc::new(Target { endpoint: Arc::new(endpoint), clocks }) }))
    }
}

/// The host names a target that has no other name.
fn target_name(base_url: &str) -> String {
    let host = base_url.split("//").nth(1).unwrap_or(base_url);
    host.split(['/', '?', '#']).next().unwrap_or(host).rsplit('@').next().unwrap_or(host).to_owned()
}

impl ChatModel for Targets {
    fn name(&self) -> &str {
        self.target.endpoint.model()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        Box::pin(watched(Arc::clone(&self.target), request))
    }
}

/// One attempt under its clocks, counted.
fn watched(
    target: Arc<Target>,
    request: ChatRequest,
) -> impl futures_util::Stream<Item = Result<ModelEvent, ModelError>> + Send {
    async_stream::stream! {
        let mut book = Book::open(Arc::clone(&target.endpoint), &request.prompt);
        let mut watch = Watch::start(target.clocks, book.started);
        let mut timer = pin!(sleep_until(watch.deadline().0));
        let mut attempt = Box::pin(target.endpoint.attempt(request));
        let mut thinking = false;
        let failed = loop {
            let event = tokio::select! {
                biased;
                event = attempt.next() => event,
                () = &mut timer, if !book.is_finished() => {
                    // Put off only when it fires: most deadlines are overtaken by text and never looked at.
                    let (deadline, clock) = watch.deadline();
                    if Instant::now() >= deadline {
                        break Some(target.timeout(clock));
                    }
                    timer.as_mut().reset(deadline);
                    continue;
                }
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(error)) => break Some(error),
                None => break None,
            };
            book.note(&event);
            if matches!(event, ModelEvent::Thinking | ModelEvent::Text(_)) {
                let now = Instant::now();
                watch.sign_of_life(now);
                if watch.deadline().0 < timer.deadline() {
                    timer.as_mut().reset(watch.deadline().0);
                }
                // Said once, not for every piece of a long reasoning.
                let again = thinking && event == ModelEvent::Thinking;
                thinking = event == ModelEvent::Thinking;
                if !again {
                    yield Ok(event);
                }
                if now >= watch.total {
                    break Some(target.timeout(Clock::Total));
                }
            } else {
                yield Ok(event);
            }
        };
        drop(attempt);
        if let Some(usage) = book.close(failed.as_ref()) {
            yield Ok(ModelEvent::Usage(usage));
        }
        if let Some(error) = failed {
            yield Err(error);
        }
    }
}

impl Target {
    fn timeout(&self, clock: Clock) -> ModelError {
        ModelError::Timeout { target: self.endpoint.name().to_owned(), clock }
    }
}

/// The clocks of one attempt. Knows no time but the one it is told.
#[derive(Debug)]
struct Watch {
    gap: Duration,
    total: Instant,
    /// The clock that a sign of life pushes on, and when it runs out.
    silence: (Instant, Clock),
}

impl Watch {
    fn start(clocks: Clocks, now: Instant) -> Self {
        Self { gap: clocks.gap, total: now + clocks.total, silence: (now + clocks.first_token, Clock::FirstToken) }
    }

    fn sign_of_life(&mut self, now: Instant) {
        self.silence = (now + self.gap, Clock::Gap);
    }

    /// Which clock runs out next, and when.
    fn deadline(&self) -> (Instant, Clock) {
        if self.silence.0 < self.total { self.silence } else { (self.total, Clock::Total) }
    }
}

/// What is counted of one attempt, however it ends: an attempt that is dropped is booked as cancelled.
#[derive(Debug)]
struct Book {
    endpoint: Arc<Endpoint>,
    started: Instant,
    first_chunk: Option<Duration>,
    prompt_bytes: usize,
    text_bytes: usize,
    counted: Option<Usage>,
    finish: Option<FinishReason>,
    outcome: &'static str,
}

impl Book {
    fn open(endpoint: Arc<Endpoint>, prompt: &[PromptMessage]) -> Self {
        Self {
            endpoint,
            started: Instant::now(),
            first_chunk: None,
            prompt_bytes: prompt.iter().map(|message| message.content.len()).sum(),
            text_bytes: 0,
            counted: None,
            finish: None,
            outcome: "cancelled",
        }
    }

    fn note(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Thinking => {}
            ModelEvent::Text(text) => self.text_bytes += text.len(),
            ModelEvent::Usage(usage) => {
                self.counted = Some(*usage);
                return;
            }
            ModelEvent::Finish(reason) => {
                self.finish = Some(*reason);
                return;
            }
        }
        self.first_chunk.get_or_insert_with(|| self.started.elapsed());
    }

    fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Notes the outcome. Gives an estimate of the usage when the provider said none and there is something to count.
    fn close(&mut self, failed: Option<&ModelError>) -> Option<Usage> {
        self.outcome = match (failed, self.finish) {
            (Some(ModelError::Unavailable { .. }), _) => "unavailable",
            (Some(ModelError::Timeout { clock: Clock::Connect, .. }), _) => "timeout_connect",
            (Some(ModelError::Timeout { clock: Clock::FirstToken, .. }), _) => "timeout_first_token",
            (Some(ModelError::Timeout { clock: Clock::Gap, .. }), _) => "timeout_gap",
            (Some(ModelError::Timeout { clock: Clock::Total, .. }), _) => "timeout_total",
            (Some(ModelError::Rejected { .. }), _) => "rejected",
            (Some(ModelError::Truncated { .. }), _) | (None, None) => "truncated",
            (None, Some(FinishReason::Stop)) => "ok",
            (None, Some(FinishReason::Length)) => "length",
            (None, Some(FinishReason::Filtered)) => "filtered",
        };
        let said_something = self.first_chunk.is_some() || self.is_finished();
        (self.counted.is_none() && said_something).then(|| self.estimate())
    }

    /// Reasoning is not seen and not counted.
    fn estimate(&self) -> Usage {
        Usage { input: estimated_tokens(self.prompt_bytes), output: estimated_tokens(self.text_bytes), estimated: true }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        let target = self.endpoint.name().to_owned();
        let model = self.endpoint.model().to_owned();
        metrics::counter!(LLM_REQUESTS, "target" => target.clone(), "outcome" => self.outcome).increment(1);
        metrics::histogram!(GEN_AI_DURATION, "target" => target.clone(), "gen_ai_request_model" => model.clone())
            .record(self.started.elapsed());
        let Some(first_chunk) = self.first_chunk else {
            return;
        };
        metrics::histogram!(GEN_AI_FIRST_CHUNK, "target" => target.clone(), "gen_ai_request_model" => model.clone())
            .record(first_chunk);
        let usage = self.counted.unwrap_or_else(|| self.estimate());
        for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
            metrics::histogram!(GEN_AI_TOKENS, "target" => target.clone(), "gen_ai_request_model" => model.clone(),
                "gen_ai_token_type" => kind)
            .record(f64::from(tokens));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn config() -> LlmConfig {
        LlmConfig {
            base_url: Some("http://127.0.0.1:1/v1".to_owned()),
            model: Some("m".to_owned()),
            ..LlmConfig::default()
        }
    }

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let error = |config: &LlmConfig| Targets::from_config(config).err();
        assert!(Targets::from_config(&LlmConfig::default()).unwrap().is_none());
        assert_eq!(Targets::from_config(&config()).unwrap().unwrap().name(), "m");
        assert_eq!(error(&LlmConfig { model: None, ..config() }), Some(TargetsError::ModelMissing));
        for seconds in [0.0, -1.0, 1e18, f64::NAN, f64::INFINITY] {
            assert_eq!(error(&LlmConfig { gap_s: seconds, ..config() }), Some(TargetsError::Clock("gap_s")));
        }
        let api_key = Some(Secret::new("a\nb"));
        assert_eq!(error(&LlmConfig { api_key, ..config() }), Some(EndpointError::ApiKey.into()));
    }

    #[test]
    fn a_target_is_named_by_its_host() {
        assert_eq!(target_name("https://api.groq.com/openai/v1"), "api.groq.com");
        assert_eq!(target_name("http://127.0.0.1:11434"), "127.0.0.1:11434");
    }

    #[test]
    fn the_clocks_run_one_after_the_other_under_the_total() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut watch = Watch::start(Clocks { first_token: 3 * second, gap: second, total: 5 * second }, start);
        assert_eq!(watch.deadline(), (start + 3 * second, Clock::FirstToken));
        watch.sign_of_life(start + 2 * second);
        assert_eq!(watch.deadline(), (start + 3 * second, Clock::Gap));
        watch.sign_of_life(start + 4 * second);
        assert_eq!(watch.deadline(), (start + 5 * second, Clock::Total));
    }
}
