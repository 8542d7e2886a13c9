//! What a scenario is to do, and what came out.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::load::Endpoint;

/// What is done to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Questions of the smallest client; the delay of every token. Needs `mock-llm --stamped`
    Stream,
    /// The same, asked of the model's server at --url itself: what everything else adds to
    Model,
    /// Sockets that say nothing for --hold seconds
    Idle,
    /// Every socket cut at once in the middle of an answer, and resumed
    Storm,
    /// Every run stopped; the time until the mock model at --model notices
    Stop,
    /// Questions whose answers nobody reads, for --hold seconds
    Stalled,
}

/// A scenario and its size.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is done.
    pub scenario: Scenario,
    /// To which gateway.
    pub endpoint: Endpoint,
    /// How many conversations at the same time.
    pub sessions: usize,
    /// Sockets on each conversation; `Stream` only.
    pub viewers: usize,
    /// Questions in each, one after the other; the other scenarios ask one, `Stalled` asks all at once.
    pub messages: usize,
    /// What is asked; a number is put behind it, for no two questions to be the same.
    pub text: String,
    /// Tokens that every answer must have; `None`: whatever comes.
    pub tokens: Option<u64>,
    /// Over how long sockets are connected, and then over how long questions are asked (`Stop`: runs stopped).
    pub ramp: Duration,
    /// How long `Idle` and `Stalled` last.
    pub hold: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// The mock model's server, which knows when a run was cancelled.
    pub model: Option<Endpoint>,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Of which scenario.
    pub scenario: Scenario,
    /// How many conversations.
    pub sessions: usize,
    /// Names and values; times are in milliseconds.
    #[serde(flatten)]
    pub figures: BTreeMap<&'static str, Value>,
    /// How often something happened that must not.
    pub faults: u64,
    /// Some of it, in words.
    pub failures: Vec<String>,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{}", "sessions", self.sessions)?;
        for (name, value) in &self.figures {
            write!(f, "{name:<16}")?;
            match value.as_object() {
                Some(object) => object.iter().try_for_each(|(name, value)| write!(f, "{name} {value}  "))?,
                None => write!(f, "{value}")?,
            }
            writeln!(f)?;
        }
        writeln!(f, "{:<16}{}", "faults", self.faults)?;
        self.failures.iter().try_for_each(|text| writeln!(f, "  {text}"))
    }
}
