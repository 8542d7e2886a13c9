//! What the log holds, and what readers are shown. Plain values.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    chat::{
        Author, CallId, Citation, Decision, Doing, Message, MessageId, Phase, Recollection, RunError, RunId, Source,
        Status, Timing, ToolCall, ToolOutcome, ToolStatus, ToolUse, Usage,
    },
    session::{Moment, log::cursor::Cursor},
};

/// A lifecycle event: what `seq` numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody said something.
    Message(Arc<Message>),
    /// An answer begins.
    RunStart {
        /// Its run.
        run: RunId,
        /// The id the answer will have as a message.
        message: MessageId,
        /// The question.
        question: MessageId,
        /// The earlier answer whose place it takes: that one and all after it are no part of the conversation any more.
        replaces: Option<MessageId>,
        /// Who answers.
        model: Arc<str>,
        /// The version of the assistant that it answers for.
        #[serde(default)]
        version: Option<Arc<str>>,
        /// Which variant of it, when it is one.
        #[serde(default)]
        variant: Option<Arc<str>>,
    },
    /// What was remembered for the answer.
    Memory {
        /// The run.
        run: RunId,
        /// What.
        recollection: Arc<Recollection>,
    },
    /// What was found for the answer.
    Sources {
        /// The run it was found for.
        run: RunId,
        /// The passages, best first.
        items: Arc<[Source]>,
    },
    /// A tool is called for the answer.
    ToolCall {
        /// The run.
        run: RunId,
        /// What is called.
        call: Arc<ToolCall>,
    },
    /// What came of a call.
    ToolResult {
        /// The run.
        run: RunId,
        /// Which call.
        call: CallId,
        /// What came of it.
        outcome: Arc<ToolOutcome>,
    },
    /// What became of a call that waited to be allowed.
    Decided(Arc<Decided>),
    /// An answer is over.
    RunDone(Arc<RunDone>),
}

/// What became of a call that waited to be allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The answer that it waited in.
    pub message: MessageId,
    /// The call.
    pub call: CallId,
    /// Approved, denied or superseded.
    pub decision: ToolStatus,
    /// Who decided, where that is known.
    pub by: Option<String>,
    /// What they said.
    pub comment: Option<String>,
}

impl Decided {
    /// By a decision, with which the answer that waited is as it is now.
    #[must_use]
    pub fn of(decision: &Decision, answer: &Message) -> Self {
        let used = answer.tools.iter().find(|used| used.call.call == decision.call);
        let approval = used.and_then(|used| used.outcome.approval.as_ref());
        Self {
            message: answer.id.clone(),
            call: decision.call.clone(),
            decision: decision.status(),
            by: decision.by.clone(),
            comment: approval.and_then(|approval| approval.comment.clone()),
        }
    }
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The model that is asked first.
    pub model: Arc<str>,
    /// The version of the assistant that it writes for.
    pub version: Option<Arc<str>>,
    /// Which variant of it, when it is one.
    pub variant: Option<Arc<str>>,
}

/// How a run ended, with the proof of its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDone {
    /// The run.
    pub run: RunId,
    /// The answer.
    pub message: MessageId,
    /// How it ended.
    pub status: Status,
    /// Length of the text in UTF-16 code units.
    pub len: u64,
    /// CRC-32 (zlib) of the text in UTF-8.
    pub crc32: u32,
    /// Who wrote it, when somebody did.
    pub author: Option<Author>,
    /// What it cites.
    pub citations: Vec<Citation>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// How long its parts took.
    pub timing: Timing,
    /// Why it failed, when it did.
    pub error: Option<RunError>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub run: RunId,
    /// Who answers.
    pub model: Arc<str>,
    /// What it does.
    pub phase: Phase,
    /// When it began; `None` when that is forgotten.
    pub since: Option<Moment>,
    /// The UTF-16 code units of its text.
    pub written: u64,
}

/// What [`finish_run`](super::Log::finish_run) is told; the log adds length and checksum.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Who wrote it, when somebody did.
    pub author: Option<Author>,
    /// What it cites.
    pub citations: Vec<Citation>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// How long its parts took.
    pub timing: Timing,
    /// Why it failed, when it did.
    pub error: Option<RunError>,
}

/// What lies next after a cursor.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// A lifecycle event.
    Event(u64, &'a Event),
    /// Text of a run: begins at `off` (UTF-16), is never empty, never splits a scalar value.
    Delta {
        /// The run.
        run: &'a RunId,
        /// Where the text belongs.
        off: u64,
        /// The text.
        text: &'a str,
        /// When the oldest part of it came, when the reader was waiting for it; not when it comes back from elsewhere.
        since: Option<Moment>,
    },
    /// Text of a run is withdrawn, for another model writes on from `keep` (UTF-16). Not an event: told to
    /// every reader that has not begun with a snapshot since.
    Failover {
        /// The run.
        run: &'a RunId,
        /// Where the text goes on; what a reader holds behind it is void.
        keep: u64,
        /// Whose answer broke off.
        from: &'a str,
        /// Who writes now.
        to: &'a str,
        /// How it broke off.
        reason: &'a str,
    },
    /// The live run is doing something else now. Not an event: only the newest phase is told.
    Doing(&'a RunId, &'a Doing),
    /// Who else is there. Not of the log: the viewer tells it, and only the newest.
    Presence(Presence),
    /// Nothing: wait.
    UpToDate,
    /// What came next is gone: take a snapshot.
    Trimmed,
}

/// Who is there, as one viewer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Viewers of the session, this one included.
    pub viewers: usize,
    /// Whether another one types.
    pub typing: bool,
}

/// Who watches a session at one gateway, or at all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct There {
    /// How many.
    pub viewers: usize,
    /// How many of them type.
    pub typing: usize,
}

/// Whether a reader could go on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// The session is empty.
    New,
    /// It goes on at its cursor.
    Full,
    /// It must take the snapshot.
    Snapshot,
}

/// How a reader begins.
#[derive(Debug)]
pub struct Attachment {
    /// Tells this incarnation of the log from others.
    pub epoch: Arc<str>,
    /// The number of the newest event when the reader came.
    pub seq: u64,
    /// Where it reads on.
    pub cursor: Cursor,
    /// Whether that is where it was.
    pub recovered: Recovered,
    /// Replaces what it holds.
    pub snapshot: Option<Snapshot>,
}

/// The newest state of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The event that it includes last.
    pub seq: u64,
    /// The newest messages that are not being written, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// The oldest message of `messages`, when the store has older ones.
    pub more: Option<MessageId>,
    /// The answer being written.
    pub live: Option<LiveRun>,
}

/// An answer being written.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveRun {
    /// Its run.
    pub run: RunId,
    /// Its message.
    pub message: MessageId,
    /// The question.
    pub question: MessageId,
    /// Who answers.
    pub model: Arc<str>,
    /// What was found for it.
    pub sources: Arc<[Source]>,
    /// The tools that were called for it so far.
    pub tools: Vec<ToolUse>,
    /// The text so far.
    pub text: String,
    /// What the run is doing.
    pub doing: Doing,
}
