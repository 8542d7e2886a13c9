//! What `chat.v1` is called, and how large its parts may be.

/// The WebSocket subprotocol's name.
pub const SUBPROTOCOL: &str = "chat.v1";
/// The largest frame taken from a client, in bytes; a larger one closes the socket with 1009.
pub const FRAME_BYTES: usize = 64 << 10;
/// The longest message of a user, in characters (Unicode scalar values).
pub const TEXT_CHARS: usize = 16_384;
/// The longest comment of a `feedback` or an `approve`, in characters.
pub const COMMENT_CHARS: usize = 2_000;
/// The most text in one delta, in bytes.
pub const DELTA_BYTES: usize = 32 << 10;
