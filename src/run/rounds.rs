//! An answer that calls tools goes in rounds: the model is asked, what it calls is run, and it is asked again with what came
//! of that, until it calls nothing more or has called enough.
//!
//! Every call has exactly one result, whatever becomes of it, and the model is never shown one without the other. Text that
//! was said before a call is never withdrawn. Uses `tools`, `limits`, `llm` and its neighbours.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, timeout_at};

use super::{
    calls::{Calls, Came, Next, Planned},
    event::RunEvent,
    outcome::Outcome,
    prompt,
    stages::{Answer, Before},
    writing::Writing,
};
use crate::{
    chat::{Doing, Phase, Timestamp, byte_of, utf16_len},
    config::Calling,
    limits::{Budgets, Place, Spender},
    llm::{Answered, ChatModel, ChatRequest, PromptMessage, PromptRole, ToolOffer},
    telemetry::metrics::{TOOL_CALLS, TOOL_DURATION},
    tools::{Context, Toolbox},
};

/// Calls that are run at a time.
const PARALLEL: usize = 4;
/// What stands between the texts of two rounds.
const BREAK: &str = "\n\n";

/// What an answer with tools has in hand.
pub(super) struct Rounds {
    model: Arc<dyn ChatModel>,
    budgets: Arc<Budgets>,
    spender: Spender,
    toolbox: Arc<Toolbox>,
    bounds: Calling,
    /// What the model was asked last.
    request: ChatRequest,
    /// How often it was asked.
    asked: u32,
    calls: Calls,
    /// What the tools may still take, all together.
    left: Duration,
    /// Where this round's text begins in the answer, in UTF-16 code units.
    begins: u64,
    /// The text of this round.
    said: String,
    /// Whether it stands apart from that of earlier ones already.
    is_apart: bool,
}

impl Rounds {
    /// The model is about to be asked `request` with these tools.
    pub(super) fn new(
        model: Arc<dyn ChatModel>,
        (budgets, spender): (Arc<Budgets>, Spender),
        (toolbox, bounds): (Toolbox, Calling),
        request: ChatRequest,
    ) -> Self {
        let left = Duration::try_from_secs_f64(bounds.total_s).unwrap_or_default();
        let (toolbox, calls) = (Arc::new(toolbox), Calls::new(&bounds));
        let (begins, said, is_apart) = (0, String::new(), true);
        Self { model, budgets, spender, toolbox, bounds, request, asked: 0, calls, left, begins, said, is_apart }
    }

    /// Asks the model once more.
    pub(super) fn ask(mut self: Box<Self>, writing: Writing, place: Place) -> Answer {
        self.asked += 1;
        let is_over = self.asked >= self.bounds.max_rounds || self.calls.are_used_up();
        self.request.tools = ToolOffer { tools: self.toolbox.specs(), is_over };
        let events = self.model.stream(self.request.clone());
        Answer::new(events, writing, place, Some(self))
    }

    /// Hears what is told of this round, and puts it where it belongs in the whole answer.
    pub(super) fn hear(&mut self, event: &mut RunEvent) {
        match event {
            RunEvent::Text(text) => {
                self.said.push_str(text);
                if !self.is_apart {
                    self.is_apart = true;
                    text.insert_str(0, BREAK);
                    self.begins += utf16_len(BREAK);
                }
            }
            RunEvent::Failover(failover) => {
                self.said.truncate(byte_of(&self.said, failover.keep));
                failover.keep += self.begins;
            }
            _ => {}
        }
    }

    /// Runs what the model has called, and asks it again.
    pub(super) fn go_on(mut self: Box<Self>, mut writing: Writing, place: Place) -> BoxStream<'static, Before> {
        let steps = stream! {
            self.begins += utf16_len(&self.said);
            self.is_apart = self.begins == 0;
            yield told(RunEvent::Doing(Phase::Tool.into()));
            let toolbox = Arc::clone(&self.toolbox);
            let mut planned = Vec::new();
            for call in writing.take_calls() {
                let plan = self.calls.plan(&toolbox, call, self.begins);
                yield told(RunEvent::ToolCall(plan.shown.clone()));
                planned.push(plan);
            }
            let begun = Instant::now();
            let mut came: Vec<Option<Came>> = vec![None; planned.len()];
            {
                let (calls, latest) = (&self.calls, begun + self.left);
                let each = Duration::try_from_secs_f64(self.bounds.call_s).unwrap_or_default();
                let mut runs = Vec::with_capacity(planned.len());
                for (at, plan) in planned.iter().enumerate() {
                    runs.push(run(calls, plan, each, latest).map(move |came| (at, came)).boxed());
                }
                let mut running = stream::iter(runs).buffer_unordered(PARALLEL);
                while let Some((at, one)) = running.next().await {
                    count(&planned[at], &one);
                    yield told(RunEvent::ToolResult(planned[at].shown.call.clone(), one.outcome.clone()));
                    came[at] = Some(one);
                }
            }
            self.left = self.left.saturating_sub(begun.elapsed());
            let answered = planned.into_iter().zip(came).filter_map(|(plan, came)| {
                let came = came?;
                self.calls.ran(&plan, &came);
                Some(Answered { call: plan.call, result: came.result })
            });
            let answered = answered.collect();
            self.remember(answered);
            yield told(RunEvent::Doing(Doing::from(Phase::Waiting)));
            let tokens = prompt::tokens(&self.request.prompt);
            let written = writing.over(); // What it held back is free for what follows.
            let most = self.request.max_output_tokens.into();
            match self.budgets.begin(&self.spender, tokens.into(), most).await {
                Ok(spending) => {
                    yield told(RunEvent::Asked(tokens));
                    yield Before::Answer(Box::new(self.ask(Writing::after(written, spending, tokens), place)));
                }
                Err(refusal) => {
                    refusal.count();
                    yield told(RunEvent::End(Outcome { usage: written.usage, ..Outcome::refused(refusal, written.bytes == 0) }));
                }
            }
        };
        steps.boxed()
    }

    /// Adds this round to what the model is asked next.
    fn remember(&mut self, calls: Vec<Answered>) {
        let content = std::mem::take(&mut self.said);
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

fn told(event: RunEvent) -> Before {
    Before::Told(event)
}

/// What a call comes to.
async fn run(calls: &Calls, planned: &Planned<'_>, each: Duration, latest: Instant) -> Came {
    match &planned.next {
        Next::Came(came) => came.clone(),
        Next::Run(tool, arguments) => {
            let begun = Instant::now();
            let running = tool.run(arguments, Context { now: Timestamp::now() });
            let said = timeout_at(latest.min(begun + each), running).await.ok();
            calls.came(said, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
        }
    }
}

fn count(planned: &Planned<'_>, came: &Came) {
    // What a model makes up is no label.
    let tool = match &planned.next {
        Next::Run(tool, _) => tool.name().to_owned(),
        Next::Came(_) => "none".to_owned(),
    };
    metrics::counter!(TOOL_CALLS, "tool" => tool.clone(), "status" => came.outcome.status.as_str()).increment(1);
    metrics::histogram!(TOOL_DURATION, "tool" => tool).record(std::time::Duration::from_millis(came.outcome.ms));
}

#[cfg(test)]
mod tests;
