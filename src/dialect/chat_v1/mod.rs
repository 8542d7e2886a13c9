//! `chat.v1`, the protocol of docs/protocol.md: JSON text frames, one object each, `type` first.

mod bounds;
mod client;
mod server;

pub use bounds::{COMMENT_CHARS, DELTA_BYTES, FRAME_BYTES, SUBPROTOCOL, TEXT_CHARS};
pub use client::{ClientFrame, Frame, FrameError, check_comment, check_text, parse};
pub use server::{
    ErrorFrame, Welcome, ack, ack_message, ack_stop, delta, doing, error, event, goaway, ping, pong, snapshot, step,
    welcome,
};
