//! One socket: handshake checks, a reader half, a writer half, a heartbeat; one task for all three.
//!
//! The halves are polled side by side, so that a stuck write never hides a `stop`. What the writer sends comes from
//! two places: the session's log (through a cursor, never queued) and the outbox, the few frames that answer this
//! client alone. A full outbox stops the reader, so a client that only asks and never reads fills nothing.
//! A socket that may not speak yet says who it is first (`hello.rs`). Uses `hub`, `auth` and `dialect`.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::pass::Pass;
use crate::{
    auth::{Authenticator, Caller},
    chat::RunId,
    dialect::chat_v1::{FRAME_BYTES, SUBPROTOCOL},
    session::{Clock, SessionHandle},
    telemetry::metrics::{WS_CLOSES, WS_CONNECTIONS},
};

mod close;
mod goaway;
pub mod handshake;
mod heartbeat;
mod hello;
mod pass;
mod reader;
mod writer;

pub use close::CloseReason;
pub use goaway::Goaway;
pub use hello::{Arrival, serve_unknown};

/// Frames for one client alone that may wait; the reader stops beyond it.
const OUTBOX_FRAMES: usize = 64;
/// And their bytes: a `pong` may be as large as the `ping` that it answers.
const OUTBOX_BYTES: usize = 256 << 10;
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
    /// Cancelled when the gateway is about to end.
    pub draining: CancellationToken,
    /// How long the end may take.
    pub drain: Duration,
}

/// The settings of every socket. The library's defaults are for few sockets with large frames: it would allocate
/// 128 KiB each and buffer writes without bound.
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(1 << 10) // Allocated at once; a larger frame gets its room when its length is known.
        .write_buffer_size(4 << 10) // Small frames that belong together leave in one write, with the flush.
        .max_write_buffer_size(16 << 20) // Above the largest snapshot; the writer never has two batches in it.
        .max_message_size(Some(FRAME_BYTES))
        .max_frame_size(Some(FRAME_BYTES))
}

/// Speaks `chat.v1` on an upgraded connection until one side is done.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(io: S, socket: Socket) {
    let _counted = Counted::new();
    let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
    converse(stream, socket).await;
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: WebSocketStream<S>, socket: Socket) {
    let (mut sink, mut stream) = stream.split();
    let pass = Pass::new(socket.auth.clone(), &socket.caller);
    let shared = Shared { outbox: Outbox::default(), life: Life::new(), pass };

    // The reader first: the `ack` of a message goes out before the end of its run, however quick that is.
    let reason = tokio::select! {
        biased;
        reason = reader::read(&mut stream, &socket.session, &shared) => reason,
        reason = writer::write(&mut sink, &socket, &shared) => reason,
        reason = heartbeat::watch(&shared) => reason,
    };
    debug!(connection = socket.connection, session = %socket.session.id(), ?reason, "socket closed");
    drop(socket); // The session is free while a slow peer takes its time over the goodbye.
    leave(sink, stream, reason).await;
}

async fn leave<S: AsyncRead + AsyncWrite + Unpin>(
    sink: SplitSink<WebSocketStream<S>, Message>,
    stream: SplitStream<WebSocketStream<S>>,
    reason: CloseReason,
) {
    let (code, _) = reason.code();
    metrics::counter!(WS_CLOSES, "code" => code.to_string()).increment(1);
    let _no_answer_is_fine = timeout(CLOSE_TIMEOUT, goodbye(sink, stream, reason)).await;
}

/// The closing handshake, and then silence until the other side has gone too: a connection that is dropped with unread
/// bytes is reset, and a reset can overtake the close frame.
async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut stream: SplitStream<WebSocketStream<S>>,
    reason: CloseReason,
) {
    let _peer_may_be_gone = match reason.frame() {
        Some(frame) => sink.send(Message::Close(Some(frame))).await,
        None => sink.flush().await,
    };
    while let Some(Ok(_)) = stream.next().await {}
    let Ok(socket) = sink.reunite(stream) else { return };
    let mut io = socket.into_inner();
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

/// What the halves of a socket share.
struct Shared {
    outbox: Outbox,
    life: Life,
    pass: Pass,
}

/// What is to be said to this client alone.
enum Answer {
    /// A frame.
    Frame(String),
    /// A WebSocket ping, which every library answers by itself.
    Ping,
    /// A new `welcome`, and what lies after the cursor.
    Hello { resume: Option<String> },
    /// Text again.
    Sync { re: Option<Value>, run: RunId, off: u64 },
    /// Stop or go on reading the log: nobody looks, or somebody does again.
    View { hidden: bool },
    /// The person types, or does not any more.
    Typing { on: bool },
}

#[derive(Default)]
struct Outbox {
    answers: Mutex<VecDeque<Answer>>,
    filled: Notify,
    emptied: Notify,
}

impl Outbox {
    fn push(&self, answer: Answer) {
        self.answers.lock().push_back(answer);
        self.filled.notify_one();
    }

    fn pop(&self) -> Option<Answer> {
        let mut answers = self.answers.lock();
        let answer = answers.pop_front();
        if answers.is_empty() {
            self.emptied.notify_one();
        }
        answer
    }

    fn is_full(&self) -> bool {
        let answers = self.answers.lock();
        let bytes = |answer: &Answer| if let Answer::Frame(frame) = answer { frame.len() } else { 0 };
        answers.len() >= OUTBOX_FRAMES || answers.iter().map(bytes).sum::<usize>() >= OUTBOX_BYTES
    }

    async fn room(&self) {
        while self.is_full() {
            self.emptied.notified().await;
        }
    }
}

/// When the client was heard of last.
struct Life {
    clock: Clock,
    heard: AtomicU64,
}

impl Life {
    fn new() -> Self {
        Self { clock: Clock::start(), heard: AtomicU64::new(0) }
    }

    fn sign(&self) {
        self.heard.store(self.clock.now(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        Duration::from_micros(self.clock.now().saturating_sub(self.heard.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outbox_is_bounded_in_frames_and_in_bytes() {
        for (bytes, room) in [(10, OUTBOX_FRAMES), (64 << 10, 4), (OUTBOX_BYTES + 1, 1)] {
            let outbox = Outbox::default();
            let mut pushed = 0;
            while !outbox.is_full() {
                outbox.push(Answer::Frame("x".repeat(bytes)));
                pushed += 1;
            }
            assert_eq!(pushed, room);
            while outbox.pop().is_some() {}
            assert!(!outbox.is_full());
        }
    }
}
