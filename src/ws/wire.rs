//! What every socket does, whatever is spoken on it: it reads no faster than is allowed, asks a silent client for a sign of
//! life, ends with the credential, and has the few frames that answer this client alone. Uses its neighbours.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Sink, Stream, StreamExt};
use tokio::time::{Sleep, sleep};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Error, Message, Utf8Bytes},
};

use super::{
    CloseReason,
    allowance::Allowance,
    heartbeat::Heartbeat,
    pass::{NotRenewed, Pass},
};
use crate::{config::Secret, session::Clock};

/// Frames for one client alone that may wait; nothing is read beyond it.
const ANSWERS: usize = 64;
/// And their bytes: a `pong` may be as large as the `ping` that it answers.
const ANSWER_BYTES: usize = 256 << 10;
/// A peer that takes nothing for so long has stalled (4203); it loses nothing, the log has it.
const STALL: Duration = Duration::from_secs(30);

/// A connection, and who has it.
pub(super) struct Wire<'a, S> {
    stream: &'a mut S,
    pub(super) pass: Pass,
    heartbeat: Heartbeat,
    answers: VecDeque<Message>,
    answer_bytes: usize,
    /// What a few bytes from the client may make the gateway write, to it or to others.
    pub(super) allowance: Allowance,
    clock: Clock,
    /// Runs while nothing is read, because frames came too fast; TCP holds the client back.
    rest: Option<Pin<Box<Sleep>>>,
    /// Frames were handed to the stream that it may not have written yet.
    is_flushing: bool,
    /// Runs while the connection takes nothing; made only then, since most never stall.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<'a, S> Wire<'a, WebSocketStream<S>>
where
    WebSocketStream<S>: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    pub(super) fn new(stream: &'a mut WebSocketStream<S>, pass: Pass) -> Self {
        Self {
            stream,
            pass,
            heartbeat: Heartbeat::new(),
            answers: VecDeque::new(),
            answer_bytes: 0,
            allowance: Allowance::default(),
            clock: Clock::start(),
            rest: None,
            is_flushing: false,
            stall: None,
        }
    }

    /// A frame for this client alone.
    pub(super) fn answer(&mut self, frame: Message) {
        self.answer_bytes += frame.len();
        self.answers.push_back(frame);
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Whether nothing is read until some of the answers are written.
    pub(super) fn is_full(&self) -> bool {
        self.answers.len() >= ANSWERS || self.answer_bytes >= ANSWER_BYTES
    }

    /// Puts another token in the place of the socket's.
    pub(super) fn renew(&mut self, token: &Secret) -> Result<(), NotRenewed> {
        self.pass.renew(token)?;
        self.heartbeat.look_now();
        Ok(())
    }

    /// The next frame of the client, when it may be read; none where it only shows that the client lives.
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Utf8Bytes>, CloseReason>> {
        if self.is_full() {
            return Poll::Pending;
        }
        ready!(self.poll_rest(context));
        let message = ready!(self.stream.poll_next_unpin(context));
        self.heartbeat.heard();
        self.pay();
        Poll::Ready(match message {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Binary(_))) => Err(CloseReason::BinaryFrame),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Close(_))) => Err(CloseReason::PeerLeft),
            None => Err(CloseReason::Lost),
            Some(Err(error)) => Err(CloseReason::from_error(&error)),
        })
    }

    /// Whether the client may ask for something long now.
    pub(super) fn may_ask(&mut self) -> bool {
        self.allowance.text(self.clock.now()).is_ok()
    }

    /// Takes the place of a frame that came; where there is none left, the next one waits for it.
    fn pay(&mut self) {
        self.rest = self.allowance.frame(self.clock.now()).err().map(|wait| Box::pin(sleep(wait)));
    }

    /// Over when another frame may be read.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.pay();
        }
        Poll::Ready(())
    }

    /// Asks a silent client for a sign of life: by the WebSocket's own ping, which the smallest clients answer, and by `ask`,
    /// which a page can see.
    pub(super) fn poll_heartbeat(
        &mut self,
        context: &mut Context<'_>,
        ask: Option<fn() -> String>,
    ) -> Poll<CloseReason> {
        loop {
            match ready!(self.heartbeat.poll(context, &self.pass)) {
                Ok(()) => {
                    if let Some(ask) = ask {
                        self.answer(Message::text(ask()));
                    }
                    self.answer(Message::Ping(Bytes::new()));
                }
                Err(reason) => return Poll::Ready(reason),
            }
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

    /// Whether something was handed to the stream since it was flushed.
    pub(super) const fn is_flushing(&self) -> bool {
        self.is_flushing
    }

    /// Ready when all is written that was handed to the stream.
    pub(super) fn poll_flushed(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if !self.is_flushing {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut *self.stream).poll_flush(context) {
            Poll::Pending => {
                let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL)));
                stall.as_mut().poll(context).map(|()| Err(CloseReason::WriteStalled))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(CloseReason::Lost)),
            Poll::Ready(Ok(())) => {
                self.is_flushing = false;
                self.stall = None;
                Poll::Ready(Ok(()))
            }
        }
    }
}
