//! What the gateway says. Every function returns one frame.
//!
//! Deltas are written by hand, since there is one per token; everything else goes through serde.

use serde::Serialize;
use serde_json::Value;

use super::bounds::{FRAME_BYTES, SUBPROTOCOL, TEXT_CHARS};
use crate::{
    chat::{
        Approval, CallId, Citation, Doing, Message, MessageId, Phase, Recollection, RunError, RunId, SessionId, Source,
        Status, Timing, ToolCall, ToolOutcome, ToolProgress, ToolStatus, ToolUse, Usage,
    },
    session::{
        Receipt,
        log::{Attachment, Decided, Event, Presence, Recovered, Snapshot, Step},
    },
};

/// What `welcome` tells.
#[derive(Debug, Clone, Copy)]
pub struct Welcome<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Where in it the client reads on.
    pub attachment: &'a Attachment,
    /// Names this socket in the gateway's log.
    pub connection: &'a str,
    /// Who answers.
    pub assistant: &'a str,
    /// Seconds of silence after which the gateway pings.
    pub heartbeat_s: u64,
    /// Seconds that a cursor is good for.
    pub resume_ttl_s: u64,
}

/// What `error` tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorFrame {
    /// The id of the frame that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub re: Option<Value>,
    /// A code of docs/protocol.md.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// Whether the same frame may succeed later.
    pub retryable: bool,
    /// How long to wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Out<'a> {
    #[serde(rename = "welcome")]
    Welcome {
        protocol: &'a str,
        session: &'a SessionId,
        epoch: &'a str,
        seq: u64,
        recovered: &'a str,
        connection: &'a str,
        assistant: &'a str,
        heartbeat_s: u64,
        limits: Limits,
        resume_ttl_s: u64,
    },
    #[serde(rename = "ack")]
    Ack {
        #[serde(skip_serializing_if = "Option::is_none")]
        re: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a MessageId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<&'a RunId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        duplicate: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        queued: Option<bool>,
        /// Messages that may follow at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        remaining: Option<u64>,
    },
    #[serde(rename = "message")]
    Message { seq: u64, message: &'a Message },
    #[serde(rename = "run.start")]
    RunStart {
        seq: u64,
        run: &'a RunId,
        message: &'a MessageId,
        r#for: &'a MessageId,
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<&'a MessageId>,
        model: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        variant: Option<&'a str>,
    },
    #[serde(rename = "run.phase")]
    RunPhase {
        run: &'a RunId,
        phase: Phase,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<usize>,
    },
    #[serde(rename = "tool.progress")]
    ToolProgress {
        run: &'a RunId,
        #[serde(flatten)]
        progress: &'a ToolProgress,
    },
    #[serde(rename = "failover")]
    Failover { run: &'a RunId, keep: u64, from: &'a str, to: &'a str, reason: &'a str },
    #[serde(rename = "memory")]
    Memory {
        seq: u64,
        run: &'a RunId,
        #[serde(flatten)]
        recollection: &'a Recollection,
    },
    #[serde(rename = "sources")]
    Sources { seq: u64, run: &'a RunId, items: &'a [Source] },
    #[serde(rename = "tool.call")]
    ToolCall {
        seq: u64,
        run: &'a RunId,
        #[serde(flatten)]
        call: &'a ToolCall,
    },
    #[serde(rename = "tool.result")]
    ToolResult {
        seq: u64,
        run: &'a RunId,
        call: &'a CallId,
        #[serde(flatten)]
        outcome: &'a ToolOutcome,
    },
    #[serde(rename = "approval.request")]
    ApprovalRequest { seq: u64, run: &'a RunId, call: &'a CallId, approval: &'a Approval },
    #[serde(rename = "approval.resolved")]
    ApprovalResolved {
        seq: u64,
        message: &'a MessageId,
        call: &'a CallId,
        approval: &'a CallId,
        decision: ToolStatus,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<&'a str>,
    },
    #[serde(rename = "run.done")]
    RunDone {
        seq: u64,
        run: &'a RunId,
        message: &'a MessageId,
        status: Status,
        len: u64,
        crc32: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cached: Option<bool>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        citations: &'a [Citation],
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        timing: Timing,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a RunError>,
    },
    #[serde(rename = "snapshot")]
    Snapshot {
        seq: u64,
        messages: &'a [std::sync::Arc<Message>],
        #[serde(skip_serializing_if = "Option::is_none")]
        more: Option<&'a MessageId>,
        runs: Vec<SnapshotRun<'a>>,
    },
    #[serde(rename = "presence")]
    Presence { viewers: usize, typing: bool },
    #[serde(rename = "error")]
    Error(&'a ErrorFrame),
    #[serde(rename = "goaway")]
    Goaway { reason: &'a str, retry_in_ms: u64, deadline_ms: u64 },
    #[serde(rename = "ping")]
    Ping,
    #[serde(rename = "pong")]
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        t: Option<&'a Value>,
    },
}

#[derive(Serialize)]
struct Limits {
    frame_bytes: usize,
    text_chars: usize,
}

#[derive(Serialize)]
struct SnapshotRun<'a> {
    run: &'a RunId,
    message: &'a MessageId,
    r#for: &'a MessageId,
    model: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [Source],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tools: &'a [ToolUse],
    off: u64,
    text: &'a str,
    phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<&'a ToolProgress>,
}

/// The first frame, and the answer to `hello`.
#[must_use]
pub fn welcome(welcome: &Welcome<'_>) -> String {
    let recovered = match welcome.attachment.recovered {
        Recovered::New => "new",
        Recovered::Full => "full",
        Recovered::Snapshot => "snapshot",
    };
    let Welcome { session, attachment, connection, assistant, heartbeat_s, resume_ttl_s } = *welcome;
    let limits = Limits { frame_bytes: FRAME_BYTES, text_chars: TEXT_CHARS };
    let protocol = SUBPROTOCOL;
    json(&Out::Welcome {
        protocol,
        session,
        epoch: &attachment.epoch,
        seq: attachment.seq,
        recovered,
        connection,
        assistant,
        heartbeat_s,
        limits,
        resume_ttl_s,
    })
}

/// A message is stored.
#[must_use]
pub fn ack_message(re: Option<&Value>, receipt: &Receipt) -> String {
    json(&Out::Ack {
        re,
        message: Some(&receipt.message),
        run: receipt.run.as_ref(),
        duplicate: Some(receipt.duplicate),
        queued: receipt.queued.then_some(true),
        remaining: receipt.standing.map(|standing| standing.left.remaining),
    })
}

/// It is done.
#[must_use]
pub fn ack(re: Option<&Value>) -> String {
    json(&Out::Ack { re, message: None, run: None, duplicate: None, queued: None, remaining: None })
}

/// A run is being stopped.
#[must_use]
pub fn ack_stop(re: Option<&Value>, run: &RunId) -> String {
    json(&Out::Ack { re, message: None, run: Some(run), duplicate: None, queued: None, remaining: None })
}

/// What lies next after a reader's cursor; `None` when that is nothing.
#[must_use]
pub fn step(step: &Step<'_>) -> Option<String> {
    match step {
        Step::Event(seq, happened) => Some(event(*seq, happened)),
        Step::Delta { run, off, text, .. } => Some(delta(run, *off, text)),
        Step::Failover { run, keep, from, to, reason } => {
            Some(json(&Out::Failover { run, keep: *keep, from, to, reason }))
        }
        Step::Doing(run, newest) => Some(doing(run, newest)),
        Step::Presence(Presence { viewers, typing }) => {
            Some(json(&Out::Presence { viewers: *viewers, typing: *typing }))
        }
        Step::UpToDate | Step::Trimmed => None,
    }
}

/// A lifecycle event.
#[must_use]
pub fn event(seq: u64, event: &Event) -> String {
    json(&match event {
        Event::Message(message) => Out::Message { seq, message },
        Event::RunStart { run, message, question, replaces, model, version, variant } => {
            let (replaces, version, variant) = (replaces.as_ref(), version.as_deref(), variant.as_deref());
            Out::RunStart { seq, run, message, r#for: question, replaces, model, version, variant }
        }
        Event::Memory { run, recollection } => Out::Memory { seq, run, recollection },
        Event::Sources { run, items } => Out::Sources { seq, run, items },
        Event::ToolCall { run, call } => Out::ToolCall { seq, run, call },
        Event::ToolResult { run, call, outcome } => match &outcome.approval {
            Some(approval) if outcome.status == ToolStatus::Waiting => {
                Out::ApprovalRequest { seq, run, call, approval }
            }
            _ => Out::ToolResult { seq, run, call, outcome },
        },
        Event::Decided(decided) => {
            let Decided { message, call, decision, by, comment } = &**decided;
            let (by, comment) = (by.as_deref(), comment.as_deref());
            Out::ApprovalResolved { seq, message, call, approval: call, decision: *decision, by, comment }
        }
        Event::RunDone(done) => Out::RunDone {
            seq,
            run: &done.run,
            message: &done.message,
            status: done.status,
            len: done.len,
            crc32: format!("{:08x}", done.crc32),
            model: done.author.as_ref().map(|author| &*author.model),
            cached: done.author.as_ref().and_then(|author| author.cached.then_some(true)),
            citations: &done.citations,
            usage: done.usage,
            timing: done.timing,
            error: done.error.as_ref(),
        },
    })
}

/// A piece of text.
#[must_use]
pub fn delta(run: &RunId, off: u64, text: &str) -> String {
    // A run's id is ours: no character of it needs an escape.
    let mut frame = String::with_capacity(48 + run.as_str().len() + text.len() + text.len() / 8);
    frame.push_str(r#"{"type":"delta","run":""#);
    frame.push_str(run.as_str());
    frame.push_str(r#"","off":"#);
    push_number(&mut frame, off);
    frame.push_str(r#","text":"#);
    push_string(&mut frame, text);
    frame.push('}');
    frame
}

/// What the live run is doing. That it is how far a call is means that it calls tools.
#[must_use]
pub fn doing(run: &RunId, doing: &Doing) -> String {
    json(&match &doing.progress {
        Some(progress) => Out::ToolProgress { run, progress },
        None => Out::RunPhase { run, phase: doing.phase, position: doing.position },
    })
}

/// The newest state.
#[must_use]
pub fn snapshot(snapshot: &Snapshot) -> String {
    let runs = snapshot.live.iter().map(|live| SnapshotRun {
        run: &live.run,
        message: &live.message,
        r#for: &live.question,
        model: &live.model,
        sources: &live.sources,
        tools: &live.tools,
        off: 0,
        text: &live.text,
        phase: live.doing.phase,
        position: live.doing.position,
        progress: live.doing.progress.as_deref(),
    });
    json(&Out::Snapshot {
        seq: snapshot.seq,
        messages: &snapshot.messages,
        more: snapshot.more.as_ref(),
        runs: runs.collect(),
    })
}

/// Something was refused.
#[must_use]
pub fn error(error: &ErrorFrame) -> String {
    json(&Out::Error(error))
}

/// The gateway is about to end: come back in so long, elsewhere or to the next one. The deadline is when it will be gone.
#[must_use]
pub fn goaway(retry_in_ms: u64, deadline_ms: u64) -> String {
    json(&Out::Goaway { reason: "drain", retry_in_ms, deadline_ms })
}

/// Asks for a sign of life.
#[must_use]
pub fn ping() -> String {
    json(&Out::Ping)
}

/// Answers a `ping`.
#[must_use]
pub fn pong(t: Option<&Value>) -> String {
    json(&Out::Pong { t })
}

#[expect(clippy::expect_used, reason = "no map with keys that are not strings, and no I/O: it cannot fail")]
fn json(frame: &Out<'_>) -> String {
    serde_json::to_string(frame).expect("a frame is JSON")
}

fn push_number(frame: &mut String, number: u64) {
    use std::fmt::Write;
    let _writing_to_a_string_never_fails = write!(frame, "{number}");
}

/// Appends `text` as a JSON string: runs of plain characters are copied as they are.
fn push_string(frame: &mut String, text: &str) {
    frame.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        frame.push_str(&text[plain..at]);
        plain = at + 1;
        if escape.is_empty() {
            use std::fmt::Write;
            let _writing_to_a_string_never_fails = write!(frame, "\\u{byte:04x}");
        } else {
            frame.push_str(escape);
        }
    }
    frame.push_str(&text[plain..]);
    frame.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_delta_is_json_and_says_what_it_was_told(text in "(?s).{0,300}", off in any::<u64>()) {
            let run = RunId::random();
            let frame: Value = serde_json::from_str(&delta(&run, off, &text)).unwrap();
            prop_assert_eq!(frame, json!({"type": "delta", "run": run.as_str(), "off": off, "text": text}));
        }
    }

    #[test]
    fn the_type_comes_first() {
        assert!(ping().starts_with(r#"{"type":"ping""#));
        let frame = ErrorFrame { re: None, code: "busy", message: "x".to_owned(), retryable: true, retry_in_ms: None };
        assert_eq!(error(&frame), r#"{"type":"error","code":"busy","message":"x","retryable":true}"#);
    }
}
