//! A socket that carries requests: each asks for one answer, and several are told at once. What their frames are is the
//! protocol's, of which this knows nothing. An answer is looked at when the connection takes something, so that nothing is
//! queued for a client that reads slowly. Uses `session` and its neighbours.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::Role},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::debug;

use super::{
    CloseReason,
    pass::Pass,
    serve::{Counted, config, leave},
    wire::Wire,
};
use crate::{
    auth::{Authenticator, Caller},
    dialect::{Codec, chat_v1::DELTA_BYTES, cut_off},
    session::{Answer, Closed, answer::Next},
};

/// Requests that are open at once on one socket.
const OPEN: usize = 16;
/// Frames that are read before what they caused is written.
const FRAMES_AT_ONCE: usize = 8;
/// Bytes that are told before the connection is asked to take them.
const BATCH_BYTES: usize = 64 << 10;
/// How often it is looked whether what lets the socket be open was taken back.
const LOOK: Duration = Duration::from_secs(1);

/// A socket, and what is spoken on it.
#[derive(Debug)]
pub struct Line {
    /// What is spoken.
    pub protocol: &'static str,
    /// The largest frame of the client, in bytes; a larger one closes the socket with 1009.
    pub frame_bytes: usize,
    /// Knows whose credentials count.
    pub auth: Arc<Authenticator>,
    /// Whose socket it is.
    pub caller: Caller,
    /// Names it in the log.
    pub connection: String,
    /// Cancelled when the gateway is about to end.
    pub draining: CancellationToken,
}

/// What a protocol makes of a frame of the client.
pub enum Heard {
    /// This is answered.
    Say(String),
    /// It asks for an answer. What it is told when it gets none is a frame.
    Ask {
        /// What the client calls the request.
        request: String,
        /// What comes of it.
        asking: BoxFuture<'static, Result<Request, String>>,
    },
    /// It listens to a request no more, which need not be open.
    Leave(String),
}

/// A request that is being answered.
pub struct Request {
    /// By this.
    pub answer: Answer,
    /// In these words.
    pub codec: Box<dyn Codec>,
    /// What is done when the client leaves it before its end. Nothing is, when the socket is lost.
    pub left: Option<BoxFuture<'static, ()>>,
}

/// What of a socket its protocol may see.
pub struct Desk<'d> {
    slots: &'d [Slot],
    allow: &'d mut dyn FnMut() -> bool,
}

impl Desk<'_> {
    /// Why there can be no request of this name now.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&mut self, request: &str) -> Result<(), &'static str> {
        if self.slots.iter().any(|slot| slot.id == request) {
            return Err("`requestId` is that of a request which is open");
        }
        if self.slots.len() >= OPEN {
            return Err("too many requests are open on this socket");
        }
        if (self.allow)() { Ok(()) } else { Err("requests come too often") }
    }
}

struct Slot {
    id: String,
    state: State,
}

enum State {
    Asking,
    Open(Box<Request>),
    /// The client left before it was known what comes of it.
    Left,
}

/// Carries requests on an upgraded connection until one side is done. `read` came before the upgrade was over.
pub async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    read: Vec<u8>,
    line: Line,
    hear: impl FnMut(&str, Desk<'_>) -> Heard,
) {
    let _counted = Counted::new(line.protocol);
    let mut stream = WebSocketStream::from_partially_read(io, read, Role::Server, Some(config(line.frame_bytes))).await;
    let mut requests = Requests {
        wire: Wire::new(&mut stream, Pass::new(line.auth, &line.caller)),
        hear,
        slots: Vec::new(),
        asking: FuturesUnordered::new(),
        afterwards: FuturesUnordered::new(),
        turn: 0,
        draining: Box::pin(line.draining.cancelled_owned()),
        is_draining: false,
        look: Box::pin(sleep(LOOK)),
    };
    let reason = poll_fn(|context| requests.poll(context)).await;
    drop(requests);
    debug!(connection = line.connection, ?reason, "socket closed");
    Box::pin(leave(stream, reason)).await;
}

struct Requests<'a, S, H> {
    wire: Wire<'a, S>,
    hear: H,
    /// What is open: few, as [`OPEN`] says.
    slots: Vec<Slot>,
    asking: FuturesUnordered<BoxFuture<'static, (String, Result<Request, String>)>>,
    /// What is done for requests that were left.
    afterwards: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Who is told first: nobody is always the last.
    turn: usize,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    is_draining: bool,
    look: Pin<Box<Sleep>>,
}

