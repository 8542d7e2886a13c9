//! A socket from its opening to its end: the conversation, and a goodbye that arrives. Uses `dialect`, `telemetry`
//! and its neighbours.

use std::{future::poll_fn, time::Duration};

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

use super::{close::CloseReason, conversation::Conversation, socket::Socket};
use crate::{
    dialect::chat_v1::{FRAME_BYTES, SUBPROTOCOL},
    telemetry::metrics::{WS_CLOSES, WS_CONNECTIONS},
};

/// How long the closing handshake may take before the connection is simply dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The settings of every socket. The library's defaults are for few sockets with large frames: it would allocate
/// 128 KiB each and buffer writes without bound. A client's frame has at most `frame_bytes`.
#[must_use]
pub fn config(frame_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1 << 10) // Allocated at once; a larger frame gets its room when its length is known.
        .write_buffer_size(4 << 10) // Small frames that belong together leave in one write, with the flush.
        .max_write_buffer_size(16 << 20) // Above the largest snapshot; there are never two batches in it.
        .max_message_size(Some(frame_bytes))
        .max_frame_size(Some(frame_bytes))
}

/// Speaks `chat.v1` on an upgraded connection until one side is done. `read` came before the upgrade was over.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(io: S, read: Vec<u8>, socket: Socket) {
    let _counted = Counted::new(SUBPROTOCOL);
    let stream = WebSocketStream::from_partially_read(io, read, Role::Server, Some(config(FRAME_BYTES))).await;
    converse(stream, socket).await;
}

pub(super) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: WebSocketStream<S>, socket: Socket) {
    let mut conversation = Conversation::begin(&mut stream, &socket);
    let reason = poll_fn(|context| conversation.poll(context)).await;
    drop(conversation);
    debug!(connection = socket.connection, session = %socket.session.id(), ?reason, "socket closed");
    drop(socket); // The session is free while a slow peer takes its time over the goodbye.
    Box::pin(leave(stream, reason)).await; // On the heap: a socket that goes on has no room for its end.
}

pub(super) async fn leave<S: AsyncRead + AsyncWrite + Unpin>(stream: WebSocketStream<S>, reason: CloseReason) {
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
pub(super) struct Counted(&'static str);

impl Counted {
    pub(super) fn new(protocol: &'static str) -> Self {
        metrics::gauge!(WS_CONNECTIONS, "protocol" => protocol).increment(1.0);
        Self(protocol)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(WS_CONNECTIONS, "protocol" => self.0).decrement(1.0);
    }
}
