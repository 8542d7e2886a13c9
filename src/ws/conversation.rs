//! A socket that was let in: one state machine that reads, calls the session, writes, and watches over life and stalls.
//!
//! Everything is owned here and polled in turn, so nothing in it has a lock. A poll first takes what the session's calls
//! came to and what the client says (`reader.rs`), then writes answers and what lies after the cursor (`writer.rs`).
//! While the connection takes nothing, the log is not looked at: what piles up is one larger delta afterwards.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use metrics::Histogram;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{CloseReason, Socket, pass::Pass, wire::Wire};
use crate::{
    dialect::chat_v1,
    session::{Moment, Viewer},
    telemetry::metrics::TOKEN_DELAY,
};

/// Frames that are read before what they caused is written.
const FRAMES_AT_ONCE: usize = 32;

/// A socket and what is going on in it.
pub(super) struct Conversation<'a, S> {
    pub(super) wire: Wire<'a, S>,
    pub(super) socket: &'a Socket,
    pub(super) viewer: Viewer,
    /// Calls on the session that are under way. Reading does not wait for them, so that a `stop` overtakes a message
    /// whose commit takes its time.
    pub(super) calls: FuturesUnordered<BoxFuture<'static, String>>,
    /// Nobody looks: the cursor stays where it is, and on return the text since is one delta.
    pub(super) hidden: bool,
    /// The client knows that the gateway goes away.
    pub(super) told_goaway: bool,
    /// Room for a batch, kept for the next one.
    pub(super) frames: Vec<Message>,
    /// When the text came that is being written.
    pub(super) arrivals: Vec<Moment>,
    delay: Histogram,
}

impl<'a, S> Conversation<'a, WebSocketStream<S>>
where
    WebSocketStream<S>: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    /// Attaches to the session, and has the `welcome` ready.
    pub(super) fn begin(stream: &'a mut WebSocketStream<S>, socket: &'a Socket) -> Self {
        let (viewer, attachment) = socket.session.attach(socket.resume.as_deref());
        let mut conversation = Self {
            wire: Wire::new(stream, Pass::new(socket.auth.clone(), &socket.caller)),
            socket,
            viewer,
            calls: FuturesUnordered::new(),
            hidden: false,
            told_goaway: false,
            frames: Vec::new(),
            arrivals: Vec::new(),
            delay: metrics::histogram!(TOKEN_DELAY),
        };
        conversation.welcome(&attachment);
        conversation
    }

    /// Goes on until the socket is to be closed.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        self.viewer.wake(context.waker()); // Before anything is looked at.
        if self.wire.pass.is_revoked() {
            return Poll::Ready(CloseReason::Revoked);
        }
        loop {
            self.take_calls(context);
            let was_full = self.wire.is_full();
            let has_read = match self.poll_read(context) {
                Ok(has_read) => has_read,
                Err(reason) => return Poll::Ready(reason),
            };
            if let Poll::Ready(reason) = self.wire.poll_heartbeat(context, Some(chat_v1::ping)) {
                return Poll::Ready(reason);
            }
            if let Err(reason) = self.poll_write(context) {
                return Poll::Ready(reason);
            }
            let has_room_again = was_full && !self.wire.is_full();
            if !has_read && !has_room_again {
                return Poll::Pending;
            }
        }
    }

    /// A frame for this client alone.
    pub(super) fn answer(&mut self, frame: Message) {
        self.wire.answer(frame);
    }

    /// Takes some of what the client says; whether that was anything.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<bool, CloseReason> {
        for frames in 0..FRAMES_AT_ONCE {
            match self.wire.poll_frame(context) {
                Poll::Ready(Ok(Some(text))) => self.take(&text)?,
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(reason)) => return Err(reason),
                Poll::Pending => return Ok(frames > 0),
            }
        }
        Ok(true)
    }

    /// Writes all there is, as far as the connection takes it.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            let was_flushing = self.wire.is_flushing();
            match self.wire.poll_flushed(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(flushed) => flushed?,
            }
            if was_flushing {
                self.note_delays();
            }
            self.wire.feed_answers()?;
            if !self.hidden {
                self.write_log(context)?;
            }
            if !self.wire.is_flushing() {
                self.tell_goaway();
                match self.viewer.closed() {
                    _ if self.wire.has_answers() => continue,
                    Some(cause) => return Err(cause.into()),
                    None => return Ok(()),
                }
            }
        }
    }

    /// Takes what calls on the session came to. The `ack` of a message goes out before the end of its run, however quick
    /// that is.
    pub(super) fn take_calls(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(answer)) = self.calls.poll_next_unpin(context) {
            self.answer(Message::text(answer));
        }
    }

    /// Records how long ago the text came that is written now.
    fn note_delays(&mut self) {
        if !self.arrivals.is_empty() {
            let now = self.viewer.now();
            for arrival in self.arrivals.drain(..) {
                self.delay.record(Duration::from_micros(now.saturating_sub(arrival)).as_secs_f64());
            }
        }
    }
}
