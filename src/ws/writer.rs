//! The writing half: answers first, then everything after the cursor, in batches, until nothing is left.
//!
//! While the socket does not take a batch, the log grows and this half does not look: what piles up is read as one
//! larger delta afterwards.

use std::{pin::pin, time::Duration};

use futures_util::{Sink, SinkExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::{Answer, CloseReason, Goaway, Shared, Socket, heartbeat::HEARTBEAT};
use crate::{
    dialect::chat_v1::{self, DELTA_BYTES, ErrorFrame, Welcome},
    session::{
        Viewer,
        log::{Attachment, Moment, Step},
        viewer::Change,
    },
    telemetry::metrics::TOKEN_DELAY,
};

/// Bytes encoded before the socket is asked to take them.
const BATCH_BYTES: usize = 64 << 10;
/// A peer that takes no batch for so long has stalled (4203); it loses nothing, the log has it.
const STALL: Duration = Duration::from_secs(30);

/// Writes until the socket is to be closed.
pub(super) async fn write(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    socket: &Socket,
    shared: &Shared,
) -> CloseReason {
    let (viewer, attachment) = socket.session.attach(socket.resume.as_deref());
    let mut writer = Writer { viewer, socket, hidden: false, batch: Vec::new(), bytes: 0, arrivals: Vec::new() };
    writer.welcome(&attachment);
    drop(attachment); // Its snapshot would live as long as the socket.
    let delay = metrics::histogram!(TOKEN_DELAY);
    let mut draining = pin!(socket.draining.cancelled());
    let mut told = false; // That the gateway goes away.
    let mut closing = None;
    loop {
        // An answer may be a whole snapshot: a batch is bounded in bytes, whatever fills it.
        while writer.bytes < BATCH_BYTES
            && let Some(answer) = shared.outbox.pop()
        {
            writer.answer(answer);
        }
        if !writer.hidden && writer.bytes < BATCH_BYTES {
            writer.read();
        }
        if writer.batch.is_empty() {
            if let Some(reason) = closing {
                return reason;
            }
            tokio::select! {
                () = shared.outbox.filled.notified() => {}
                change = writer.viewer.changed(), if !writer.hidden => match change {
                    Change::More => {}
                    Change::Closed(cause) => closing = Some(CloseReason::from(cause)),
                },
                cause = writer.viewer.closed(), if writer.hidden => closing = Some(cause.into()),
                () = &mut draining, if !told => {}
            }
            if !told && socket.draining.is_cancelled() {
                told = true;
                writer.push(Goaway::within(socket.drain).frame);
            }
            continue;
        }
        for message in writer.batch.drain(..) {
            if let Err(reason) = in_time(sink.feed(message)).await {
                return reason;
            }
        }
        if let Err(reason) = in_time(sink.flush()).await {
            return reason;
        }
        writer.bytes = 0;
        let now = writer.viewer.now();
        for arrival in writer.arrivals.drain(..) {
            delay.record(Duration::from_micros(now.saturating_sub(arrival)).as_secs_f64());
        }
    }
}

async fn in_time(write: impl Future<Output = Result<(), Error>>) -> Result<(), CloseReason> {
    match timeout(STALL, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(CloseReason::Lost),
        Err(_) => Err(CloseReason::WriteStalled),
    }
}

struct Writer<'a> {
    viewer: Viewer,
    socket: &'a Socket,
    /// The cursor stays where it is; on return the text since is one delta.
    hidden: bool,
    batch: Vec<Message>,
    bytes: usize,
    /// When the text of the batch's deltas came.
    arrivals: Vec<Moment>,
}

impl Writer<'_> {
    fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Frame(frame) => self.push(frame),
            Answer::Ping => self.batch.push(Message::Ping(Bytes::new())),
            Answer::View { hidden } => self.hidden = hidden,
            Answer::Typing { on } => self.viewer.set_typing(on),
            Answer::Hello { resume } => {
                let attachment = self.viewer.reattach(resume.as_deref());
                self.welcome(&attachment);
            }
            Answer::Sync { re, run, off } => {
                if self.viewer.sync(&run, off).is_err() {
                    let error = ErrorFrame {
                        re,
                        code: "not_found",
                        message: "that text is not kept any more; a snapshot follows".to_owned(),
                        retryable: false,
                        retry_in_ms: None,
                    };
                    self.push(chat_v1::error(&error));
                    let snapshot = self.viewer.snapshot();
                    self.push(chat_v1::snapshot(&snapshot));
                }
            }
        }
    }

    fn welcome(&mut self, attachment: &Attachment) {
        let (epoch, seq) = self.viewer.head();
        let frame = chat_v1::welcome(&Welcome {
            session: self.socket.session.id(),
            epoch: &epoch,
            seq,
            recovered: attachment.recovered,
            connection: &self.socket.connection,
            assistant: &self.socket.assistant,
            heartbeat_s: HEARTBEAT.as_secs(),
            resume_ttl_s: self.socket.resume_ttl.as_secs(),
        });
        self.push(frame);
        if let Some(snapshot) = &attachment.snapshot {
            self.push(chat_v1::snapshot(snapshot));
        }
    }

    /// Encodes what lies after the cursor, up to a batch.
    fn read(&mut self) {
        let Self { viewer, batch, bytes, arrivals, .. } = self;
        let mut trimmed = false;
        viewer.read(DELTA_BYTES, |step| {
            if let Step::Delta { since, .. } = &step {
                arrivals.extend(*since);
            }
            let Some(frame) = chat_v1::step(&step) else {
                trimmed = step == Step::Trimmed;
                return false;
            };
            *bytes += frame.len();
            batch.push(Message::text(frame));
            *bytes < BATCH_BYTES
        });
        if trimmed {
            let snapshot = self.viewer.snapshot();
            self.push(chat_v1::snapshot(&snapshot));
        }
    }

    fn push(&mut self, frame: String) {
        self.bytes += frame.len();
        self.batch.push(Message::text(frame));
    }
}
