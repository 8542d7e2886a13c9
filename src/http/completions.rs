//! `/v1/chat/completions`: a run without a session, for programs that speak OpenAI's interface. The caller carries the
//! history, and nothing is stored.
//!
//! The run is polled by the connection: who goes away cancels it, and who reads slowly is waited for. An answer is ended
//! as one only when it is whole. Everything else is an error: a status as long as no head was sent, an `error` event
//! without a `finish_reason` and without `[DONE]` after that.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use axum::{
    Extension as Known,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use self::completion::{Completion, Step, going_away, withdrawn};
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
    chat::RunError,
    config::{Assistant, Unsupported},
    dialect::openai::{
        Invalid, described,
        request::CompletionRequest,
        response::{self, Chunks, Extension},
    },
    limits::{Action, Visitor},
    run::{Outcome, drawn},
};

mod completion;

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
    let mut asked = CompletionRequest::parse(&body, gateway.unsupported)?;
    drop(body);
    if gateway.draining.is_cancelled() {
        return Err((&going_away()).into());
    }
    let assistant = caller.assistant(&gateway.runner.assistants, asked.assistant.as_deref()).ok_or_else(no_model)?;
    let assistant = drawn(&assistant, caller.owner(), None);
    fit_tools(&gateway, &assistant, &mut asked)?;
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

/// Sees to it that somebody takes the caller's tools, when it has some. The built-in model answers in text, whatever there is
/// to call.
fn fit_tools(gateway: &Gateway, assistant: &Assistant, asked: &mut CompletionRequest) -> Result<(), Invalid> {
    if asked.tools.tools.is_empty() {
        return Ok(());
    }
    let (targets, chosen) = (gateway.model.targets(), &assistant.model.targets);
    let is_chosen = |name: &String| chosen.is_empty() || chosen.contains(name);
    if targets.iter().any(|target| target.takes_tools && is_chosen(&target.name)) {
        return Ok(());
    }
    asked.leave_out_tools(if targets.is_empty() { Unsupported::Text } else { gateway.unsupported })
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
    let Some(finish) = completion.finish_reason(&outcome) else {
        let partial = (!completion.text.is_empty()).then_some(completion.text.as_str());
        return Err(problem(&outcome, partial));
    };
    let extension = Extension { sources: Some(&completion.sources), ..completion.ending(&outcome) };
    let body = response::completion(
        &completion.envelope,
        (&completion.text, &completion.calls),
        finish,
        outcome.usage,
        &extension,
    );
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind), (CACHE_STATUS, completion.cache_status())], body).into_response())
}

/// The answer as it is written, or why there is none.
async fn streamed(mut stream: Streamed, waits: Waits) -> Result<Response, Problem> {
    let first = match timeout(waits.head, stream.completion.next()).await {
        Ok(Step::End(outcome)) if stream.completion.finish_reason(&outcome).is_none() => {
            return Err(problem(&outcome, None));
        }
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
            Step::Calls => {
                let mut events = self.begin();
                events.push_str(&self.chunks().calls(&self.completion.calls));
                return (events, false);
            }
            // What was sent cannot be taken back, so the text has broken off.
            Step::Withdrawn => self.completion.end(withdrawn()),
            Step::End(outcome) => outcome,
        };
        let Some(finish) = self.completion.finish_reason(&outcome) else {
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

/// How an answer that is not whole is told, with what there is of it.
fn problem(outcome: &Outcome, partial: Option<&str>) -> Problem {
    let unknown = RunError::new("internal", "The answer broke off.", true);
    let problem = Problem::from(outcome.error.as_ref().unwrap_or(&unknown));
    let extension = Extension { status: Some(outcome.status), partial, ..Extension::default() };
    Problem { extension: Some(Box::new(json!(extension))), ..problem }
}

#[cfg(test)]
mod tests;
