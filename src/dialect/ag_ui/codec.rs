//! One answer as events of AG-UI. Text before a call of a tool, and text behind it, are messages of their own, as pages show
//! them; all of them together say what the answer says. Pure.
//!
//! The protocol knows no withdrawal. Where another model takes over, the open message is closed, all messages are told as they
//! are now, and the message is opened again.

use serde_json::json;

use super::{
    events::{
        Approver, Assistant, Begun, Custom, Ended, Event, Function, Interrupt, Message, Outcome, Own, Titled, ToolCall,
        ToolResult, Usage, VERSION,
    },
    history::History,
    request::{RunAgentInput, interrupt_id},
};
use crate::{
    chat::{
        self, Approval, Author, CallId, Doing, MessageId, RunId, SessionId, Status, ToolOutcome, ToolProgress,
        ToolStatus, byte_of, utf16_len,
    },
    dialect::{Codec, chat_v1::ErrorFrame},
    session::log::{self, RunDone, Step},
};

const ASSISTANT: &str = "assistant";
const TOOL: &str = "tool";

/// An answer, as it is told to one client.
#[derive(Debug)]
pub struct AgUi {
    thread: String,
    run: String,
    session: SessionId,
    history: History,
    settled: Option<(CallId, ToolStatus)>,
    has_begun: bool,
    /// The answer's id, once it has begun.
    answer: String,
    parts: Vec<Part>,
    results: Vec<Came>,
    /// The length of what was told, in UTF-16.
    len: u64,
    /// Whether the last part's text is open.
    is_open: bool,
    /// The call that was allowed, by the id that it is made with: the client knows it by its first one.
    allowed: Option<CallId>,
    waiting: Vec<(CallId, String, Approval)>,
}

/// A message of the answer: text, then calls.
#[derive(Debug)]
struct Part {
    id: String,
    text: String,
    calls: Vec<Called>,
}

#[derive(Debug)]
struct Called {
    id: CallId,
    /// Where in the answer it stands: nothing before it is ever withdrawn.
    off: u64,
    name: String,
    title: String,
    arguments: String,
}

/// What came of a call.
#[derive(Debug)]
struct Came {
    id: String,
    call: CallId,
    content: String,
}

impl AgUi {
    /// Tells an answer of this session to who asked so.
    #[must_use]
    pub fn new(asked: RunAgentInput, session: SessionId) -> Self {
        let RunAgentInput { thread, run, settled, history, .. } = asked;
        Self {
            thread,
            run,
            session,
            history,
            settled,
            has_begun: false,
            answer: String::new(),
            parts: Vec::new(),
            results: Vec::new(),
            len: 0,
            is_open: false,
            allowed: None,
            waiting: Vec::new(),
        }
    }

    fn begin(&mut self, begun: Option<(&RunId, &MessageId, &str)>, out: &mut Vec<String>) {
        let metadata =
            begun.map(|(run, message, model)| Own { rivulet: Begun { session: &self.session, run, message, model } });
        tell(
            out,
            &Event::RunStarted { thread_id: &self.thread, run_id: &self.run, protocol_version: VERSION, metadata },
        );
        self.has_begun = true;
    }

    fn start(&mut self, run: &RunId, message: &MessageId, model: &str, out: &mut Vec<String>) {
        self.begin(Some((run, message, model)), out);
        message.as_str().clone_into(&mut self.answer);
        if self.history.forget(&self.answer) {
            self.restate(out);
        }
        match self.settled.take() {
            Some((call, ToolStatus::Approved)) => self.settled = Some((call, ToolStatus::Approved)),
            Some((call, status)) => self.came(call, &json!({ "status": status }).to_string(), out),
            None => {}
        }
    }

    fn text(&mut self, off: u64, text: &str, out: &mut Vec<String>) {
        let known = self.len.saturating_sub(off);
        let text = &text[byte_of(text, known)..];
        if text.is_empty() {
            return;
        }
        if self.parts.last().is_none_or(|part| !part.calls.is_empty()) {
            self.part();
        }
        self.len += utf16_len(text);
        let Some(part) = self.parts.last_mut() else { return };
        part.text.push_str(text);
        if !std::mem::replace(&mut self.is_open, true) {
            tell(out, &Event::TextMessageStart { message_id: &part.id, role: ASSISTANT });
        }
        tell(out, &Event::TextMessageContent { message_id: &part.id, delta: text });
    }

    /// Begins another message.
    fn part(&mut self) {
        let id = match self.parts.len() {
            0 => self.answer.clone(),
            number => format!("{}-{number}", self.answer),
        };
        self.parts.push(Part { id, text: String::new(), calls: Vec::new() });
    }

    fn close(&mut self, out: &mut Vec<String>) {
        if std::mem::take(&mut self.is_open)
            && let Some(part) = self.parts.last()
        {
            tell(out, &Event::TextMessageEnd { message_id: &part.id });
        }
    }

