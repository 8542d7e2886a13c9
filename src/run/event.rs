//! What a run tells while it goes on. Plain values.

use std::{sync::Arc, time::Duration};

use super::outcome::Outcome;
use crate::{
    chat::{Author, Doing, Source},
    llm::Failover,
};

/// A step of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// It is doing something else now.
    Doing(Doing),
    /// Retrieval is over, with or without a find.
    Retrieved {
        /// What was found, best first.
        sources: Arc<[Source]>,
        /// How long it took.
        took: Duration,
    },
    /// A model is asked, with a prompt of about so many tokens.
    Asked(u32),
    /// Who writes the text that follows.
    By(Author),
    /// A piece of the answer, never empty.
    Text(String),
    /// Another model takes over; its text follows.
    Failover(Failover),
    /// It is over; nothing follows.
    End(Outcome),
}
