//! One socket: handshake checks, and then a conversation: frames in, answers and the session's log out, a heartbeat.
//!
//! A conversation is one task that polls all of it in turn (`conversation.rs`), so that a stuck write never hides a
//! `stop`. What is written comes from two places: the session's log (through a cursor, never queued) and the few frames
//! that answer this client alone. While too many of those wait, nothing is read, so a client that only asks and never
//! reads fills nothing. A socket that may not speak yet says who it is first (`hello.rs`). Uses `hub`, `auth` and
//! `dialect`.

use std::{future::poll_fn, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};
use tracing::debug;

use self::conversation::Conversation;
use crate::{
    auth::{Authenticator, Caller},
    dialect::chat_v1::{FRAME_BYTES, SUBPROTOCOL},
    session::SessionHandle,
    telemetry::metrics::{WS_CLOSES, WS_CONNECTIONS},
};

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
mod writer;

pub use close::CloseReason;
pub use goaway::Goaway;
pub use hello::{Arrival, serve_unknown};

/// How long the closing handshake may take before the connection is simply dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a socket needs to know.
#[derive(Debug)]
pub struct Socket {
    /// Its session.
    pub session: SessionHandle,
    /// Checks further tokens.
    pub auth: Arc<Authenticator>,
    /// Who it belongs to, and until when; nobody in particular where that is allowed.
    pub caller: Caller,
    /// Who answers in it.
    pub assistant: String,
    /// For how long after the last socket left a cursor is good.
    pub resume_ttl: Duration,
    /// The cursor that came with the URL.
    pub resume: Option<String>,
    /// Names the socket in the log.
    pub connection: String,
    /// How long the end of the gateway may take.
    pub drain: Duration,
}

/// The settings of every socket. The library's defaults are for few sockets with large frames: it would allocate
/// 128 KiB each and buffer writes without bound.
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1 << 10) // Allocated at once; a larger frame gets its room when its length is known.
        .write_buffer_size(4 << 10) // Small frames that belong together leave in one write, with the flush.
        .max_write_buffer_size(16 << 20) // Above the largest snapshot; there are never two batches in it.
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES))
}

/// Speaks `chat.v1` on an upgraded connection until one side is done. `read` came before the upgrade was over.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(io: S, read: Vec<u8>, socket: Socket) {
    let _counted = Counted::new();
    let stream = WebSocketStream::from_partially_read(io, read, Role::Server, Some(config())).await;
    converse(stream, socket).await;
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: WebSocketStream<S>, socket: Socket) {
    let mut conversation = Conversation::begin(&mut stream, &socket);
    let reason = poll_fn(|context| conversation.poll(context)).await;
    drop(conversation);
    debug!(connection = socket.connection, session = %socket.session.id(), ?reason, "socket closed");
    drop(socket); // The session is free while a slow peer takes its time over the goodbye.
    Box::pin(leave(stream, reason)).await; // On the heap: a socket that goes on has no room for its end.
}

async fn leave<S: AsyncRead + AsyncWrite + Unpin>(stream: WebSocketStream<S>, reason: CloseReason) {
    let (code, _) = reason.code();
    metrics::counter!(WS_CLOSES, "code" => code.to_string()).increment(1);
    let _no_answer_is_fine = timeout(CLOSE_TIMEOUT, goodbye(stream, reason)).await;
}

/// The closing handshake, and then silence until the other side has gone too: a connection that is dropped with unread
/// bytes is reset, and a reset can overtake the close frame.
async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(mut stream: WebSocketStream<S>, reason: CloseReason) {
    let _peer_may_be_gone = match reason.frame() {
        Some(frame) => stream.send(Message::Close(Some(frame))).await,
        None => stream.flush().await,
    };
    while let Some(Ok(_)) = stream.next().await {}
    let mut io = stream.into_inner();
    if io.shutdown().await.is_ok() {
        let _peer_may_be_gone = tokio::io::copy(&mut io, &mut tokio::io::sink()).await;
    }
}

/// Counts an open socket until it is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!(WS_CONNECTIONS, "protocol" => SUBPROTOCOL).increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(WS_CONNECTIONS, "protocol" => SUBPROTOCOL).decrement(1.0);
    }
}
