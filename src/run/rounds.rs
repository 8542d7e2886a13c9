//! An answer that calls tools goes in rounds: the model is asked, what it calls is run, and it is asked again with what came
//! of that, until it calls nothing more or has called enough.
//!
//! Every call has exactly one result, whatever becomes of it, and the model is never shown one without the other. Text that
//! was said before a call is never withdrawn. Uses `tools`, `limits`, `llm` and its neighbours.

use std::{pin::pin, sync::Arc, time::Duration};

use async_stream::stream;
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, timeout_at};

use super::{
    artifacts::Artifacts,
    calls::{self, Calls, Came, Next, Planned},
    event::RunEvent,
    hearing::Hearing,
    lookup::Lookup,
    outcome::Outcome,
    prompt,
    round::Round,
    shelf::Shelf,
    stages::{Answer, Before, Ended},
    writing::Writing,
};
use crate::{
    chat::{Artifact, Message, Phase, Status, Timestamp, ToolStatus},
    config::{Calling, Fallback},
    limits::{Budgets, Place, Spender},
    llm::{Answered, ChatModel, ChatRequest, KnowledgeUse, PromptMessage, PromptRole, ToolChoice, ToolOffer},
    memory::Telling,
    telemetry::metrics::{TOOL_CALLS, TOOL_DURATION},
    tools::{Context, Newest, Output, Reporter, Shared, ToolError, Toolbox},
};

/// Calls that are run at a time.
const PARALLEL: usize = 4;

/// What an answer with tools has in hand.
pub(super) struct Rounds {
    pub(super) model: Arc<dyn ChatModel>,
    pub(super) budgets: Arc<Budgets>,
    pub(super) spender: Spender,
    pub(super) lookup: Lookup,
    pub(super) artifacts: Arc<Artifacts>,
    pub(super) shared: Arc<Shared>,
    pub(super) toolbox: Arc<Toolbox>,
    pub(super) bounds: Calling,
    /// Whether calls are kept, and somebody can be asked.
    pub(super) are_kept: bool,
    /// What is told with the question, where that is remembered.
    pub(super) telling: Option<Arc<Telling>>,
    /// How far the calls are.
    pub(super) newest: Newest,
    /// What the model was asked last.
    pub(super) request: ChatRequest,
}

/// How far they are.
struct Course {
    /// How often the model was asked.
    asked: u32,
    calls: Calls,
    shelf: Shelf,
    /// What the tools may still take, all together.
    left: Duration,
    /// The most tokens of the whole answer.
    most: u32,
    /// Whether the model was told that there shall be no more calls.
    is_over: bool,
}

impl Rounds {
    /// Asks the model.
    pub(super) fn begin(self, writing: Writing, place: Place) -> Answer {
        let course = self.course();
        self.ask(course, 0, writing, place)
    }

    fn course(&self) -> Course {
        Course {
            asked: 0,
            calls: Calls::new(&self.bounds, self.are_kept),
            shelf: Shelf::with(&self.request.passages),
            left: Duration::try_from_secs_f64(self.bounds.total_s).unwrap_or_default(),
            most: self.request.max_output_tokens,
            is_over: false,
        }
    }

