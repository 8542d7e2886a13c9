//! What a load is to do.

use std::{path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use super::endpoint::Endpoint;

/// What to do to the gateway.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where it is; where several act as one, each connection goes to any of them.
    pub endpoints: Vec<Endpoint>,
    /// How many conversations at the same time.
    pub sessions: usize,
    /// How many questions in each, one after the other.
    pub messages: usize,
    /// Over how long the sessions are started.
    pub ramp: Duration,
    /// The chance that a socket is cut after a welcome, after a question was sent, and after each delta: 0 to
    /// less than 1, for with 1 no connection would get beyond its welcome.
    pub cut: f64,
    /// What is asked; a number is put behind it, for no two questions to be the same.
    pub text: String,
    /// What every complete answer must be, with or without its last line break; so that what is lost between
    /// the model and the gateway is found, too. `None` compares with what the gateway announces only.
    pub expect: Option<String>,
    /// How long one question may take from being sent to its proven answer, reconnects included.
    pub timeout: Duration,
    /// Where the random numbers start: the same seed cuts at the same places.
    pub seed: u64,
    /// Where everything that is done and told is written down.
    pub history: Option<PathBuf>,
    /// Cancelled when no more questions are to be asked; open ones are still answered.
    pub stop: CancellationToken,
}

/// A question unlike any other, also of an earlier load: an answer that is known already would measure nothing.
pub(super) fn unlike_any(text: &str) -> String {
    format!("{text} ({:016x})", rand::random::<u64>())
}
