//! A completion while it is written: a run and what is known of its answer so far.

use std::{pin::Pin, sync::Arc};

use axum::http::HeaderValue;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::Instant;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::task_tracker::TaskTrackerToken,
};
use tracing::error;

use crate::http::gateway::Gateway;
use crate::{
    auth::Caller,
    chat::{CallId, Doing, Phase, RunError, RunId, Source, Status, Timestamp, byte_of},
    config::Assistant,
    dialect::openai::{
        ToolCall,
        request::CompletionRequest,
        response::{Envelope, Extension, TOOL_CALLS, finish_reason},
    },
    llm::{Call, Failover, ToolChoice},
    run::{Outcome, RunEvent, RunRequest, citations, count_ended},
    telemetry::metrics::{RUN_TTFT, RUNS_ACTIVE},
};

/// What a completion that goes on has come to.
pub(super) enum Step {
    /// A piece of the answer.
    Text(String),
    /// What the caller is to call; nothing but the end follows.
    Calls,
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
pub(super) struct Completion {
    events: BoxStream<'static, RunEvent>,
    pub(super) envelope: Envelope,
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
    /// Whether there may be any.
    pub(super) may_call: bool,
    pub(super) sources: Arc<[Source]>,
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
    pub(super) fn start(
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
        let may_call = asked.tools.choice != ToolChoice::Nothing;
        let request = RunRequest {
            instructions: asked.instructions,
            begun: asked.begun,
            tools: asked.tools,
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
        Self { asked: asked_because, may_call, ..completion }
    }

    /// Follows a run of an assistant, which `model` is asked for.
    pub(super) fn follow(
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
            calls: Vec::new(),
            may_call: true,
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
    pub(super) async fn next(&mut self) -> Step {
        loop {
            let event = tokio::select! {
                biased;
                () = &mut self.interrupted => return Step::End(self.end(interrupted())),
                event = self.events.next() => event,
            };
            match event {
                // It has waited for its turn until now.
                Some(RunEvent::Doing(Doing { phase: Phase::Retrieving, .. })) => self.started = Instant::now(),
                // What an assistant calls is its own affair: the interface knows only calls for the caller to make.
                Some(
                    RunEvent::Doing(_)
                    | RunEvent::Remembered(_)
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
                Some(RunEvent::Called(calls)) if self.may_call => {
                    self.calls = calls.into_iter().map(named).collect();
                    return Step::Calls;
                }
                // It was told that it may not. Its text is an answer all the same.
                Some(RunEvent::Called(_)) if !self.text.is_empty() => {}
                Some(RunEvent::Called(_)) => return Step::End(self.end(no_answer())),
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
    pub(super) fn cache_status(&self) -> HeaderValue {
        HeaderValue::from_static(match (self.cached, self.asked) {
            (true, _) => "rivulet; hit",
            (false, Asked::Miss) => "rivulet; fwd=miss",
            (false, Asked::Anew) => "rivulet; fwd=request",
            (false, Asked::Apart) => "rivulet; fwd=bypass",
        })
    }

    /// Why it ends; `None` when it broke off, and is not whole.
    pub(super) fn finish_reason(&self, outcome: &Outcome) -> Option<&'static str> {
        finish_reason(outcome.status).map(|reason| if self.calls.is_empty() { reason } else { TOOL_CALLS })
    }

    /// It ends in this way.
    pub(super) fn end(&mut self, outcome: Outcome) -> Outcome {
        self.events = stream::empty().boxed(); // Closes the upstream connection.
        self.count.status = outcome.status;
        outcome
    }

    /// What the gateway says at the end of a whole answer.
    pub(super) fn ending(&self, outcome: &Outcome) -> Extension<'_> {
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

/// A call, with a name of ours that its result will have.
fn named(call: Call) -> ToolCall {
    ToolCall::new(format!("call_{}", CallId::random().as_str().trim_start_matches("c_")), call)
}

/// The model has called what it may not call, and said nothing.
fn no_answer() -> Outcome {
    let error = RunError::new("upstream_unavailable", "The model gave no answer.", true);
    Outcome { status: Status::Error, usage: None, error: Some(error) }
}

/// Another model begins anew, where nothing can be taken back.
pub(super) fn withdrawn() -> Outcome {
    let error = RunError::new("upstream_unavailable", "The model's answer broke off.", true);
    Outcome { status: Status::Incomplete, usage: None, error: Some(error) }
}

/// The gateway ends before the answer does.
fn interrupted() -> Outcome {
    Outcome { status: Status::Interrupted, usage: None, error: Some(going_away()) }
}

pub(super) fn going_away() -> RunError {
    RunError::new("busy", "The gateway is going away.", true)
}
