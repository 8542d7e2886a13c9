//! `/v1/chat/completions`: a run without a session, for programs that speak OpenAI's interface. The caller carries the
//! history, and nothing is stored.
//!
//! The run is polled by the connection: who goes away cancels it, and who reads slowly is waited for. An answer is ended
//! as one only when it is whole. Everything else is an error: a status as long as no head was sent, an `error` event
//! without a `finish_reason` and without `[DONE]` after that.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    Extension as Known,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::task_tracker::TaskTrackerToken,
};
use tracing::error;

use super::{
    body,
    event_stream::{KEEP_ALIVE, STILL_HERE, event_stream},
    gateway::Gateway,
    models::no_model,
    places::ConnectionPermit,
    problem::Problem,
    rates,
};
use crate::{
    auth::Caller,
    chat::{Doing, Phase, RunError, RunId, Source, Status, Timestamp, byte_of},
    config::Assistant,
    dialect::openai::{
        described,
        request::CompletionRequest,
        response::{self, Chunks, Envelope, Extension, finish_reason},
    },
    limits::{Action, Visitor},
    llm::Failover,
    run::{Outcome, RunEvent, RunRequest, citations, count_ended, drawn},
    telemetry::metrics::{RUN_TTFT, RUNS_ACTIVE},
};

/// Whether the answer was known, in the words of RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// Where the interface is.
pub(super) const BASE: &str = "/v1";
/// The largest request, in bytes: the caller sends the whole history.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The waits of a stream.
const WAITS: Waits = Waits { head: Duration::from_secs(45), keep_alive: KEEP_ALIVE };

/// How long a stream may be silent.
struct Waits {
    /// Its head waits for the first text, since only an answer without a head can still become an error status. Proxies
    /// give up after 60 seconds.
    head: Duration,
    /// A comment after so much silence keeps proxies from closing the connection.
    keep_alive: Duration,
}

/// Whether a path belongs to the interface, so that its errors have the interface's form.
pub(super) fn is_below(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An answer, for programs that speak OpenAI's interface.
///
/// The caller carries the history, and nothing is stored. With `stream`, the answer comes as server-sent events, of which
/// the last is `[DONE]`; one that breaks off ends with an `error` and without it.
#[utoipa::path(
    post, path = "/chat/completions", tag = "OpenAI", operation_id = "create_completion",
    request_body = described::CompletionRequest,
    responses((status = 200, description = "The answer", content(
        (response::Completion<'_> = "application/json"),
        ("text/event-stream"),
    ))),
)]
pub(super) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Known(caller): Known<Caller>,
    Known(visitor): Known<Visitor>,
    permit: Option<Known<ConnectionPermit>>,
    request: Request,
) -> Result<Response, Problem> {
    let is_anew = wants_another(request.headers());
    let body: Value = body::json(request, MAX_BODY_BYTES).await?;
    let asked = CompletionRequest::parse(&body, gateway.unsupported)?;
    drop(body);
    if gateway.draining.is_cancelled() {
        return Err((&going_away()).into());
    }
    let assistant = caller.assistant(&gateway.runner.assistants, asked.assistant.as_deref()).ok_or_else(no_model)?;
    let assistant = drawn(&assistant, caller.owner(), None);
    let standing = gateway.runner.check(caller.owner(), &visitor, None, &assistant).await?;
    let (is_stream, include_usage) = (asked.stream, asked.include_usage);
    let completion = Completion::start(&gateway, &caller, (assistant, asked), is_anew);
    let mut response = if is_stream {
        streamed(Streamed { completion, include_usage, has_begun: false, _held_while_it_is_open: permit }, WAITS)
            .await?
    } else {
        whole(completion).await?
    };
    rates::note(&mut response, standing.filter(|standing| standing.action == Action::Assistant));
    Ok(response)
}

/// Whether the answer that may be known already is not wanted.
fn wants_another(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| matches!(word.trim(), "no-cache" | "no-store"))
}

/// The whole answer, or why there is none.
async fn whole(mut completion: Completion) -> Result<Response, Problem> {
    let outcome = loop {
        if let Step::End(outcome) = completion.next().await {
            break outcome;
        }
    };
    let Some(finish) = finish_reason(outcome.status) else {
        let partial = (!completion.text.is_empty()).then_some(completion.text.as_str());
        return Err(problem(&outcome, partial));
    };
    let extension = Extension { sources: Some(&completion.sources), ..completion.ending(&outcome) };
    let body = response::completion(&completion.envelope, &completion.text, finish, outcome.usage, &extension);
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind), (CACHE_STATUS, completion.cache_status())], body).into_response())
}

