//! What a model says. A leaf; uses `chat`.

use super::call::Call;
use crate::chat::{Author, Usage};

/// One step of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The model's server has given out all it allows for now: this waits for its turn, at this place, from 1.
    Queued(usize),
    /// After such a wait: a model is asked.
    Asked,
    /// The model reasons without visible text, or writes what nobody sees: so many bytes of it since the last sign.
    /// Comes with every piece, so that it can be charged like text.
    Thinking(u32),
    /// Whether what follows costs nothing: it was known, or somebody else asked for it who is still there. Not said: it
    /// costs what it costs.
    Free(bool),
    /// Who writes the text that follows: told before the first text, and again after a failover.
    By(Author),
    /// A piece of visible text, never empty.
    Text(String),
    /// Another model takes over after text was passed on; its text follows. At most once.
    Failover(Failover),
    /// What it wants to be called before it goes on, whole and at least one, after whatever it said. At most once, and
    /// [`ModelEvent::Finish`] follows.
    Calls(Vec<Call>),
    /// What it cost; the last one counts.
    Usage(Usage),
    /// Why the text ends. At most once, nothing but [`ModelEvent::Usage`] follows.
    Finish(FinishReason),
}

/// Another model takes over within the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// Where the text goes on, in UTF-16 code units: what was passed on after it is withdrawn.
    pub keep: u64,
    /// Whose answer broke off.
    pub from: String,
    /// Who writes now.
    pub to: String,
    /// How it broke off, as `llm_requests_total` calls it.
    pub reason: &'static str,
}

/// Why a model stopped of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// It had said everything.
    Stop,
    /// It reached its limit of output tokens.
    Length,
    /// The provider's content filter cut it.
    Filtered,
}
