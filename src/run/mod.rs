//! One run: retrieve → prompt → model → events, as a stream that knows no session. Dropping it cancels everything.
//!
//! Uses `llm`, `knowledge`, `chat`, and the assistants of `config`. What fails before the model is asked (retrieval) does not end a run: an answer
//! without passages is better than none, and the log says why. This file names the others, and has nothing of its own.

mod artifacts;
mod assistants;
mod calls;
pub mod citations;
mod event;
mod experiment;
mod hearing;
mod lookup;
mod outcome;
pub mod prompt;
mod quotation;
mod recollection;
mod request;
mod rewrite;
mod round;
mod rounds;
mod runner;
mod shelf;
pub mod sources;
mod stages;
mod watch;
mod writing;

pub use artifacts::Artifacts;
pub use assistants::{Assistants, count_ended};
pub use event::RunEvent;
pub use experiment::drawn;
pub use lookup::Retrieval;
pub use outcome::Outcome;
pub use request::RunRequest;
pub use runner::Runner;
pub use writing::MAX_ANSWER_BYTES;
