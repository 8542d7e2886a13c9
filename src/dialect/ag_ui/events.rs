//! The events of AG-UI, as they stand on the wire. What is absent is not there: clients refuse `null`. Pure.

use serde::Serialize;
use serde_json::Value;

use super::history::Told;
use crate::chat::{CallId, Citation, MessageId, Phase, Recollection, RunId, SessionId, Source, Status, Timestamp};

/// The version of the protocol that is spoken.
pub(super) const VERSION: &str = "1.0";

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(super) enum Event<'a> {
    RunStarted {
        thread_id: &'a str,
        run_id: &'a str,
        protocol_version: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Own<Begun<'a>>>,
    },
    RunFinished {
        thread_id: &'a str,
        run_id: &'a str,
        outcome: Outcome<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<[Usage<'a>; 1]>,
        metadata: Own<Ended<'a>>,
    },
    RunError {
        message: &'a str,
        code: &'a str,
    },
    TextMessageStart {
        message_id: &'a str,
        role: &'static str,
    },
    TextMessageContent {
        message_id: &'a str,
        delta: &'a str,
    },
    TextMessageEnd {
        message_id: &'a str,
    },
    ToolCallStart {
        tool_call_id: &'a CallId,
        tool_call_name: &'a str,
        parent_message_id: &'a str,
        metadata: Own<Titled<'a>>,
    },
    ToolCallArgs {
        tool_call_id: &'a CallId,
        delta: &'a str,
    },
    ToolCallEnd {
        tool_call_id: &'a CallId,
    },
    ToolCallResult {
        message_id: &'a str,
        tool_call_id: &'a CallId,
        role: &'static str,
        content: &'a str,
    },
    MessagesSnapshot {
        messages: Vec<Message<'a>>,
    },
    Custom {
        #[serde(flatten)]
        told: Custom<'a>,
    },
}

/// What only this gateway tells.
#[derive(Serialize)]
#[serde(tag = "name", content = "value")]
pub(super) enum Custom<'a> {
    #[serde(rename = "rivulet.phase")]
    Phase {
        phase: Phase,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<usize>,
    },
    #[serde(rename = "rivulet.progress")]
    #[serde(rename_all = "camelCase")]
    Progress {
        tool_call_id: &'a CallId,
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    #[serde(rename = "rivulet.memory")]
    Memory(&'a Recollection),
    #[serde(rename = "rivulet.sources")]
    Sources(&'a [Source]),
    #[serde(rename = "rivulet.failover")]
    Failover { from: &'a str, to: &'a str, reason: &'a str },
    #[serde(rename = "rivulet.artifact")]
    #[serde(rename_all = "camelCase")]
    Artifact {
        tool_call_id: &'a CallId,
        #[serde(flatten)]
        artifact: &'a crate::chat::Artifact,
    },
}

/// What is the gateway's own, in a place that others leave alone.
#[derive(Serialize)]
pub(super) struct Own<T> {
    pub(super) rivulet: T,
}

/// By which the run is known here.
#[derive(Serialize)]
pub(super) struct Begun<'a> {
    pub(super) session: &'a SessionId,
    pub(super) run: &'a RunId,
    pub(super) message: &'a MessageId,
    pub(super) model: &'a str,
}

/// How the run has ended, with the proof of its text.
#[derive(Serialize)]
pub(super) struct Ended<'a> {
    pub(super) status: Status,
    pub(super) len: u64,
    pub(super) crc32: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) citations: &'a [Citation],
}

/// What people call a tool.
#[derive(Serialize)]
pub(super) struct Titled<'a> {
    pub(super) title: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Outcome<'a> {
    Success,
    Cancelled,
    Interrupt { interrupts: Vec<Interrupt<'a>> },
}

/// A call that waits to be allowed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interrupt<'a> {
    pub(super) id: String,
    pub(super) reason: &'static str,
    pub(super) message: &'a str,
    pub(super) tool_call_id: &'a CallId,
    pub(super) response_schema: Value,
    pub(super) expires_at: Timestamp,
    pub(super) metadata: Own<Approver>,
}

/// Who may decide.
#[derive(Serialize)]
pub(super) struct Approver {
    pub(super) approver: String,
}

/// What it cost.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<&'a str>,
    pub(super) input_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) total_tokens: u32,
}

/// A message of a snapshot.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Message<'a> {
    Known(Told<'a>),
    Own(Assistant<'a>),
    Result(ToolResult<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assistant<'a> {
    pub(super) id: &'a str,
    pub(super) role: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_calls: Vec<ToolCall<'a>>,
}

#[derive(Serialize)]
pub(super) struct ToolCall<'a> {
    pub(super) id: &'a CallId,
    pub(super) r#type: &'static str,
    pub(super) function: Function<'a>,
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub(super) id: &'a str,
    pub(super) role: &'static str,
    pub(super) tool_call_id: &'a CallId,
    pub(super) content: &'a str,
}
