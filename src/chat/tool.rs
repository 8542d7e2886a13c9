//! Calls of tools within an answer, as everybody is shown them and as they are kept. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{approval::Approval, artifact::Artifact, id::CallId};

/// A tool is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    /// Never met twice.
    pub call: CallId,
    /// Its name, as the model wrote it.
    pub tool: String,
    /// Its name for people.
    pub title: String,
    /// What it is given: an object, or a text with what the model wrote instead. Cut where it is long.
    pub args: Value,
    /// Where in the answer's text it stands, in UTF-16 code units. Nothing before it is ever withdrawn.
    pub off: u64,
    /// Whether it changes something: it is kept before it runs, and never run again by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
}

impl ToolCall {
    /// What it weighs, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.title.len() + self.args.to_string().len()
    }
}

/// How a call stands, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolStatus {
    /// It has not ended.
    #[default]
    Running,
    /// It has a result.
    Ok,
    /// The tool failed, there is none of that name, or no more calls were allowed.
    Error,
    /// Its arguments were not what the tool takes; it was not run.
    Invalid,
    /// It took too long.
    Timeout,
    /// The answer ended before it did.
    Cancelled,
    /// It is not called until somebody allows it.
    Waiting,
    /// It was allowed, and is called by the answer that follows.
    Approved,
    /// It was not allowed.
    Denied,
    /// It waited, and the conversation went on without it.
    Superseded,
}

impl ToolStatus {
    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Invalid => "invalid",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Superseded => "superseded",
        }
    }
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolProgress {
    /// Which.
    pub call: CallId,
    /// How much of it is done, from 0 to 1, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What it does, in a line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct ToolOutcome {
    /// How it ended.
    pub status: ToolStatus,
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// What came of it, in a line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// What came of it, in full, as far as that is not too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What had to be allowed before, where something had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What it has made, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

impl ToolOutcome {
    /// What it weighs, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let data = self.data.as_ref().map_or(0, |data| data.to_string().len());
        let approval = self.approval.as_ref().map_or(0, Approval::bytes);
        self.summary.len() + data + approval + self.artifacts.iter().map(Artifact::weight).sum::<usize>()
    }

    /// The end of a call that has none of its own.
    #[must_use]
    pub fn ended(status: ToolStatus, call: &ToolCall) -> Self {
        let summary = if call.changes { "whether it came to anything is not known" } else { "" };
        Self { status, summary: summary.to_owned(), ..Self::default() }
    }
}

/// A call with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolUse {
    /// What was called.
    #[serde(flatten)]
    pub call: ToolCall,
    /// What came of it, so far.
    #[serde(flatten)]
    pub outcome: ToolOutcome,
}

impl ToolUse {
    /// What it weighs, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.call.bytes() + self.outcome.bytes()
    }

    /// The gateway ended while it ran.
    pub(super) fn interrupt(&mut self) {
        let ended = ToolOutcome::ended(ToolStatus::Error, &self.call);
        let summary =
            if ended.summary.is_empty() { "interrupted".to_owned() } else { format!("interrupted: {}", ended.summary) };
        self.outcome = ToolOutcome { summary, ..ended };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::artifact::ArtifactKind, *};

    #[test]
    fn what_another_version_has_written_can_be_read() {
        let call = json!({"call": "c_1", "tool": "t", "title": "T", "args": {}, "off": 0, "status": "ok", "ms": 1});
        let before: ToolUse = serde_json::from_value(call.clone()).unwrap();
        assert!(before.outcome.artifacts.is_empty());
        assert_eq!(serde_json::to_value(&before).unwrap(), call, "as it was before there were any");

        let artifact =
            |kind: &str| json!({"artifact": "f_1", "kind": kind, "title": "A", "media": "a/b", "bytes": 3, "more": 1});
        let mut later = call;
        later["artifacts"] = json!([artifact("chart"), artifact("hologram")]);
        let read: ToolUse = serde_json::from_value(later).unwrap();
        let kinds: Vec<_> = read.outcome.artifacts.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [ArtifactKind::Chart, ArtifactKind::File]);
        let sent = rmp_serde::to_vec_named(&read).unwrap();
        assert_eq!(rmp_serde::from_slice::<ToolUse>(&sent).unwrap(), read, "as gateways tell one another");
        assert_eq!(serde_json::to_value(read.outcome.artifacts[0].kind).unwrap(), ArtifactKind::Chart.as_str());
    }
}
