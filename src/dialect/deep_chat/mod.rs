//! What the chat element `deep-chat` sends and shows. Pure.

mod codec;
pub mod described;
mod request;

pub use codec::{DeepChat, refusal};
pub use request::Question;