/// The answer as it is written, or why there is none.
async fn streamed(mut stream: Streamed, waits: Waits) -> Result<Response, Problem> {
    let first = match timeout(waits.head, stream.completion.next()).await {
        Ok(Step::End(outcome)) if finish_reason(outcome.status).is_none() => return Err(problem(&outcome, None)),
        Ok(step) => Some(step),
        Err(_) => None,
    };
    let cache_status = stream.completion.cache_status();
    let events = stream! {
        let mut step = first;
        loop {
            let (events, is_last) = match step {
                Some(step) => stream.tell(step),
                None => (STILL_HERE.to_owned(), false),
            };
            yield events;
            if is_last {
                return;
            }
            step = Some(stream.completion.next().await);
        }
    };
    let mut response = event_stream(waits.keep_alive, events);
    response.headers_mut().insert(CACHE_STATUS, cache_status);
    Ok(response)
}

/// A completion that is told piece by piece.
struct Streamed {
    completion: Completion,
    include_usage: bool,
    has_begun: bool,
    _held_while_it_is_open: Option<Known<ConnectionPermit>>,
}

impl Streamed {
    /// The events for a step, and whether they are the last ones.
    fn tell(&mut self, step: Step) -> (String, bool) {
        let outcome = match step {
            Step::Text(text) => {
                let mut events = self.begin();
                events.push_str(&self.chunks().text(&text));
                return (events, false);
            }
            // What was sent cannot be taken back, so the text has broken off.
            Step::Withdrawn => self.completion.end(withdrawn()),
            Step::End(outcome) => outcome,
        };
        let Some(finish) = finish_reason(outcome.status) else {
            return (problem(&outcome, None).openai().event(), true);
        };
        let mut events = self.begin();
        events.push_str(&self.chunks().end(finish, outcome.usage, &self.completion.ending(&outcome)));
        (events, true)
    }

    /// The first chunk, once: when it is sent, it is known who answers.
    fn begin(&mut self) -> String {
        if std::mem::replace(&mut self.has_begun, true) {
            return String::new();
        }
        self.chunks().begin(&Extension { sources: Some(&self.completion.sources), ..Extension::default() })
    }

    fn chunks(&self) -> Chunks<'_> {
        Chunks { envelope: &self.completion.envelope, include_usage: self.include_usage }
    }
}

/// What a completion that goes on has come to.
enum Step {
    /// A piece of the answer.
    Text(String),
    /// Some of the text, or all of it, does not count any more.
    Withdrawn,
    /// It is over.
    End(Outcome),
}

/// Why a model is asked although there is a cache.
#[derive(Clone, Copy)]
enum Asked {
    /// Nothing was known.
    Miss,
    /// The caller wants another answer.
    Anew,
    /// The answer is not for keeping.
    Apart,
}

/// A run and what is known of its answer so far. Dropping it cancels the run.
struct Completion {
    events: BoxStream<'static, RunEvent>,
    envelope: Envelope,
    text: String,
    sources: Arc<[Source]>,
    /// Whether a tool has found some of them, perhaps after the first text.
    has_found_more: bool,
    cached: bool,
    /// Why a model was asked, when one was.
    asked: Asked,
    started: Instant,
    count: Count,
    /// Waited for once, and not anew for every token.
    interrupted: Pin<Box<WaitForCancellationFutureOwned>>,
    _waited_for_at_the_end: TaskTrackerToken,
}

impl Completion {
    /// Begins the run.
    fn start(
        gateway: &Gateway,
        caller: &Caller,
        (assistant, asked): (Arc<Assistant>, CompletionRequest),
        is_anew: bool,
    ) -> Self {
        let (model, answering) = (gateway.runner.model_name(&assistant), assistant.clone());
        let asked_because = match (asked.may_share && gateway.runner.keeps(caller.owner()), is_anew) {
            (false, _) => Asked::Apart,
            (true, true) => Asked::Anew,
            (true, false) => Asked::Miss,
        };
        let request = RunRequest {
            instructions: asked.instructions,
            beginning: asked.beginning,
            parameters: asked.parameters,
            max_output_tokens: asked.max_output_tokens,
            keeps_history: true,
            may_withdraw: !asked.stream,
            is_anew,
            may_share: asked.may_share,
            ..RunRequest::new(assistant, &asked.question, asked.history, caller.owner().cloned())
        };
        let events = gateway.runner.clone().start(request);
        let (interrupting, waited_for) = (gateway.interrupting.clone(), gateway.completions.token());
        let completion = Self::follow(events, (answering, &model), interrupting, waited_for);
        Self { asked: asked_because, ..completion }
    }

    /// Follows a run of an assistant, which `model` is asked for.
    fn follow(
        events: BoxStream<'static, RunEvent>,
        (assistant, model): (Arc<Assistant>, &str),
        interrupting: CancellationToken,
        waited_for: TaskTrackerToken,
    ) -> Self {
        Self {
            events,
            envelope: Envelope {
                id: format!("chatcmpl-{}", RunId::random().as_str().trim_start_matches("r_")),
                created: Timestamp::now().0 / 1000,
                model: model.to_owned(),
            },
            text: String::new(),
            sources: Arc::from([]),
            has_found_more: false,
            cached: false,
            asked: Asked::Miss,
            started: Instant::now(),
            count: Count::begin(assistant),
            interrupted: Box::pin(interrupting.cancelled_owned()),
            _waited_for_at_the_end: waited_for,
        }
    }