impl<S, H> Requests<'_, WebSocketStream<S>, H>
where
    WebSocketStream<S>: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
    H: FnMut(&str, Desk<'_>) -> Heard,
{
    /// Goes on until the socket is to be closed.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        while self.look.as_mut().poll(context).is_ready() {
            self.look.as_mut().reset(Instant::now() + LOOK);
        }
        if self.wire.pass.is_revoked() {
            return Poll::Ready(CloseReason::Revoked);
        }
        self.is_draining = self.is_draining || self.draining.as_mut().poll(context).is_ready();
        match self.poll_all(context) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(reason),
        }
    }

    fn poll_all(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            self.take_asked(context);
            while let Poll::Ready(Some(())) = self.afterwards.poll_next_unpin(context) {}
            let was_full = self.wire.is_full();
            let has_read = self.poll_read(context)?;
            if let Poll::Ready(reason) = self.wire.poll_heartbeat(context, None) {
                return Err(reason);
            }
            self.poll_write(context)?;
            let has_room_again = was_full && !self.wire.is_full();
            if !has_read && !has_room_again {
                return Ok(());
            }
        }
    }

    /// Takes what came of requests.
    fn take_asked(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some((id, outcome))) = self.asking.poll_next_unpin(context) {
            let Some(at) = self.slots.iter().position(|slot| slot.id == id) else { continue };
            match (outcome, &self.slots[at].state) {
                (Ok(request), State::Left) => {
                    self.slots.swap_remove(at);
                    self.afterwards.extend(request.left);
                }
                (Ok(request), _) => self.slots[at].state = State::Open(Box::new(request)),
                (Err(refused), _) => {
                    self.slots.swap_remove(at);
                    self.wire.answer(Message::text(refused));
                }
            }
        }
    }

    /// Takes some of what the client says; whether that was anything.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<bool, CloseReason> {
        for frames in 0..FRAMES_AT_ONCE {
            match self.wire.poll_frame(context) {
                Poll::Ready(Ok(Some(text))) => self.take(&text),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(reason)) => return Err(reason),
                Poll::Pending => return Ok(frames > 0),
            }
        }
        Ok(true)
    }

    fn take(&mut self, text: &str) {
        let wire = &mut self.wire;
        let desk = Desk { slots: &self.slots, allow: &mut || wire.may_ask() };
        match (self.hear)(text, desk) {
            Heard::Say(frame) => self.wire.answer(Message::text(frame)),
            Heard::Ask { request, asking } => {
                self.slots.push(Slot { id: request.clone(), state: State::Asking });
                self.asking.push(Box::pin(async move { (request, asking.await) }));
            }
            Heard::Leave(request) => {
                let Some(at) = self.slots.iter().position(|slot| slot.id == request) else { return };
                if let State::Open(_) = self.slots[at].state {
                    if let State::Open(request) = self.slots.swap_remove(at).state {
                        self.afterwards.extend(request.left);
                    }
                } else {
                    self.slots[at].state = State::Left;
                }
            }
        }
    }

    /// Writes all there is, as far as the connection takes it.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            match self.wire.poll_flushed(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(flushed) => flushed?,
            }
            self.wire.feed_answers()?;
            let has_ended = self.tell(context)?;
            if !self.wire.is_flushing() && !has_ended {
                let is_over = self.is_draining && self.slots.is_empty() && self.afterwards.is_empty();
                return if is_over { Err(CloseReason::GoingAway) } else { Ok(()) };
            }
        }
    }

    /// Tells of the answers, up to a batch; whether one of them has ended.
    fn tell(&mut self, context: &mut Context<'_>) -> Result<bool, CloseReason> {
        let mut room = BATCH_BYTES;
        let before = self.slots.len();
        for _ in 0..before {
            if room == 0 {
                break;
            }
            self.turn = (self.turn + 1) % self.slots.len();
            let State::Open(request) = &mut self.slots[self.turn].state else { continue };
            let mut frames = Vec::new();
            let is_over = request.poll_tell(context, &mut room, &mut frames);
            if is_over {
                self.slots.swap_remove(self.turn);
            }
            for frame in frames {
                self.wire.feed(Message::text(frame))?;
            }
        }
        Ok(self.slots.len() < before)
    }
}

impl Request {
    /// Tells what there is, up to so many bytes; whether that was the end.
    fn poll_tell(&mut self, context: &mut Context<'_>, room: &mut usize, frames: &mut Vec<String>) -> bool {
        let Self { answer, codec, .. } = self;
        while *room > 0 {
            let told = frames.len();
            let next = answer.next(DELTA_BYTES, |step| codec.step(step, frames));
            let bytes = frames[told..].iter().map(String::len).sum();
            *room = room.saturating_sub(bytes);
            match next {
                Next::Shown => {}
                Next::Over => return true,
                Next::Lost => {
                    codec.fail(&cut_off(None), frames);
                    return true;
                }
                Next::UpToDate => match pin!(answer.changed()).poll(context) {
                    Poll::Pending => return false,
                    Poll::Ready(Ok(())) => {}
                    // The socket ends as soon as it has nothing else to tell: to the client that is a connection lost, behind
                    // which it may resume.
                    Poll::Ready(Err(Closed::Shutdown)) => return true,
                    Poll::Ready(Err(cause)) => {
                        codec.fail(&cut_off(Some(cause)), frames);
                        return true;
                    }
                },
            }
        }
        false
    }
}