    /// Takes back what was told behind `keep`.
    fn withdraw(&mut self, keep: u64, out: &mut Vec<String>) {
        // Of several withdrawals the log tells what all of them left; what stands before a call stays all the same.
        let calls = self.parts.iter().flat_map(|part| &part.calls);
        let keep = keep.max(calls.map(|call| call.off).max().unwrap_or(0));
        if keep >= self.len {
            return;
        }
        self.close(out);
        let mut left = keep;
        for part in &mut self.parts {
            part.text.truncate(byte_of(&part.text, left));
            left -= utf16_len(&part.text).min(left);
        }
        self.len = keep - left;
        self.restate(out);
    }

    /// Tells all messages as they are now.
    fn restate(&self, out: &mut Vec<String>) {
        let mut messages: Vec<_> = self.history.told().map(Message::Known).collect();
        let is_of = |came: &&Came, part: &Part| part.calls.iter().any(|call| call.id == came.call);
        let is_elsewhere = |came: &&Came| !self.parts.iter().any(|part| is_of(came, part));
        messages.extend(self.results.iter().filter(is_elsewhere).map(Came::message));
        for part in self.parts.iter().filter(|part| !part.text.is_empty() || !part.calls.is_empty()) {
            messages.push(part.message());
            messages.extend(self.results.iter().filter(|came| is_of(came, part)).map(Came::message));
        }
        tell(out, &Event::MessagesSnapshot { messages });
    }

    fn call(&mut self, call: &chat::ToolCall, out: &mut Vec<String>) {
        if let Some((_, ToolStatus::Approved)) = self.settled
            && self.allowed.is_none()
        {
            self.allowed = Some(call.call.clone());
            return;
        }
        self.close(out);
        if self.parts.is_empty() {
            self.part();
        }
        let Some(part) = self.parts.last_mut() else { return };
        let arguments = call.args.as_str().map_or_else(|| call.args.to_string(), str::to_owned);
        let called = Called {
            id: call.call.clone(),
            off: call.off,
            name: call.tool.clone(),
            title: call.title.clone(),
            arguments,
        };
        let metadata = Own { rivulet: Titled { title: &called.title } };
        let (tool_call_id, tool_call_name) = (&called.id, called.name.as_str());
        tell(out, &Event::ToolCallStart { tool_call_id, tool_call_name, parent_message_id: &part.id, metadata });
        if !called.arguments.is_empty() {
            tell(out, &Event::ToolCallArgs { tool_call_id, delta: &called.arguments });
        }
        tell(out, &Event::ToolCallEnd { tool_call_id });
        part.calls.push(called);
    }

    fn result(&mut self, call: &CallId, outcome: &ToolOutcome, out: &mut Vec<String>) {
        if outcome.status == ToolStatus::Waiting {
            let called = self.parts.iter().flat_map(|part| &part.calls).find(|called| called.id == *call);
            if let (Some(called), Some(approval)) = (called, &outcome.approval) {
                self.waiting.push((call.clone(), called.title.clone(), approval.clone()));
            }
            return;
        }
        let known = self.known(call).clone();
        for artifact in &outcome.artifacts {
            tell(out, &Event::Custom { told: Custom::Artifact { tool_call_id: &known, artifact } });
        }
        self.came(known, &said(outcome), out);
    }

    /// The id by which the page knows a call.
    fn known<'a>(&'a self, call: &'a CallId) -> &'a CallId {
        match &self.settled {
            Some((first, _)) if self.allowed.as_ref() == Some(call) => first,
            _ => call,
        }
    }

    /// What it does; that this is how far a call is means that it calls tools.
    fn doing(&self, doing: &Doing, out: &mut Vec<String>) {
        let told = match doing.progress.as_deref() {
            Some(ToolProgress { call, progress, message }) => {
                Custom::Progress { tool_call_id: self.known(call), progress: *progress, message: message.as_deref() }
            }
            None => Custom::Phase { phase: doing.phase, position: doing.position },
        };
        tell(out, &Event::Custom { told });
    }

    fn came(&mut self, call: CallId, content: &str, out: &mut Vec<String>) {
        let came = Came { id: format!("{}-{call}", self.answer), call, content: content.to_owned() };
        let (message_id, tool_call_id, content) = (came.id.as_str(), &came.call, came.content.as_str());
        tell(out, &Event::ToolCallResult { message_id, tool_call_id, role: TOOL, content });
        self.results.push(came);
    }