    /// The next step. Nothing is lost when it is dropped while it waits, and nothing comes after the end.
    async fn next(&mut self) -> Step {
        loop {
            let event = tokio::select! {
                biased;
                () = &mut self.interrupted => return Step::End(self.end(interrupted())),
                event = self.events.next() => event,
            };
            match event {
                // It has waited for its turn until now.
                Some(RunEvent::Doing(Doing { phase: Phase::Retrieving, .. })) => self.started = Instant::now(),
                // What an assistant calls is its own affair here: the interface knows only calls for the caller to make.
                Some(
                    RunEvent::Doing(_)
                    | RunEvent::Asked(_)
                    | RunEvent::ToolCall(_)
                    | RunEvent::ToolResult(..)
                    | RunEvent::Keep,
                ) => {}
                Some(RunEvent::Retrieved { sources, .. }) => self.sources = sources,
                Some(RunEvent::Sources(sources)) => (self.sources, self.has_found_more) = (sources, true),
                Some(RunEvent::By(author)) => {
                    self.cached = author.cached;
                    author.model.as_ref().clone_into(&mut self.envelope.model);
                }
                Some(RunEvent::Text(text)) => {
                    if self.text.is_empty() {
                        metrics::histogram!(RUN_TTFT).record(self.started.elapsed().as_secs_f64());
                    }
                    self.text.push_str(&text);
                    return Step::Text(text);
                }
                Some(RunEvent::Failover(Failover { keep, .. })) => {
                    let kept = byte_of(&self.text, keep);
                    if kept < self.text.len() {
                        self.text.truncate(kept);
                        return Step::Withdrawn;
                    }
                }
                Some(RunEvent::End(outcome)) => return Step::End(self.end(outcome)),
                None => {
                    error!(completion = %self.envelope.id, "a run ended without saying how");
                    return Step::End(self.end(Outcome::broken_off(self.text.is_empty())));
                }
            }
        }
    }

    /// Whether the answer was known, as far as that can be told with the head.
    fn cache_status(&self) -> HeaderValue {
        HeaderValue::from_static(match (self.cached, self.asked) {
            (true, _) => "rivulet; hit",
            (false, Asked::Miss) => "rivulet; fwd=miss",
            (false, Asked::Anew) => "rivulet; fwd=request",
            (false, Asked::Apart) => "rivulet; fwd=bypass",
        })
    }

    /// It ends in this way.
    fn end(&mut self, outcome: Outcome) -> Outcome {
        self.events = stream::empty().boxed(); // Closes the upstream connection.
        self.count.status = outcome.status;
        outcome
    }

    /// What the gateway says at the end of a whole answer.
    fn ending(&self, outcome: &Outcome) -> Extension<'_> {
        Extension {
            sources: self.has_found_more.then_some(&*self.sources),
            status: Some(outcome.status),
            citations: Some(citations::find(&self.text, self.sources.len())),
            cached: Some(self.cached),
            estimated_usage: outcome.usage.map(|usage| usage.estimated),
            ..Extension::default()
        }
    }
}

/// Counts a run until it is dropped, however it ends: whose caller goes away was stopped.
struct Count {
    assistant: Arc<Assistant>,
    status: Status,
}

impl Count {
    fn begin(assistant: Arc<Assistant>) -> Self {
        metrics::gauge!(RUNS_ACTIVE).increment(1.0);
        Self { assistant, status: Status::Stopped }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        count_ended(&self.assistant, self.status);
        metrics::gauge!(RUNS_ACTIVE).decrement(1.0);
    }
}

/// How an answer that is not whole is told, with what there is of it.
fn problem(outcome: &Outcome, partial: Option<&str>) -> Problem {
    let unknown = RunError::new("internal", "The answer broke off.", true);
    let problem = Problem::from(outcome.error.as_ref().unwrap_or(&unknown));
    let extension = Extension { status: Some(outcome.status), partial, ..Extension::default() };
    Problem { extension: Some(Box::new(json!(extension))), ..problem }
}

/// Another model begins anew, where nothing can be taken back.
fn withdrawn() -> Outcome {
    let error = RunError::new("upstream_unavailable", "The model's answer broke off.", true);
    Outcome { status: Status::Incomplete, usage: None, error: Some(error) }
}

/// The gateway ends before the answer does.
fn interrupted() -> Outcome {
    Outcome { status: Status::Interrupted, usage: None, error: Some(going_away()) }
}

fn going_away() -> RunError {
    RunError::new("busy", "The gateway is going away.", true)
}

#[cfg(test)]
mod tests;
