//! The upstream side: models that answer.
//!
//! [`ChatModel`] is the whole interface. This file names the others and has nothing of its own; none of them uses another
//! one that uses it. Uses `chat`, `config`, `rules`, `ephemeral`, `telemetry` and the knowledge's passages,
//! nothing else of ours.

mod attempt;
pub mod breaker;
pub mod cache;
mod call;
mod chunk;
mod clocks;
mod current;
mod error;
mod event;
pub mod extractive;
mod http;
mod json;
mod ledger;
mod model;
mod openai;
mod order;
mod pacer;
pub mod reading;
mod refusal;
mod request;
mod retry;
mod seam;
mod spoken;
pub mod sse;
mod stand_in;
mod target;
pub mod targets;
mod tokens;
mod upstream_error;
mod witness;

pub use call::{Answered, Call, ToolChoice, ToolOffer, ToolSpec};
pub use current::Current;
pub use error::{Clock, EndpointError, ModelError, Rejection, Stage, TargetsError};
pub use event::{Failover, FinishReason, ModelEvent};
pub use http::{client_for, innermost};
pub use model::{ChatModel, ModelStream, TargetReport};
pub use request::{ChatRequest, Choice, KnowledgeUse, Parameters, PromptMessage, PromptRole, Sharing};
pub use stand_in::{BY_RULES, FALLBACK_NOTICE, RULES_NOTICE, StandIn};
pub(crate) use tokens::estimated_tokens;