    fn done(&mut self, done: &RunDone, out: &mut Vec<String>) {
        if !self.has_begun {
            self.begin(Some((&done.run, &done.message, "")), out);
        }
        self.close(out);
        let outcome = match done.status {
            Status::Complete | Status::Length | Status::Filtered => Outcome::Success,
            Status::Stopped => Outcome::Cancelled,
            Status::AwaitingApproval if !self.waiting.is_empty() => {
                Outcome::Interrupt { interrupts: self.waiting.iter().map(interrupt).collect() }
            }
            Status::Pending | Status::Incomplete | Status::Error | Status::Interrupted | Status::AwaitingApproval => {
                let known = done.error.as_ref().map(|error| (error.message.as_str(), &*error.code));
                let (message, code) = known.unwrap_or(("the answer broke off", done.status.as_str()));
                return tell(out, &Event::RunError { message, code });
            }
        };
        let model = done.author.as_ref().map(|Author { model, .. }| &**model);
        let usage = done.usage.map(|chat::Usage { input, output, .. }| {
            let total_tokens = input.saturating_add(output);
            [Usage { model, input_tokens: input, output_tokens: output, total_tokens }]
        });
        let crc32 = format!("{:08x}", done.crc32);
        let ended = Ended { status: done.status, len: done.len, crc32, citations: &done.citations };
        let (thread_id, run_id, metadata) = (self.thread.as_str(), self.run.as_str(), Own { rivulet: ended });
        tell(out, &Event::RunFinished { thread_id, run_id, outcome, usage, metadata });
    }
}

impl Codec for AgUi {
    fn step(&mut self, step: &Step<'_>, frames: &mut Vec<String>) {
        match step {
            Step::Event(_, event) => match event {
                log::Event::RunStart { run, message, model, .. } => self.start(run, message, model, frames),
                log::Event::Memory { recollection, .. } => {
                    tell(frames, &Event::Custom { told: Custom::Memory(recollection) });
                }
                log::Event::Sources { items, .. } => tell(frames, &Event::Custom { told: Custom::Sources(items) }),
                log::Event::ToolCall { call, .. } => self.call(call, frames),
                log::Event::ToolResult { call, outcome, .. } => self.result(call, outcome, frames),
                log::Event::RunDone(done) => self.done(done, frames),
                log::Event::Message(_) | log::Event::Decided(_) => {}
            },
            Step::Delta { off, text, .. } => self.text(*off, text, frames),
            Step::Failover { keep, from, to, reason, .. } => {
                self.withdraw(*keep, frames);
                tell(frames, &Event::Custom { told: Custom::Failover { from, to, reason } });
            }
            Step::Doing(_, doing) => self.doing(doing, frames),
            Step::Presence(_) | Step::UpToDate | Step::Trimmed => {}
        }
    }

    fn fail(&mut self, error: &ErrorFrame, frames: &mut Vec<String>) {
        if !self.has_begun {
            self.begin(None, frames);
        }
        self.close(frames);
        tell(frames, &Event::RunError { message: &error.message, code: error.code });
    }
}

impl Part {
    fn message(&self) -> Message<'_> {
        let tool_calls = self.calls.iter().map(|call| ToolCall {
            id: &call.id,
            r#type: "function",
            function: Function { name: &call.name, arguments: &call.arguments },
        });
        Message::Own(Assistant { id: &self.id, role: ASSISTANT, content: &self.text, tool_calls: tool_calls.collect() })
    }
}

impl Came {
    fn message(&self) -> Message<'_> {
        Message::Result(ToolResult { id: &self.id, role: TOOL, tool_call_id: &self.call, content: &self.content })
    }
}

/// What a page is told of the outcome of a call: what came of it, or how it ended instead.
fn said(outcome: &ToolOutcome) -> String {
    match (&outcome.status, &outcome.data) {
        (ToolStatus::Ok, Some(data)) => data.to_string(),
        (ToolStatus::Ok, None) if !outcome.summary.is_empty() => outcome.summary.clone(),
        (status, _) if outcome.summary.is_empty() => json!({ "status": status }).to_string(),
        (status, _) => json!({ "status": status, "summary": outcome.summary }).to_string(),
    }
}

fn interrupt((call, title, approval): &(CallId, String, Approval)) -> Interrupt<'_> {
    Interrupt {
        id: interrupt_id(call, &approval.digest),
        reason: "tool_call",
        message: title,
        tool_call_id: call,
        response_schema: json!({
            "type": "object",
            "properties": {"approved": {"type": "boolean"}, "comment": {"type": "string"}},
            "required": ["approved"],
        }),
        expires_at: approval.expires_at,
        metadata: Own { rivulet: Approver { approver: approval.approver.to_string() } },
    }
}

fn tell(out: &mut Vec<String>, event: &Event<'_>) {
    out.push(json(event));
}

#[expect(clippy::expect_used, reason = "no map with keys that are not strings, and no I/O: it cannot fail")]
fn json(event: &Event<'_>) -> String {
    serde_json::to_string(event).expect("an event is JSON")
}

#[cfg(test)]
mod tests;
