//! The spans of a run: `run` ▸ `retrieval`, `run` ▸ `chat`, one for each attempt at a model's server, and `run` ▸
//! `execute_tool`, one for each call (docs/tracing.md).
//!
//! Attributes have the names of OpenTelemetry's conventions for generative AI. None holds a question, an answer, a
//! passage, a key, or what a tool was given and said. Nothing is done per token: a span is opened at its beginning, told what came of it at its end, and
//! entered never. Where spans go nowhere (`otlp` says so), opening one costs a look at a flag. Uses `chat`.

use std::time::Duration;

use tracing::{Span, field::Empty, info_span};

use crate::chat::{CallId, SessionId, Usage};

/// The `tracing` target of all spans, by which the log leaves them out and the export takes them in.
pub const TARGET: &str = "spans";

/// The span of a run, on which those of its parts hang. Clones are the same span; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct RunSpan {
    span: Span,
    conversation: Option<SessionId>,
}

impl Default for RunSpan {
    /// None; what hangs on it is a trace of its own.
    fn default() -> Self {
        Self { span: Span::none(), conversation: None }
    }
}

impl RunSpan {
    /// Begins a trace.
    #[must_use]
    pub fn open(conversation: Option<SessionId>) -> Self {
        let span = info_span!(
            target: TARGET, parent: None, "run",
            gen_ai.conversation.id = conversation.as_ref().map(SessionId::as_str),
            rivulet.run.status = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        );
        Self { span, conversation }
    }

    /// Tells how the run ended, and the error code that clients were told. Once.
    pub fn ended(&self, status: &'static str, error: Option<&str>) {
        self.span.record("rivulet.run.status", status);
        record_error(&self.span, error);
    }

    /// Begins the search for passages.
    #[must_use]
    pub fn retrieval(&self, collection: &str) -> RetrievalSpan {
        RetrievalSpan(info_span!(
            target: TARGET, parent: &self.span, "retrieval",
            otel.name = format!("retrieval {collection}"),
            gen_ai.operation.name = "retrieval",
            gen_ai.data_source.id = collection,
            rivulet.retrieval.passages = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        ))
    }

    /// Begins the call of a tool that there is.
    #[must_use]
    pub fn tool(&self, name: &str, call: &CallId) -> ToolSpan {
        ToolSpan(info_span!(
            target: TARGET, parent: &self.span, "execute_tool",
            otel.name = format!("execute_tool {name}"),
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = name,
            gen_ai.tool.call.id = call.as_str(),
            rivulet.tool.status = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        ))
    }

    /// Begins an attempt at a model's server.
    #[must_use]
    pub fn attempt(&self, call: &Call<'_>) -> AttemptSpan {
        AttemptSpan(info_span!(
            target: TARGET, parent: &self.span, "chat",
            otel.name = format!("chat {}", call.model),
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = call.provider,
            gen_ai.request.model = call.model,
            gen_ai.request.stream = true,
            gen_ai.conversation.id = self.conversation.as_ref().map(SessionId::as_str),
            server.address = call.address,
            server.port = i64::from(call.port),
            rivulet.target = call.target,
            rivulet.outcome = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        ))
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What the operator calls it.
    pub target: &'a str,
    /// The kind of server, in the convention's words.
    pub provider: &'static str,
    /// The model's name at the server.
    pub model: &'a str,
    /// The server's host.
    pub address: &'a str,
    /// Its port.
    pub port: u16,
}

/// The span of a search.
#[derive(Debug)]
pub struct RetrievalSpan(Span);

impl RetrievalSpan {
    /// Whether it goes nowhere.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.0.is_disabled()
    }

    /// It is over: so many passages, or none and why.
    pub fn end(self, passages: usize, error: Option<&'static str>) {
        self.0.record("rivulet.retrieval.passages", i64::try_from(passages).unwrap_or(i64::MAX));
        record_error(&self.0, error);
    }
}

/// The span of a call.
#[derive(Debug)]
pub struct ToolSpan(Span);

impl ToolSpan {
    /// It is over, with a status as in `tool.result`, which is an error or is not.
    pub fn end(self, status: &'static str, is_error: bool) {
        self.0.record("rivulet.tool.status", status);
        record_error(&self.0, is_error.then_some(status));
    }
}

/// The span of an attempt.
#[derive(Debug)]
pub struct AttemptSpan(Span);

/// What came of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Result {
    /// As `llm_requests_total` calls it.
    pub outcome: &'static str,
    /// Why it failed, when it did.
    pub error: Option<&'static str>,
    /// Why the model stopped, in OpenAI's words, when it said so.
    pub finish: Option<&'static str>,
    /// From the call to the first text or sign of reasoning.
    pub first_chunk: Option<Duration>,
    /// What it cost, when there was something to count.
    pub usage: Option<Usage>,
}

impl AttemptSpan {
    /// It is over.
    pub fn end(&self, result: &Result) {
        let span = &self.0;
        span.record("rivulet.outcome", result.outcome);
        if let Some(first_chunk) = result.first_chunk {
            span.record("gen_ai.response.time_to_first_chunk", first_chunk.as_secs_f64());
        }
        if let Some(usage) = result.usage {
            span.record("gen_ai.usage.input_tokens", i64::from(usage.input));
            span.record("gen_ai.usage.output_tokens", i64::from(usage.output));
        }
        if let Some(finish) = result.finish {
            record_finish(span, finish);
        }
        record_error(span, result.error);
    }
}

fn record_error(span: &Span, error: Option<&str>) {
    if let Some(error) = error {
        span.record("error.type", error);
        span.record("otel.status_code", "ERROR");
        record_exception(span, error);
    }
}

/// By which collectors of errors know one.
#[cfg(feature = "otlp")]
fn record_exception(span: &Span, error: &str) {
    use opentelemetry::KeyValue;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    if !span.is_disabled() {
        span.add_event("exception", vec![KeyValue::new("exception.type", error.to_owned())]);
    }
}

/// Nobody would read it.
#[cfg(not(feature = "otlp"))]
fn record_exception(_: &Span, _: &str) {}

/// The convention wants a list, which fields of a span cannot be.
#[cfg(feature = "otlp")]
fn record_finish(span: &Span, finish: &'static str) {
    use opentelemetry::{Array, StringValue, Value};
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    if !span.is_disabled() {
        let reasons = Array::String(vec![StringValue::from(finish)]);
        span.set_attribute("gen_ai.response.finish_reasons", Value::Array(reasons));
    }
}

/// Nobody would read it.
#[cfg(not(feature = "otlp"))]
fn record_finish(_: &Span, _: &'static str) {}
