//! An answer as the chunks of a UI message stream. A message consists of steps, and the newest step can be withdrawn: so
//! what another model takes back lies in a step without anything else in it, and what tools did in steps before.
//!
//! The text that is known and the text that was told are two things: the log gives the text before a call in one piece with
//! that behind it to whoever comes late, and then the piece is taken back and told again around the call.

use serde_json::{Map, Value, json};

use crate::{
    chat::{CallId, Citation, Doing, SessionId, Source, Status, ToolCall, ToolOutcome, ToolStatus, byte_of, utf16_len},
    dialect::{Codec, chat_v1::ErrorFrame},
    session::log::{Event, RunDone, Step},
};

/// An answer that goes on with a call which waited in an earlier one: the view has both as one message.
#[derive(Debug, Clone, PartialEq)]
pub struct GoingOn {
    /// The message of the view.
    pub view: String,
    /// The call.
    pub call: CallId,
    /// Whether it was allowed.
    pub is_approved: bool,
}

/// Tells one answer.
#[derive(Debug)]
pub struct Chunks {
    session: SessionId,
    going_on: Option<GoingOn>,
    /// The text as far as it is known.
    text: String,
    /// How much of it that is, in UTF-16 code units.
    units: u64,
    /// How much of it was told, in bytes.
    told: usize,
    /// Where the step begins in it, in bytes: nothing before it is ever taken back.
    base: usize,
    in_step: bool,
    /// A tool was called in this step.
    has_call: bool,
    /// Chunks of this step that stay when its text is withdrawn.
    staying: Vec<String>,
    /// Where the open part of text begins, in UTF-16 code units.
    part: Option<u64>,
    parts: u64,
    sources: Vec<Source>,
    /// The calls that have no result yet.
    running: Vec<CallId>,
}

impl Codec for Chunks {
    fn step(&mut self, step: &Step<'_>, out: &mut Vec<String>) {
        match step {
            Step::Event(_, event) => self.event(event, out),
            Step::Delta { off, text, .. } => {
                let known = byte_of(text, self.units.saturating_sub(*off));
                self.text.push_str(&text[known..]);
                self.units += utf16_len(&text[known..]);
                self.tell(self.text.len(), out);
            }
            Step::Failover { keep, from, to, reason, .. } => {
                // Of several withdrawals the log tells what all of them left; what stands before a call stays all the same.
                let fixed = if self.has_call { self.told } else { self.base };
                self.text.truncate(byte_of(&self.text, *keep).max(fixed));
                self.units = utf16_len(&self.text);
                if self.told > self.text.len() {
                    self.withdraw(out);
                }
                let failover = json!({"from": from, "to": to, "reason": reason});
                push(out, json!({"type": "message-metadata", "messageMetadata": {"failover": failover}}));
                self.tell(self.text.len(), out);
            }
            Step::Doing(_, doing) => self.doing(doing, out),
            _ => {}
        }
    }

    fn fail(&mut self, error: &ErrorFrame, out: &mut Vec<String>) {
        push(out, json!({"type": "error", "errorText": error.message}));
    }
}

impl Chunks {
    /// Tells an answer of this session.
    #[must_use]
    pub fn new(session: SessionId, going_on: Option<GoingOn>) -> Self {
        Self {
            session,
            going_on,
            text: String::new(),
            units: 0,
            told: 0,
            base: 0,
            in_step: false,
            has_call: false,
            staying: Vec::new(),
            part: None,
            parts: 0,
            sources: Vec::new(),
            running: Vec::new(),
        }
    }

    fn event(&mut self, event: &Event, out: &mut Vec<String>) {
        match event {
            Event::RunStart { run, message, model, version, variant, .. } => {
                let about = json!({"session": self.session, "run": run, "model": model, "version": version, "variant": variant});
                let view = self.going_on.as_ref().map_or(message.as_str(), |going_on| &going_on.view);
                push(out, json!({"type": "start", "messageId": view, "messageMetadata": without_null(about)}));
                if let Some(GoingOn { call, is_approved, .. }) = &self.going_on {
                    let status = if *is_approved { ToolStatus::Approved } else { ToolStatus::Denied };
                    result(call, &ToolOutcome { status, ..ToolOutcome::default() }, out);
                }
            }
            Event::Memory { recollection, .. } => {
                let data = serde_json::to_value(&**recollection).unwrap_or_default();
                self.stay(&json!({"type": "data-memory", "id": "memory", "data": data}), out);
            }
            Event::Sources { items, .. } => {
                for source in items.iter() {
                    if self.sources.iter().all(|known| known.n != source.n) {
                        self.stay(&source_chunk(source), out);
                        self.sources.push(source.clone());
                    }
                }
            }
            Event::ToolCall { call, .. } => self.call(call, out),
            Event::ToolResult { call, outcome, .. } => {
                self.running.retain(|running| running != call);
                result(call, outcome, out);
                for artifact in &outcome.artifacts {
                    let mut data = json!(artifact);
                    data["url"] = format!("/api/v1/artifacts/{}", artifact.artifact).into();
                    data["toolCallId"] = call.as_str().into();
                    self.stay(&json!({"type": "data-artifact", "id": artifact.artifact, "data": data}), out);
                }
            }
            Event::RunDone(done) => self.done(done, out),
            _ => {}
        }
    }

