//! Chat completions as OpenAI's interface has them, for programs that speak it already.
//!
//! [`request`] takes what callers send apart, [`response`] writes what they get. Pure.

mod conversation;
pub mod described;
mod fields;
pub mod request;
pub mod response;
mod values;

pub use fields::Invalid;
