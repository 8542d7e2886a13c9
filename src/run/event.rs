//! What a run tells while it goes on. Plain values.

use std::{sync::Arc, time::Duration};

use super::outcome::Outcome;
use crate::{
    chat::{Author, CallId, Doing, Recollection, Source, ToolCall, ToolOutcome},
    llm::{Call, Failover},
};

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// It is doing something else now.
    Doing(Doing),
    /// What is known of the user, and was told now; told when there is anything.
    Remembered(Arc<Recollection>),
    /// Retrieval is over, with or without a find.
    Retrieved {
        /// What was found, best first.
        sources: Arc<[Source]>,
        /// How long it took.
        took: Duration,
    },
    /// These are the sources from now on: a tool has found more.
    Sources(Arc<[Source]>),
    /// A model is asked, with a prompt of about so many tokens; with tools more than once.
    Asked(u32),
    /// Who writes the text that follows.
    By(Author),
    /// A piece of the answer, never empty.
    Text(String),
    /// A tool is called.
    ToolCall(ToolCall),
    /// What came of a call. There is exactly one for each, before the run ends of itself.
    ToolResult(CallId, Box<ToolOutcome>),
    /// What was told so far has to be kept before it goes on: it is not to be polled again until it is.
    Keep,
    /// What the caller is to call, of the tools that it has: the answer goes on with what comes of that, in another run. Told
    /// once, right before the end.
    Called(Vec<Call>),
    /// Another model takes over; its text follows.
    Failover(Failover),
    /// It is over; nothing follows.
    End(Outcome),
}