    /// Runs the call that was waited for, if it was allowed, and asks the model what it says to that. `before`: the answers to
    /// the same question up to that one.
    pub(super) fn resume(
        mut self,
        before: Vec<Arc<Message>>,
        writing: Writing,
        place: Place,
    ) -> BoxStream<'static, Before> {
        let steps = stream! {
            let mut course = self.course();
            let toolbox = Arc::clone(&self.toolbox);
            for (at, answer) in before.iter().enumerate() {
                course.calls.know(answer);
                let mut answered = calls::answered(answer);
                let decided = calls::decided(answer);
                let is_last = at + 1 == before.len();
                // An earlier one that was allowed was made by the answer behind it.
                if let Some(used) = decided.filter(|used| is_last || used.outcome.status == ToolStatus::Denied) {
                    let planned = Calls::resume(&toolbox, used);
                    let is_shown = used.outcome.status == ToolStatus::Approved;
                    if is_shown {
                        yield told(RunEvent::Doing(Phase::Tool.into()));
                        yield told(RunEvent::ToolCall(planned.shown.clone()));
                        yield told(RunEvent::Keep);
                    }
                    let each = Duration::try_from_secs_f64(self.bounds.call_s).unwrap_or_default();
                    let begun = Instant::now();
                    let ran = {
                        let mut running = pin!(self.run(&planned, each, begun + course.left));
                        let mut hearing = Hearing::of(&self.newest);
                        loop {
                            match hearing.or(&mut running).await {
                                Ok(ran) => break ran,
                                Err(doing) => yield told(RunEvent::Doing(doing)),
                            }
                        }
                    };
                    course.left = course.left.saturating_sub(begun.elapsed());
                    let (came, has_sources) = course.take(ran, planned.shown.changes);
                    if has_sources {
                        yield told(RunEvent::Sources(course.shelf.sources()));
                    }
                    if is_last {
                        count(&planned, &came);
                    }
                    if is_shown {
                        yield told(RunEvent::ToolResult(planned.shown.call.clone(), came.outcome.clone().into()));
                        course.calls.note(&planned.call, came.clone()); // Said again, it is not asked for again.
                    }
                    answered.push(Answered { call: planned.call, result: came.result });
                }
                self.remember(answer.text.clone(), answered);
            }
            self.narrow(&course.shelf);
            yield told(RunEvent::Doing(Phase::Waiting.into()));
            yield Before::Answer(Box::new(self.ask(course, 0, writing, place)));
        };
        steps.boxed()
    }

    /// Who stands in for a model has the passages alone; rules have what came of the calls.
    fn narrow(&mut self, shelf: &Shelf) {
        self.request.passages = shelf.passages().into();
        if self.request.passages.is_empty() && self.request.choice.fallback != Some(Fallback::Rules) {
            self.request.choice.fallback = Some(Fallback::None);
        }
    }

    /// Asks the model once more, for what follows `off` in the answer.
    fn ask(mut self, mut course: Course, off: u64, writing: Writing, place: Place) -> Answer {
        course.asked += 1;
        self.request.tools = if course.is_over {
            ToolOffer::default() // It called all the same. There is nothing to be called now.
        } else {
            course.is_over = course.asked >= self.bounds.max_rounds || course.calls.are_used_up();
            let choice = if course.is_over { ToolChoice::Nothing } else { ToolChoice::Auto };
            ToolOffer { tools: self.toolbox.specs(), choice, ..ToolOffer::default() }
        };
        let events = self.model.stream(self.request.clone());
        let then = Box::new(|ended: Ended| self.go_on(course, ended));
        Answer::new(events, writing, place).then(Round::at(off), then)
    }

    /// Runs what the model has called, and asks it again.
    fn go_on(mut self, mut course: Course, ended: Ended) -> BoxStream<'static, Before> {
        let steps = stream! {
            let Ended { mut writing, place, round } = ended;
            let (off, said) = round.over();
            yield told(RunEvent::Doing(Phase::Tool.into()));
            let toolbox = Arc::clone(&self.toolbox);
            let mut planned = Vec::new();
            let calls = writing.take_calls();
            course.calls.begin(calls.len(), course.is_over);
            for call in calls {
                let plan = course.calls.plan(&toolbox, call, off, Timestamp::now());
                yield told(RunEvent::ToolCall(plan.shown.clone()));
                planned.push(plan);
            }
            // One that changes something is known to have been called whatever happens, and they are called in their order.
            let changes = planned.iter().any(|plan| plan.shown.changes && matches!(plan.next, Next::Run(..)));
            if changes {
                yield told(RunEvent::Keep);
            }
            let at_once = if changes { 1 } else { PARALLEL };
            let begun = Instant::now();
            let mut came: Vec<Option<Came>> = vec![None; planned.len()];
            {
                let each = Duration::try_from_secs_f64(self.bounds.call_s).unwrap_or_default();
                let mut runs = Vec::with_capacity(planned.len());
                let not_waiting = planned.iter().enumerate().filter(|(_, plan)| !matches!(plan.next, Next::Wait(_)));
                for (at, plan) in not_waiting {
                    runs.push(self.run(plan, each, begun + course.left).map(move |ran| (at, ran)).boxed());
                }
                let mut running = stream::iter(runs).buffer_unordered(at_once);
                let mut hearing = Hearing::of(&self.newest);
                loop {
                    let (at, ran) = match hearing.or(running.next()).await {
                        Ok(Some(came)) => came,
                        Ok(None) => break,
                        Err(doing) => {
                            yield told(RunEvent::Doing(doing));
                            continue;
                        }
                    };
                    let (one, has_sources) = course.take(ran, planned[at].shown.changes);
                    if has_sources {
                        yield told(RunEvent::Sources(course.shelf.sources()));
                    }
                    count(&planned[at], &one);
                    yield told(RunEvent::ToolResult(planned[at].shown.call.clone(), one.outcome.clone().into()));
                    came[at] = Some(one);
                }
            }
            course.left = course.left.saturating_sub(begun.elapsed());
            let waiting = planned.iter().find_map(|plan| match &plan.next {
                Next::Wait(came) => Some((plan, came)),
                _ => None,
            });
            if let Some((plan, came)) = waiting {
                count(plan, came);
                yield told(RunEvent::ToolResult(plan.shown.call.clone(), came.outcome.clone().into()));
                let usage = writing.over().usage;
                yield told(RunEvent::End(Outcome { status: Status::AwaitingApproval, usage, error: None }));
                return;
            }
            let mut answered = Vec::with_capacity(planned.len());
            for (plan, came) in planned.into_iter().zip(came) {
                if let Some(came) = came {
                    course.calls.ran(&plan, &came);
                    answered.push(Answered { call: plan.call, result: came.result });
                }
            }
            self.remember(said, answered);
            self.narrow(&course.shelf);
            yield told(RunEvent::Doing(Phase::Waiting.into()));
            let tokens = prompt::tokens(&self.request.prompt).saturating_add(self.toolbox.tokens());
            let written = writing.over(); // What it held back is free for what follows.
            let spent = written.usage.map_or(0, |usage| usage.output);
            self.request.max_output_tokens = course.most.saturating_sub(spent);
            if self.request.max_output_tokens == 0 {
                yield told(RunEvent::End(Outcome { status: Status::Length, usage: written.usage, error: None }));
                return;
            }
            let most = self.request.max_output_tokens.into();
            match self.budgets.begin(&self.spender, tokens.into(), most).await {
                Ok(spending) => {
                    yield told(RunEvent::Asked(tokens));
                    let writing = Writing::after(written, spending, tokens);
                    yield Before::Answer(Box::new(self.ask(course, off, writing, place)));
                }
                Err(refusal) => {
                    refusal.count();
                    let outcome = Outcome::refused(refusal, written.bytes == 0);
                    yield told(RunEvent::End(Outcome { usage: written.usage, ..outcome }));
                }
            }
        };
        steps.boxed()
    }

    /// Runs a call, unless it has its result already.
    async fn run(&self, planned: &Planned<'_>, each: Duration, latest: Instant) -> Ran {
        let (tool, arguments) = match &planned.next {
            Next::Came(came) => return Ran::Came(came.clone()),
            Next::Wait(came) => return Ran::Came(Came::clone(came)),
            Next::Run(tool, arguments) => (tool, arguments),
        };
        let search = |question: String| {
            async move {
                let found = self.lookup.search(&question).await;
                (found.knowledge != KnowledgeUse::Unavailable).then_some(found.passages)
            }
            .boxed()
        };
        let reporter = Reporter::new(&planned.shown.call, &self.newest);
        let running = async {
            let context = Context {
                call: &planned.shown.call,
                progress: &reporter,
                now: Timestamp::now(),
                search: &search,
                owner: self.request.asker.as_ref(),
                keeps_files: self.request.sharing.session.is_some(),
                telling: self.telling.as_deref(),
                shared: &self.shared,
            };
            let mut output = tool.run(arguments, context).await?;
            let made = std::mem::take(&mut output.files);
            let kept = self.artifacts.keep(self.request.sharing.session.as_ref(), made).await?;
            Ok((output, kept))
        };
        let span = self.request.span.tool(tool.name(), &planned.shown.call);
        let begun = Instant::now();
        let (said, kept) = match timeout_at(latest.min(begun + tool.patience(each)), running).await {
            Ok(Ok((output, kept))) => (Some(Ok(output)), kept),
            Ok(Err(error)) => (Some(Err(error)), Vec::new()),
            Err(_) => (None, Vec::new()),
        };
        let status = match &said {
            Some(Ok(_)) => ToolStatus::Ok,
            Some(Err(_)) => ToolStatus::Error,
            None => ToolStatus::Timeout,
        };
        span.end(status.as_str(), status != ToolStatus::Ok);
        Ran::Said(said, kept, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Adds a round to what the model is asked next.
    fn remember(&mut self, content: String, calls: Vec<Answered>) {
        let mut prompt = self.request.prompt.to_vec();
        match prompt.last_mut().filter(|last| last.role == PromptRole::Assistant && last.calls.is_empty()) {
            Some(begun) => {
                begun.content.push_str(&content);
                begun.calls = calls;
            }
            None => prompt.push(PromptMessage { role: PromptRole::Assistant, content, calls }),
        }
        prompt::shorten_results(&mut prompt);
        self.request.prompt = prompt.into();
    }
}

impl Course {
    /// What a call came to, and whether there are new sources by it.
    fn take(&mut self, ran: Ran, changes: bool) -> (Came, bool) {
        let (mut said, artifacts, ms) = match ran {
            Ran::Came(came) => return (came, false),
            Ran::Said(said, artifacts, ms) => (said, artifacts, ms),
        };
        let found = match &mut said {
            Some(Ok(output)) => std::mem::take(&mut output.passages),
            _ => Vec::new(),
        };
        let known = self.shelf.len();
        let quoted = (!found.is_empty()).then(|| self.shelf.quote(found));
        (self.calls.came(said, quoted, artifacts, ms, changes), self.shelf.len() > known)
    }
}

/// What came of running a call.
enum Ran {
    /// It was not run.
    Came(Came),
    /// What the tool said, and what is kept of what it made, in so many milliseconds; `None`: nothing in the time that it had.
    Said(Option<Result<Output, ToolError>>, Vec<Artifact>, u64),
}

fn told(event: RunEvent) -> Before {
    Before::Told(event)
}

fn count(planned: &Planned<'_>, came: &Came) {
    // What a model makes up is no label.
    let tool = match &planned.next {
        Next::Run(tool, _) => tool.name().to_owned(),
        Next::Wait(_) => planned.call.name.clone(),
        Next::Came(_) => "none".to_owned(),
    };
    metrics::counter!(TOOL_CALLS, "tool" => tool.clone(), "status" => came.outcome.status.as_str()).increment(1);
    metrics::histogram!(TOOL_DURATION, "tool" => tool).record(Duration::from_millis(came.outcome.ms));
}

#[cfg(test)]
mod tests;
