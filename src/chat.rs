//! Ids and value types that the whole house speaks: sessions, messages, runs, sources.
//!
//! Plain data. Imports nothing of ours, does no I/O, knows no clock but the one it is told.

mod approval;
mod artifact;
mod decision;
mod digest;
mod id;
mod memory;
mod message;
mod owner;
mod run;
mod source;
mod text;
mod time;
mod tool;

pub use self::{
    approval::{Approval, Approver, InvalidApprover},
    artifact::{Artifact, ArtifactKind},
    decision::{Decision, Undecided},
    digest::digest,
    id::{
        ArtifactId, CallId, DatasetId, DocumentId, InvalidId, JobId, MAX_ID_CHARS, MemoryId, MessageId, RunId,
        SessionId,
    },
    memory::{Memory, MemoryKind, Notebook, Noted, Origin, Recalled, Recollection},
    message::{Feedback, InvalidRating, Message, Rating, Role, Status},
    owner::{Circle, Owner},
    run::{Author, Doing, Phase, RunError, Timing, Usage},
    source::{Citation, Source},
    text::{byte_of, is_misleading, is_plain, printable, utf16_len},
    time::Timestamp,
    tool::{ToolCall, ToolOutcome, ToolProgress, ToolStatus, ToolUse},
};
