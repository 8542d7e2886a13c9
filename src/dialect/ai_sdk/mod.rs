//! The protocol of the Vercel AI SDK 7: what its two transports send, and an answer as the chunks of its UI message stream.
//! The SDK's own history counts for nothing but its last message: what was said is what the gateway has stored.

mod chunks;
pub mod described;
mod request;
mod socket;

pub use chunks::{Chunks, GoingOn};
pub use request::{Asked, BODY_BYTES, Wish};
pub use socket::{Frame, FrameFault, Framed, SUBPROTOCOL, Said, error, frame, no_active};
