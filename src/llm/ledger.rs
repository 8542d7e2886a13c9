//! What is counted of one attempt at a target: outcome, times, tokens, cost.
//!
//! Usage is told once per attempt: what the provider counted, and where it did not, an estimate of one token per four
//! bytes, marked as such; also of attempts that failed or were stopped, for they were paid for. Uses `chat`, `telemetry`.

use std::{sync::Arc, time::Duration};

use metrics::Label;
use tokio::time::Instant;

use super::{
    error::{Clock, ModelError},
    event::FinishReason,
    openai::Endpoint,
    request::ChatRequest,
    tokens::estimated_tokens,
};
use crate::{
    chat::Usage,
    telemetry::{
        metrics::{GEN_AI_DURATION, GEN_AI_FIRST_CHUNK, GEN_AI_TOKENS, LLM_COST, LLM_REQUESTS},
        spans::{self, AttemptSpan, Call},
    },
};

/// What is counted of one attempt, however it ends: an attempt that is dropped is booked as cancelled.
#[derive(Debug)]
pub(super) struct Ledger {
    endpoint: Arc<Endpoint>,
    /// Prices of a million input and output tokens.
    prices: Option<(f64, f64)>,
    started: Instant,
    first_chunk: Option<Duration>,
    /// The server has taken the request, as far as can be told: it has its price.
    is_taken: bool,
    prompt_bytes: usize,
    /// Of text and reasoning: the second is not seen, and has the price of the first.
    said_bytes: usize,
    counted: Option<Usage>,
    calls_tools: bool,
    finish: Option<FinishReason>,
    outcome: &'static str,
    is_failed: bool,
    span: AttemptSpan,
}

impl Ledger {
    pub(super) fn open(endpoint: Arc<Endpoint>, prices: Option<(f64, f64)>, request: &ChatRequest) -> Self {
        Self {
            span: request.span.attempt(&endpoint.call()),
            endpoint,
            prices,
            started: Instant::now(),
            first_chunk: None,
            is_taken: false,
            prompt_bytes: request.bytes(),
            said_bytes: 0,
            counted: None,
            calls_tools: false,
            finish: None,
            outcome: "cancelled",
            is_failed: false,
        }
    }

    /// When the attempt began.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// The head of an answer came.
    pub(super) const fn taken(&mut self) {
        self.is_taken = true;
    }

    /// The model has said so many bytes, seen or not.
    pub(super) fn said(&mut self, bytes: usize, now: Instant) {
        self.said_bytes += bytes;
        self.first_chunk.get_or_insert_with(|| now - self.started);
    }

    /// The model has called tools.
    pub(super) const fn called(&mut self) {
        self.calls_tools = true;
    }

    /// Notes the outcome, and what the provider has counted. Gives the usage, when there is something to count: what the
    /// provider did not count is estimated.
    pub(super) fn close(&mut self, ending: Result<FinishReason, &ModelError>, counted: Option<Usage>) -> Option<Usage> {
        self.outcome = match ending {
            Err(error) => error.outcome(),
            Ok(FinishReason::Stop) => "ok",
            Ok(FinishReason::Length) => "length",
            Ok(FinishReason::Filtered) => "filtered",
        };
        self.finish = ending.ok();
        self.is_failed = ending.is_err();
        // A server that was silent until a clock ran out was at work, for all that is known.
        self.is_taken |= matches!(ending, Err(ModelError::Timeout { clock, .. }) if *clock != Clock::Connect);
        self.counted = counted;
        self.is_taken.then(|| self.usage())
    }

    fn usage(&self) -> Usage {
        let counted = self.counted.unwrap_or(Usage { input: 0, output: 0, estimated: false });
        let (input, output) = (estimated_tokens(self.prompt_bytes), estimated_tokens(self.said_bytes));
        Usage {
            input: if counted.input > 0 { counted.input } else { input },
            output: if counted.output > 0 { counted.output } else { output },
            estimated: counted.input == 0 && input > 0 || counted.output == 0 && output > 0,
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let error = self.is_failed.then_some(self.outcome);
        let usage = self.first_chunk.map(|_| self.usage());
        self.span.end(&spans::Result {
            outcome: self.outcome,
            error,
            finish: self.finish.map(|reason| if self.calls_tools { "tool_calls" } else { finish_reason(reason) }),
            first_chunk: self.first_chunk,
            usage,
        });
        let call = self.endpoint.call();
        metrics::counter!(LLM_REQUESTS, "target" => call.target.to_owned(), "outcome" => self.outcome).increment(1);
        let labels = labels(&call);
        let error = error.map(|error| Label::from_static_parts("error_type", error));
        metrics::histogram!(GEN_AI_DURATION, with(&labels, error)).record(self.started.elapsed());
        let (Some(first_chunk), Some(usage)) = (self.first_chunk, usage) else {
            return;
        };
        metrics::histogram!(GEN_AI_FIRST_CHUNK, labels.clone()).record(first_chunk);
        for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
            metrics::histogram!(GEN_AI_TOKENS, with(&labels, Some(token_type(kind)))).record(f64::from(tokens));
        }
        if let Some((input, output)) = self.prices {
            let cost = (f64::from(usage.input) * input + f64::from(usage.output) * output) / 1_000_000.0;
            metrics::histogram!(LLM_COST, cost_labels(&call)).record(cost);
        }
    }
}

/// Begins the metrics of calls that may come.
pub(super) fn begin(call: &Call<'_>, has_prices: bool) {
    let labels = labels(call);
    for kind in ["input", "output"] {
        drop(metrics::histogram!(GEN_AI_TOKENS, with(&labels, Some(token_type(kind)))));
    }
    drop(metrics::histogram!(GEN_AI_DURATION, labels.clone()));
    drop(metrics::histogram!(GEN_AI_FIRST_CHUNK, labels));
    if has_prices {
        drop(metrics::histogram!(LLM_COST, cost_labels(call)));
    }
}

fn labels(call: &Call<'_>) -> Vec<Label> {
    vec![
        Label::new("target", call.target.to_owned()),
        Label::from_static_parts("gen_ai_operation_name", "chat"),
        Label::from_static_parts("gen_ai_provider_name", call.provider),
        Label::new("gen_ai_request_model", call.model.to_owned()),
    ]
}

fn cost_labels(call: &Call<'_>) -> Vec<Label> {
    vec![Label::new("target", call.target.to_owned()), Label::new("gen_ai_request_model", call.model.to_owned())]
}

fn token_type(kind: &'static str) -> Label {
    Label::from_static_parts("gen_ai_token_type", kind)
}

fn with(labels: &[Label], label: Option<Label>) -> Vec<Label> {
    labels.iter().cloned().chain(label).collect()
}

/// In OpenAI's words.
const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Filtered => "content_filter",
    }
}
