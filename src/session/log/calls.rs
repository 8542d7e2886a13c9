//! The calls of tools in a log: each has exactly one end. Pure.

use std::sync::Arc;

use super::{
    Log,
    event::{Decided, Event},
};
use crate::{
    chat::{CallId, ToolCall, ToolOutcome, ToolStatus, ToolUse},
    session::Moment,
};

impl Log {
    /// Notes that a tool is called for the live run.
    pub fn append_call(&mut self, call: ToolCall, now: Moment) {
        if let Some(live) = self.live_mut() {
            live.tools.push(ToolUse { call: call.clone(), outcome: ToolOutcome::default() });
            let run = live.run.clone();
            self.append(Event::ToolCall { run, call: Arc::new(call) }, now);
        }
    }

    /// Notes what came of a call of the live run; of one that has an end already, or that nobody knows, nothing.
    pub fn append_result(&mut self, call: &CallId, outcome: ToolOutcome, now: Moment) {
        let Some(live) = self.live_mut() else { return };
        let is_it = |used: &&mut ToolUse| used.call.call == *call && used.outcome.status == ToolStatus::Running;
        if let Some(used) = live.tools.iter_mut().find(is_it) {
            used.outcome = outcome.clone();
            // How far it was is of no use to anybody any more.
            if live.doing.progress.take_if(|progress| progress.call == *call).is_some() {
                self.phase_changes += 1;
            }
            let Some(live) = self.live() else { return };
            let (run, call) = (live.run.clone(), call.clone());
            self.append(Event::ToolResult { run, call, outcome: Arc::new(outcome) }, now);
        }
    }

    /// The calls of the live run that have not ended will not: every call has exactly one result.
    pub fn cancel_calls(&mut self, now: Moment) {
        let is_running = |used: &&ToolUse| used.outcome.status == ToolStatus::Running;
        let running: Vec<_> = self.live_tools().iter().filter(is_running).map(|used| used.call.call.clone()).collect();
        for call in running {
            let Some(used) = self.live_tools().iter().find(|used| used.call.call == call) else { continue };
            let outcome = ToolOutcome::ended(ToolStatus::Cancelled, &used.call);
            self.append_result(&call, outcome, now);
        }
    }

    /// Notes what became of a call that waited to be allowed.
    pub fn decide(&mut self, decided: Decided, now: Moment) {
        self.transcript.decide(&decided);
        self.append(Event::Decided(Arc::new(decided)), now);
    }

    /// The conversation goes on without the call that waits, when one does.
    pub fn supersede(&mut self, now: Moment) {
        let waiting = self.transcript.iter().rev().find(|answer| answer.waiting().is_some()).cloned();
        if let Some((answer, used)) = waiting.as_ref().and_then(|answer| Some((answer, answer.waiting()?))) {
            let (message, call) = (answer.id.clone(), used.call.call.clone());
            self.decide(Decided { message, call, decision: ToolStatus::Superseded, by: None, comment: None }, now);
        }
    }

    /// The tools that were called for the live run.
    #[must_use]
    pub fn live_tools(&self) -> &[ToolUse] {
        self.live().map_or(&[], |live| &live.tools)
    }
}
