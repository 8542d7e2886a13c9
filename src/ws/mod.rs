//! One socket: handshake checks, and then a conversation: frames in, answers and the session's log out, a heartbeat.
//!
//! A conversation is one task that polls all of it in turn (`conversation.rs`), so that a stuck write never hides a
//! `stop`. What is written comes from two places: the session's log (through a cursor, never queued) and the few frames
//! that answer this client alone. While too many of those wait, nothing is read, so a client that only asks and never
//! reads fills nothing. A socket that may not speak yet says who it is first (`hello.rs`).
//! Protocols of others ask for one answer at a time, and many at once (`requests.rs`); what any socket does is `wire.rs`. Uses `hub`, `auth` and
//! `dialect`.

mod allowance;
mod close;
mod conversation;
mod goaway;
pub mod handshake;
mod heartbeat;
mod hello;
mod metered;
mod pass;
mod reader;
mod requests;
mod serve;
mod socket;
mod wire;
mod writer;

pub use close::CloseReason;
pub use goaway::Goaway;
pub use hello::{Arrival, NotAdmitted, serve_unknown};
pub use requests::{Desk, Heard, Line, Request, carry};
pub use serve::{config, serve};
pub use socket::Socket;
