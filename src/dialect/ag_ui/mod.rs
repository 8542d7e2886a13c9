//! AG-UI 1.0, a protocol between agents and the pages that show them: what a run is asked for, and its events. Pure.

mod codec;
pub mod described;
mod events;
mod history;
mod request;

pub use codec::AgUi;
pub use request::{Asked, RunAgentInput, Verdict};
