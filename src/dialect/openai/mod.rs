//! Chat completions, and vectors of texts, as OpenAI's interface has them, for programs that speak it already.
//!
//! [`request`] takes what callers send apart, [`response`] writes what they get; [`embeddings`] does both for vectors. Pure.

mod called;
mod calls;
mod conversation;
pub mod described;
pub mod embeddings;
mod fields;
pub mod request;
pub mod response;
mod tools;
mod values;

pub use called::ToolCall;
pub use fields::Invalid;
pub(super) use fields::invalid;