    fn doing(&self, doing: &Doing, out: &mut Vec<String>) {
        // The SDK takes nothing of a call that it does not know, or that is over.
        if let Some(progress) = doing.progress.as_ref().filter(|progress| self.running.contains(&progress.call)) {
            let output = without_null(json!({"progress": progress.progress, "message": progress.message}));
            let said = json!({"type": "tool-output-available", "toolCallId": progress.call, "output": output, "dynamic": true,
                "providerExecuted": true, "preliminary": true});
            return push(out, said);
        }
        let data = without_null(json!({"phase": doing.phase, "position": doing.position}));
        push(out, json!({"type": "data-phase", "data": data, "transient": true}));
    }

    fn call(&mut self, call: &ToolCall, out: &mut Vec<String>) {
        let end = byte_of(&self.text, call.off);
        if self.told > end {
            self.withdraw(out);
        }
        self.tell(end, out);
        self.end_part(&[], out);
        self.begin_step(out);
        let (id, input) = (&call.call, if call.args.is_null() { json!({}) } else { call.args.clone() });
        let what = json!({"type": "tool-input-available", "toolCallId": id, "toolName": call.tool, "title": call.title,
            "input": input, "dynamic": true, "providerExecuted": true});
        push(out, what);
        self.running.push(call.call.clone());
        self.has_call = true;
    }

    fn done(&mut self, done: &RunDone, out: &mut Vec<String>) {
        self.tell(self.text.len(), out);
        self.end_step(&done.citations, out);
        let about = json!({
            "status": done.status, "len": done.len, "crc32": format!("{:08x}", done.crc32), "usage": done.usage,
            "timing": done.timing, "model": done.author.as_ref().map(|author| &author.model),
            "cached": done.author.as_ref().and_then(|author| author.cached.then_some(true)),
            "citations": (!done.citations.is_empty()).then_some(&done.citations), "session": self.session, "run": done.run,
        });
        let about = without_null(about);
        let reason = match done.status {
            Status::Complete => "stop",
            Status::Length => "length",
            Status::Filtered => "content-filter",
            Status::AwaitingApproval => "tool-calls",
            Status::Incomplete | Status::Interrupted | Status::Pending => "interrupted",
            Status::Stopped | Status::Error => {
                push(out, json!({"type": "message-metadata", "messageMetadata": about}));
                let failed = done.error.as_ref().map_or("the answer failed", |error| &error.message);
                return push(
                    out,
                    match done.status {
                        Status::Stopped => json!({"type": "abort", "reason": "stopped"}),
                        _ => json!({"type": "error", "errorText": failed}),
                    },
                );
            }
        };
        push(out, json!({"type": "finish", "finishReason": reason, "messageMetadata": about}));
    }

