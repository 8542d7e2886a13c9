//! The writing half: `welcome`, snapshots, and everything after the cursor, in batches.

use std::task::Context;

use futures_util::{Sink, Stream};
use serde_json::Value;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{CloseReason, Goaway, conversation::Conversation, heartbeat::HEARTBEAT, reader::error_frame};
use crate::{
    chat::RunId,
    dialect::chat_v1::{self, DELTA_BYTES, Welcome},
    session::log::{Attachment, Step},
};

/// Bytes of the log that are encoded before the connection is asked to take them.
const BATCH_BYTES: usize = 64 << 10;

impl<S> Conversation<'_, WebSocketStream<S>>
where
    WebSocketStream<S>: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    pub(super) fn welcome(&mut self, attachment: &Attachment) {
        let frame = chat_v1::welcome(&Welcome {
            session: self.socket.session.id(),
            attachment,
            connection: &self.socket.connection,
            assistant: self.socket.session.assistant(),
            heartbeat_s: HEARTBEAT.as_secs(),
            resume_ttl_s: self.socket.resume_ttl.as_secs(),
        });
        self.answer(Message::text(frame));
        if let Some(snapshot) = &attachment.snapshot {
            self.answer(Message::text(chat_v1::snapshot(snapshot)));
        }
    }

    /// Has the text of `run` written again from `off`.
    pub(super) fn send_again(&mut self, re: Option<Value>, run: &RunId, off: u64) {
        if self.viewer.sync(run, off).is_ok() {
            return;
        }
        let problem = "that text is not kept any more; a snapshot follows".to_owned();
        self.answer(Message::text(chat_v1::error(&error_frame(re, "not_found", problem, false))));
        let snapshot = self.viewer.snapshot();
        self.answer(Message::text(chat_v1::snapshot(&snapshot)));
    }

    /// Tells once that the gateway goes away, as soon as it does.
    pub(super) fn tell_goaway(&mut self) {
        if !self.told_goaway
            && let Some(within) = self.viewer.goes_away()
        {
            self.told_goaway = true;
            self.answer(Message::text(Goaway::of(self.socket.drain, within).frame));
        }
    }

    /// Encodes what lies after the cursor, up to a batch.
    pub(super) fn write_log(&mut self, context: &mut Context<'_>) -> Result<(), CloseReason> {
        let mut frames = std::mem::take(&mut self.frames);
        let (mut bytes, mut trimmed) = (0, false);
        let arrivals = &mut self.arrivals;
        self.viewer.read(DELTA_BYTES, |step| {
            if let Step::Delta { since, .. } = &step {
                arrivals.extend(*since);
            }
            let Some(frame) = chat_v1::step(&step) else {
                trimmed = step == Step::Trimmed;
                return false;
            };
            bytes += frame.len();
            frames.push(Message::text(frame));
            bytes < BATCH_BYTES
        });
        if !frames.is_empty() {
            // A session answers a call in the same step in which its run begins, if a moment later: when the log has more of
            // that run than its beginning, the answer is there.
            self.take_calls(context);
            self.wire.feed_answers()?;
        }
        for frame in frames.drain(..) {
            self.wire.feed(frame)?;
        }
        self.frames = frames;
        if trimmed {
            let snapshot = self.viewer.snapshot();
            self.wire.feed(Message::text(chat_v1::snapshot(&snapshot)))?;
        }
        Ok(())
    }
}
