//! The calls of tools in a log: each has exactly one end. Pure.

use std::sync::Arc;

use super::{Log, event::Event};
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
            let (run, call) = (live.run.clone(), call.clone());
            self.append(Event::ToolResult { run, call, outcome: Arc::new(outcome) }, now);
        }
    }

    /// The calls of the live run that have not ended will not: every call has exactly one result.
    pub fn cancel_calls(&mut self, now: Moment) {
        let is_running = |used: &&ToolUse| used.outcome.status == ToolStatus::Running;
        let running: Vec<_> = self.live_tools().iter().filter(is_running).map(|used| used.call.call.clone()).collect();
        for call in running {
            let outcome = ToolOutcome { status: ToolStatus::Cancelled, ..ToolOutcome::default() };
            self.append_result(&call, outcome, now);
        }
    }

    /// The tools that were called for the live run.
    #[must_use]
    pub fn live_tools(&self) -> &[ToolUse] {
        self.live().map_or(&[], |live| &live.tools)
    }
}
