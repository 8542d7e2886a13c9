//! What models may have done while they answer: the tools of an assistant.
//!
//! [`Toolbox`] is the whole interface: what a model is told of them, which is meant by a call, whether its arguments are
//! right, and what comes of it. Knows no run and no log. Uses `llm`'s plain values, `config`, `datasets`, `formula`, `forecast`, passages of `knowledge`, `telemetry` and `chat`, nothing
//! else of ours.

mod calc;
mod chart;
mod context;
mod csv;
mod dataset;
mod document;
mod error;
mod forecast;
mod forecasts;
mod guard;
mod http;
mod knowledge;
mod mcp;
mod memory;
mod output;
mod progress;
mod shared;
mod spec;
mod time;
mod toolbox;

pub use self::{
    context::Context,
    error::ToolError,
    mcp::{ServerState, look_at},
    output::{Made, Output},
    progress::{Newest, Reporter},
    shared::Shared,
    toolbox::{Tool, Toolbox},
};
pub use crate::formula::{Arguments, BadArguments};
