//! What users have told assistants, and what of it is known when they ask.
//!
//! [`Memories`] keeps and finds; what is kept of a message (`phrases`), what never should be (`sensitive`) and which memories fit a
//! question (`words`, `recall`) is pure, and no model, document or tool has a part in it. Uses `llm`'s count of tokens,
//! `knowledge`, `store`, `telemetry`, `config` and `chat`.

mod error;
mod memories;
pub mod phrases;
pub mod recall;
pub mod sensitive;
mod telling;
pub mod words;

pub use self::{
    error::MemoryError,
    memories::{FACT_CHARS, Known, Memories, What},
    telling::{Telling, notebook},
};