    /// Tells the text up to `end` (bytes).
    fn tell(&mut self, end: usize, out: &mut Vec<String>) {
        if self.told >= end {
            return;
        }
        if self.has_call {
            self.end_step(&[], out);
        }
        self.begin_step(out);
        if self.part.is_none() {
            self.parts += 1;
            self.part = Some(utf16_len(&self.text[..self.told]));
            push(out, json!({"type": "text-start", "id": self.part_id()}));
        }
        // By hand, since there is one per token.
        let delta = Value::from(&self.text[self.told..end]);
        out.push(format!(r#"{{"type":"text-delta","id":"{}","delta":{delta}}}"#, self.part_id()));
        self.told = end;
    }

    /// Takes back the text of this step. Its other chunks are told again.
    fn withdraw(&mut self, out: &mut Vec<String>) {
        push(out, json!({"type": "reset-step"}));
        out.extend(self.staying.iter().cloned());
        self.part = None;
        self.told = self.base;
    }

    /// Tells what is not text: it is not withdrawn with the text of its step.
    fn stay(&mut self, chunk: &Value, out: &mut Vec<String>) {
        let chunk = chunk.to_string();
        if self.in_step && !self.has_call {
            self.staying.push(chunk.clone());
        }
        out.push(chunk);
    }

    fn begin_step(&mut self, out: &mut Vec<String>) {
        if !std::mem::replace(&mut self.in_step, true) {
            push(out, json!({"type": "start-step"}));
        }
    }

    fn end_step(&mut self, citations: &[Citation], out: &mut Vec<String>) {
        self.end_part(citations, out);
        if std::mem::take(&mut self.in_step) {
            push(out, json!({"type": "finish-step"}));
        }
        self.has_call = false;
        self.staying.clear();
        self.base = self.told;
    }

    /// Ends the part of text, with those of the answer's citations that lie in it.
    fn end_part(&mut self, citations: &[Citation], out: &mut Vec<String>) {
        let Some(begin) = self.part.take() else { return };
        let cited = |citation: &Citation| {
            let source = self.sources.iter().find(|source| source.n == citation.n)?;
            let start = citation.start.checked_sub(begin)?;
            let mut cited = source_chunk(source);
            let kind = if cited["type"] == "source-url" { "url" } else { "document" };
            cited["type"] = "source".into();
            cited["sourceType"] = kind.into();
            cited["id"] = cited["sourceId"].take();
            Some(json!({"source": without(cited, "sourceId"), "startIndex": start, "endIndex": citation.end - begin}))
        };
        let citations: Vec<_> = citations.iter().filter_map(cited).collect();
        let mut end = json!({"type": "text-end", "id": self.part_id()});
        if !citations.is_empty() {
            end["citations"] = citations.into();
        }
        push(out, end);
    }

    fn part_id(&self) -> String {
        format!("text-{}", self.parts)
    }
}

/// What came of a call.
fn result(call: &CallId, outcome: &ToolOutcome, out: &mut Vec<String>) {
    let ended = |kind: &str, field: &str, value: Value| json!({"type": kind, "toolCallId": call, field: value, "dynamic": true, "providerExecuted": true});
    let summary = (!outcome.summary.is_empty()).then(|| Value::from(outcome.summary.as_str()));
    push(
        out,
        match (outcome.status, &outcome.approval) {
            (ToolStatus::Running, _) => return,
            // The signature comes back with the decision: nothing else is allowed than what was shown.
            (ToolStatus::Waiting, Some(approval)) => json!({
                "type": "tool-approval-request", "approvalId": approval.id, "toolCallId": call, "signature": approval.digest,
                "approvalDescriptor": {"approver": approval.approver, "expires_at": approval.expires_at},
            }),
            // It is carried out by a call of its own, in the answer that goes on.
            (ToolStatus::Approved, _) => ended("tool-output-available", "output", json!({"status": outcome.status})),
            (ToolStatus::Denied, _) => json!({"type": "tool-output-denied", "toolCallId": call}),
            (ToolStatus::Ok, _) => {
                let output = outcome.data.clone().or(summary).unwrap_or_default();
                ended("tool-output-available", "output", output)
            }
            (status, _) => ended("tool-output-error", "errorText", summary.unwrap_or_else(|| status.as_str().into())),
        },
    );
}

fn source_chunk(source: &Source) -> Value {
    let Source { n, document, title, snippet, .. } = source;
    let about = json!({"rivulet": {"n": n, "document": document, "snippet": snippet}});
    let id = format!("{document}#{n}");
    match source.uri.as_deref().filter(|uri| uri.starts_with("http://") || uri.starts_with("https://")) {
        Some(url) => {
            json!({"type": "source-url", "sourceId": id, "url": url, "title": title, "providerMetadata": about})
        }
        None => json!({"type": "source-document", "sourceId": id, "mediaType": "text/plain", "title": title,
                       "providerMetadata": about}),
    }
}

/// The SDK takes what is absent, and not what is null.
fn without_null(object: Value) -> Value {
    let Value::Object(fields) = object else { return object };
    Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

fn without(mut object: Value, field: &str) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.remove(field);
    }
    object
}

fn push(out: &mut Vec<String>, chunk: Value) {
    out.push(chunk.to_string());
}

#[cfg(test)]
mod tests;
