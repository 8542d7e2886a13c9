//! What all protocols of others have in common: each tells the same answers in words of its own. Uses the values of the
//! session's log.

use super::chat_v1::ErrorFrame;
use crate::session::{Closed, log::Step};

/// How one answer is told in a protocol. Pure: steps of the log in, frames out. A frame is the data of one server-sent event,
/// or the text of one WebSocket message.
pub trait Codec: Send {
    /// What comes next of the answer, as [`Answer`](crate::session::Answer) has it: in order, from its
    /// [`Event::RunStart`](crate::session::log::Event::RunStart) (which an answer that was stopped while it waited has
    /// none of) to its [`Event::RunDone`](crate::session::log::Event::RunDone). An answer that is told from its beginning may
    /// have a [`Step::Failover`] that keeps more than was told of it: then nothing is withdrawn.
    fn step(&mut self, step: &Step<'_>, frames: &mut Vec<String>);

    /// It cannot be told to its end. Nothing follows.
    fn fail(&mut self, error: &ErrorFrame, frames: &mut Vec<String>);
}

/// Why an answer cannot be told to its end: its session has ended, or (`None`) its reader was too slow for what is kept.
#[must_use]
pub fn cut_off(cause: Option<Closed>) -> ErrorFrame {
    let (code, message) = match cause {
        None => ("busy", "too much happened at once; the conversation has the answer"),
        Some(Closed::Deleted) => ("not_found", "the conversation was deleted"),
        Some(Closed::Shutdown) => ("busy", "the gateway is going away"),
        Some(Closed::Moved) => ("busy", "another gateway has the conversation"),
        Some(Closed::Failed) => ("internal", "the conversation failed"),
    };
    let retryable = cause != Some(Closed::Deleted);
    ErrorFrame { re: None, code, message: message.to_owned(), retryable, retry_in_ms: None }
}
