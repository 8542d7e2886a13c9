//! Wire formats spoken over the same events: bytes ↔ typed frames. Pure: no socket, no session. Uses `chat`, the
//! values of the session's log, and the parameters of a prompt.

pub mod ag_ui;
pub mod ai_sdk;
pub mod chat_v1;
mod codec;
pub mod deep_chat;
pub mod json;
mod named;
pub mod openai;

pub use codec::{Codec, cut_off};
pub use named::{MAX_NAME_CHARS, is_name};
