//! What is counted of one attempt at a target: outcome, times, tokens, cost.
//!
//! Usage is told once per attempt: what the provider counted, or else an estimate of one token per four bytes, marked as
//! such; also of attempts that failed or were stopped, for they were paid for. Uses `chat`, `telemetry`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Clock, FinishReason, ModelError, ModelEvent, PromptMessage, estimated_tokens, openai::Endpoint};
use crate::{
    chat::Usage,
    telemetry::metrics::{GEN_AI_DURATION, GEN_AI_FIRST_CHUNK, GEN_AI_TOKENS, LLM_COST, LLM_REQUESTS},
};

/// How an attempt failed, as metrics and reports call it.
pub(super) const fn outcome(error: &ModelError) -> &'static str {
    match error {
        ModelError::Unavailable { .. } => "unavailable",
        ModelError::Timeout { clock: Clock::Connect, .. } => "timeout_connect",
        ModelError::Timeout { clock: Clock::FirstToken, .. } => "timeout_first_token",
        ModelError::Timeout { clock: Clock::Gap, .. } => "timeout_gap",
        ModelError::Timeout { clock: Clock::Total, .. } => "timeout_total",
        ModelError::Rejected { filter: true, .. } => "filtered",
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
    counted: Option<Usage>,
    finish: Option<FinishReason>,
    outcome: &'static str,
}

impl Book {
    pub(super) fn open(endpoint: Arc<Endpoint>, prices: Option<(f64, f64)>, prompt: &[PromptMessage]) -> Self {
        Self {
            endpoint,
            prices,
            started: Instant::now(),
            first_chunk: None,
            prompt_bytes: prompt.iter().map(|message| message.content.len()).sum(),
            text_bytes: 0,
            counted: None,
            finish: None,
            outcome: "cancelled",
        }
    }

    pub(super) fn note(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Thinking => {}
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
        let said_something = self.first_chunk.is_some() || self.finish.is_some();
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
        if let Some((input, output)) = self.prices {
            let cost = (f64::from(usage.input) * input + f64::from(usage.output) * output) / 1_000_000.0;
            metrics::histogram!(LLM_COST, "target" => target, "gen_ai_request_model" => model).record(cost);
        }
    }
}
