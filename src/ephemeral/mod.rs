//! What gateways share and may lose: a Redis or Valkey. Nothing is here that is not somewhere else, or is over within
//! minutes anyway.
//!
//! `server` is where it is, and a connection to it, `slots` one to a cluster; `client` a connection that is kept, for questions that somebody waits
//! for: each has a deadline, none is asked twice, and while the server is known to be away or slower than that, nobody
//! waits. Uses `telemetry`.

mod client;
mod server;
mod slots;
#[cfg(test)]
pub(crate) mod stand_in;

pub use client::{Away, PATIENTLY, QUICKLY, Redis};
pub(crate) use server::{Connection, described};
pub use server::{InvalidServer, Server};

/// A script that counts: it is run as well where the server has no room for more, for what it writes is small and over within
/// minutes.
pub(crate) fn script(code: &str) -> redis::Script {
    redis::Script::new(&format!("#!lua flags=allow-oom\n{code}"))
}
