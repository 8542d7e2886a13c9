//! `chat.v1`, the protocol of docs/protocol.md: JSON text frames, one object each, `type` first.

mod client;
mod server;

pub use client::{ClientFrame, Frame, FrameError, check_text, parse};
pub use server::{
    ErrorFrame, Welcome, ack, ack_message, ack_stop, delta, doing, error, event, goaway, ping, pong, snapshot, step,
    welcome,
};

/// The WebSocket subprotocol's name.
pub const SUBPROTOCOL: &str = "chat.v1";
/// The largest frame taken from a client, in bytes; a larger one closes the socket with 1009.
pub const FRAME_BYTES: usize = 64 << 10;
/// The longest message of a user, in characters (Unicode scalar values).
pub const TEXT_CHARS: usize = 16_384;
/// The longest comment of a `feedback`, in characters.
pub const COMMENT_CHARS: usize = 2_000;
/// The most text in one delta, in bytes.
pub const DELTA_BYTES: usize = 32 << 10;
