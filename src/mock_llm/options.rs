//! How the mock is to answer.

use std::time::Duration;

use tokio::sync::watch;

use super::{
    fault::Fault,
    script::{DEFAULT_TEXT, Script},
};

/// How the mock answers.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it says.
    pub script: Script,
    /// Tokens per second of each stream; 0: as fast as they are taken.
    pub rate: f64,
    /// How long it waits before the first token.
    pub first_token: Duration,
    /// Tokens of an answer; `None`: as many as the script has. A request's own limit may be lower.
    pub tokens: Option<usize>,
    /// Says [stamps](super::stamp) and not the script: for measuring delay.
    pub stamped: bool,
    /// How the first, second, … completion is answered; the last holds for all that follow. Empty: no faults.
    pub faults: Vec<Fault>,
    /// Tokens of each answer that may be said so far, so that a test can hold an answer where it wants it; `None`, or a
    /// sender that is gone: all.
    pub allowed: Option<watch::Receiver<usize>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            script: Script::new(DEFAULT_TEXT),
            rate: 50.0,
            first_token: Duration::ZERO,
            tokens: None,
            stamped: false,
            faults: Vec::new(),
            allowed: None,
        }
    }
}
