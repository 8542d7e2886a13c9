//! A socket that was let in: one state machine that reads, calls the session, writes, and watches over life and stalls.
//!
//! Everything is owned here and polled in turn, so nothing in it has a lock. A poll first takes what the session's calls
//! came to and what the client says (`reader.rs`), then writes answers and what lies after the cursor (`writer.rs`).
//! While the connection takes nothing, the log is not looked at: what piles up is one larger delta afterwards.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Sink, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use metrics::Histogram;
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{
    CloseReason, Socket,
    allowance::Allowance,
    heartbeat::Heartbeat,
    pass::{NotRenewed, Pass},
};
use crate::{
    config::Secret,
    session::{Moment, Viewer},
    telemetry::metrics::TOKEN_DELAY,
};

/// Frames for one client alone that may wait; nothing is read beyond it.
const ANSWERS: usize = 64;
/// And their bytes: a `pong` may be as large as the `ping` that it answers.
const ANSWER_BYTES: usize = 256 << 10;
/// Frames that are read before what they caused is written.
const FRAMES_AT_ONCE: usize = 32;
/// A peer that takes nothing for so long has stalled (4203); it loses nothing, the log has it.
const STALL: Duration = Duration::from_secs(30);

/// A socket and what is going on in it.
pub(super) struct Conversation<'a, S> {
    stream: &'a mut S,
    pub(super) socket: &'a Socket,
    pub(super) viewer: Viewer,
    pub(super) pass: Pass,
    heartbeat: Heartbeat,
    /// Calls on the session that are under way. Reading does not wait for them, so that a `stop` overtakes a message
    /// whose commit takes its time.
    pub(super) calls: FuturesUnordered<BoxFuture<'static, String>>,
    answers: VecDeque<Message>,
    answer_bytes: usize,
    /// What a few bytes from the client may make the gateway write, to it or to others.
    pub(super) allowance: Allowance,
    /// Runs while nothing is read, because frames came too fast; TCP holds the client back.
    rest: Option<Pin<Box<Sleep>>>,
    /// Nobody looks: the cursor stays where it is, and on return the text since is one delta.
    pub(super) hidden: bool,
    /// The client knows that the gateway goes away.
    pub(super) told_goaway: bool,
    /// Frames were handed to the stream that it may not have written yet.
    is_flushing: bool,
    /// Runs while the connection takes nothing; made only then, since most never stall.
    stall: Option<Pin<Box<Sleep>>>,
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
            stream,
            socket,
            viewer,
            pass: Pass::new(socket.auth.clone(), &socket.caller),
            heartbeat: Heartbeat::new(),
            calls: FuturesUnordered::new(),
            answers: VecDeque::new(),
            answer_bytes: 0,
            allowance: Allowance::default(),
            rest: None,
            hidden: false,
            told_goaway: false,
            is_flushing: false,
            stall: None,
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
        if self.pass.is_revoked() {
            return Poll::Ready(CloseReason::Revoked);
        }
        loop {
            self.take_calls(context);
            let was_full = self.is_full();
            let has_read = match self.poll_read(context) {
                Ok(has_read) => has_read,
                Err(reason) => return Poll::Ready(reason),
            };
            if let Poll::Ready(reason) = self.poll_heartbeat(context) {
                return Poll::Ready(reason);
            }
            if let Err(reason) = self.poll_write(context) {
                return Poll::Ready(reason);
            }
            let has_room_again = was_full && !self.is_full();
            if !has_read && !has_room_again {
                return Poll::Pending;
            }
        }
    }

    /// A frame for this client alone.
    pub(super) fn answer(&mut self, frame: Message) {
        self.answer_bytes += frame.len();
        self.answers.push_back(frame);
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= ANSWERS || self.answer_bytes >= ANSWER_BYTES
    }

    /// Puts another token in the place of the socket's.
    pub(super) fn renew(&mut self, token: &Secret) -> Result<(), NotRenewed> {
        self.pass.renew(token)?;
        self.heartbeat.look_now();
        Ok(())
    }

    /// Takes some of what the client says; whether that was anything.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<bool, CloseReason> {
        for frames in 0..FRAMES_AT_ONCE {
            if self.is_full() || self.poll_rest(context).is_pending() {
                return Ok(frames > 0);
            }
            let Poll::Ready(message) = self.stream.poll_next_unpin(context) else { return Ok(frames > 0) };
            self.heartbeat.heard();
            self.pay();
            match message {
                Some(Ok(Message::Text(text))) => self.take(&text)?,
                Some(Ok(Message::Binary(_))) => return Err(CloseReason::BinaryFrame),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) => return Err(CloseReason::PeerLeft),
                None => return Err(CloseReason::Lost),
                Some(Err(error)) => return Err(CloseReason::from_error(&error)),
            }
        }
        Ok(true)
    }

    /// Takes the place of a frame that came; where there is none left, the next one waits for it.
    fn pay(&mut self) {
        self.rest = self.allowance.frame(self.viewer.now()).err().map(|wait| Box::pin(sleep(wait)));
    }

    /// Over when another frame may be read.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.pay();
        }
        Poll::Ready(())
    }

    fn poll_heartbeat(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        while let Poll::Ready(beat) = self.heartbeat.poll(context, &self.pass) {
            match beat {
                Ok(frames) => frames.into_iter().for_each(|frame| self.answer(frame)),
                Err(reason) => return Poll::Ready(reason),
            }
        }
        Poll::Pending
    }

    /// Writes all there is, as far as the connection takes it.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        loop {
            if self.is_flushing {
                match Pin::new(&mut *self.stream).poll_flush(context) {
                    Poll::Pending => return self.poll_stall(context),
                    Poll::Ready(Err(_)) => return Err(CloseReason::Lost),
                    Poll::Ready(Ok(())) => self.flushed(),
                }
            }
            self.feed_answers()?;
            if !self.hidden {
                self.write_log(context)?;
            }
            if !self.is_flushing {
                self.tell_goaway();
                match self.viewer.closed() {
                    _ if !self.answers.is_empty() => continue,
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

    /// Hands all answers to the stream.
    pub(super) fn feed_answers(&mut self) -> Result<(), CloseReason> {
        while let Some(answer) = self.answers.pop_front() {
            self.answer_bytes -= answer.len();
            self.feed(answer)?;
        }
        Ok(())
    }

    /// Hands a frame to the stream, which keeps it until it is flushed.
    pub(super) fn feed(&mut self, frame: Message) -> Result<(), CloseReason> {
        self.is_flushing = true;
        Pin::new(&mut *self.stream).start_send(frame).map_err(|_| CloseReason::Lost)
    }

    fn flushed(&mut self) {
        self.is_flushing = false;
        self.stall = None;
        if !self.arrivals.is_empty() {
            let now = self.viewer.now();
            for arrival in self.arrivals.drain(..) {
                self.delay.record(Duration::from_micros(now.saturating_sub(arrival)).as_secs_f64());
            }
        }
    }

    fn poll_stall(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Err(CloseReason::WriteStalled),
            Poll::Pending => Ok(()),
        }
    }
}
