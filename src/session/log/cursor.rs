//! How far a reader has read, and a store has saved. Plain values.

use crate::{chat::RunId, session::text::TextPosition};

/// A place in the log: after event `seq`, and within the text of the run that is open there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor {
    pub(super) seq: u64,
    pub(super) run: Option<(RunId, TextPosition)>,
    /// Withdrawals in that run that the reader has been told of.
    pub(super) withdrawals: u32,
    pub(super) phase: u64,
    /// Whether the reader has once seen all there was.
    pub(super) caught_up: bool,
}

/// How much of the live run's text is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Saved {
    pub(super) at: TextPosition,
    /// Withdrawals in that run that are stored, too.
    pub(super) withdrawals: u32,
    /// How many calls, and ends of calls, are.
    pub(super) calls: usize,
}
