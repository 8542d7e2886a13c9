//! What is counted of one attempt at a target: outcome, times, tokens, cost.
//!
//! Usage is told once per attempt: what the provider counted, or else an estimate of one token per four bytes, marked as
//! such; also of attempts that failed or were stopped, for they were paid for. Uses `chat`, `telemetry`.

use std::{sync::Arc, time::Duration};

use metrics::Label;
use tokio::time::Instant;

use super::{ChatRequest, Clock, FinishReason, ModelError, ModelEvent, Rejection, estimated_tokens, openai::Endpoint};
use crate::{
    chat::Usage,
    telemetry::{
        metrics::{GEN_AI_DURATION, GEN_AI_FIRST_CHUNK, GEN_AI_TOKENS, LLM_COST, LLM_REQUESTS},
        spans::{self, AttemptSpan},
    },
};

/// How an attempt failed, as metrics and reports call it.
pub(super) const fn outcome(error: &ModelError) -> &'static str {
    match error {
        ModelError::Unavailable { .. } => "unavailable",
        ModelError::Timeout { clock: Clock::Connect, .. } => "timeout_connect",
        ModelError::Timeout { clock: Clock::FirstToken, .. } => "timeout_first_token",
        ModelError::Timeout { clock: Clock::Gap, .. } => "timeout_gap",
        ModelError::Timeout { clock: Clock::Total, .. } => "timeout_total",
        ModelError::Rejected { reason: Rejection::Filter, .. } => "filtered",
        ModelError::Rejected { reason: Rejection::ContextLength, .. } => "context_length",
        ModelError::Rejected { .. } => "rejected",
        ModelError::Truncated { .. } => "truncated",
    }
}

/// What is counted of one attempt, however it ends: an attempt that is dropped is booked as cancelled.
#[derive(Debug)]
pub(super) struct Book {
    endpoint: Arc<Endpoint>,
    /// Prices of a million input and output tokens.
    prices: Option<(f64, f64)>,
    started: Instant,
    first_chunk: Option<Duration>,
    prompt_bytes: usize,
    text_bytes: usize,
    reasoning_bytes: usize,
    counted: Option<Usage>,
    finish: Option<FinishReason>,
    outcome: &'static str,
    is_failed: bool,
    span: AttemptSpan,
}

impl Book {
    pub(super) fn open(endpoint: Arc<Endpoint>, prices: Option<(f64, f64)>, request: &ChatRequest) -> Self {
        Self {
            span: request.span.attempt(&endpoint.call()),
            endpoint,
            prices,
            started: Instant::now(),
            first_chunk: None,
            prompt_bytes: request.prompt.iter().map(|message| message.content.len()).sum(),
            text_bytes: 0,
            reasoning_bytes: 0,
            counted: None,
            finish: None,
            outcome: "cancelled",
            is_failed: false,
        }
    }

    pub(super) fn note(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Thinking(bytes) => self.reasoning_bytes += *bytes as usize,
            // Nothing that a target says.
            ModelEvent::Queued(_) | ModelEvent::Asked | ModelEvent::By(_) | ModelEvent::Failover(_) => return,
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

    /// When the attempt began.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// Notes the outcome. Gives an estimate of the usage when the provider said none and there is something to count.
    pub(super) fn close(&mut self, failed: Option<&ModelError>) -> Option<Usage> {
        self.outcome = match (failed, self.finish) {
            (Some(error), _) => outcome(error),
            (None, None) => "truncated",
            (None, Some(FinishReason::Stop)) => "ok",
            (None, Some(FinishReason::Length)) => "length",
            (None, Some(FinishReason::Filtered)) => "filtered",
        };
        self.is_failed = failed.is_some() || self.finish.is_none();
        let said_something = self.first_chunk.is_some() || self.finish.is_some();
        (self.counted.is_none() && said_something).then(|| self.estimate())
    }

    /// Reasoning is not seen, and has the price of text.
    fn estimate(&self) -> Usage {
        let output = estimated_tokens(self.text_bytes + self.reasoning_bytes);
        Usage { input: estimated_tokens(self.prompt_bytes), output, estimated: true }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        let error = self.is_failed.then_some(self.outcome);
        let usage = self.first_chunk.map(|_| self.counted.unwrap_or_else(|| self.estimate()));
        self.span.end(&spans::Result {
            outcome: self.outcome,
            error,
            finish: self.finish.map(finish_reason),
            first_chunk: self.first_chunk,
            usage,
        });
        let call = self.endpoint.call();
        let target = Label::new("target", call.target.to_owned());
        let outcome = Label::from_static_parts("outcome", self.outcome);
        metrics::counter!(LLM_REQUESTS, vec![target.clone(), outcome]).increment(1);
        let labels = vec![
            target,
            Label::from_static_parts("gen_ai_operation_name", "chat"),
            Label::from_static_parts("gen_ai_provider_name", call.provider),
            Label::new("gen_ai_request_model", call.model.to_owned()),
        ];
        let with = |label| labels.iter().cloned().chain(label).collect::<Vec<_>>();
        let error = error.map(|error| Label::from_static_parts("error_type", error));
        metrics::histogram!(GEN_AI_DURATION, with(error)).record(self.started.elapsed());
        let (Some(first_chunk), Some(usage)) = (self.first_chunk, usage) else {
            return;
        };
        metrics::histogram!(GEN_AI_FIRST_CHUNK, labels.clone()).record(first_chunk);
        for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
            let kind = Label::from_static_parts("gen_ai_token_type", kind);
            metrics::histogram!(GEN_AI_TOKENS, with(Some(kind))).record(f64::from(tokens));
        }
        if let Some((input, output)) = self.prices {
            let cost = (f64::from(usage.input) * input + f64::from(usage.output) * output) / 1_000_000.0;
            let labels = vec![labels[0].clone(), labels[3].clone()];
            metrics::histogram!(LLM_COST, labels).record(cost);
        }
    }
}

/// In OpenAI's words.
const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Filtered => "content_filter",
    }
}
