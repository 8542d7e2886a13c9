//! Wire formats spoken over the same events: bytes ↔ typed frames. Pure: no socket, no session. Uses `chat` and the
//! values of the session's log.

pub mod chat_v1;
