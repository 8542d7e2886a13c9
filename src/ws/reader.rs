//! The reading half: frames in, calls on the session, answers into the outbox.

use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Answer, CloseReason, Shared, pass::NotRenewed};
use crate::{
    dialect::chat_v1::{self, ClientFrame, ErrorFrame, Frame, FrameError},
    session::{NewMessage, Receipt, RunNotActive, SendError, SessionHandle},
};

/// Calls on the session that may be under way for one socket; further ones are refused. Reading never waits for them,
/// so that a `stop` overtakes a message whose commit takes its time.
const IN_FLIGHT: usize = 32;

type InFlight = FuturesUnordered<BoxFuture<'static, String>>;

/// Reads until the socket is to be closed.
pub(super) async fn read(
    frames: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    session: &SessionHandle,
    shared: &Shared,
) -> CloseReason {
    let mut in_flight = InFlight::new();
    loop {
        shared.outbox.room().await;
        let message = tokio::select! {
            Some(answer) = in_flight.next(), if !in_flight.is_empty() => {
                shared.outbox.push(Answer::Frame(answer));
                continue;
            }
            message = frames.next() => message,
        };
        shared.life.sign();
        match message {
            Some(Ok(Message::Text(text))) => match chat_v1::parse(&text) {
                Ok(frame) => {
                    if let Some(reason) = take(frame, session, shared, &in_flight) {
                        return reason;
                    }
                }
                Err(FrameError { re, code, message }) => refuse(shared, re, code, message, false),
            },
            Some(Ok(Message::Binary(_))) => return CloseReason::BinaryFrame,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) => return CloseReason::PeerLeft,
            None => return CloseReason::Lost,
            Some(Err(error)) => return CloseReason::from_error(&error),
        }
    }
}

/// Does what a frame asks for; returns why the socket is to be closed, when it is.
fn take(
    Frame { id, body }: Frame,
    session: &SessionHandle,
    shared: &Shared,
    in_flight: &InFlight,
) -> Option<CloseReason> {
    match body {
        ClientFrame::Send { assistant: Some(name), .. } if name != crate::hub::ASSISTANT => {
            refuse(shared, id, "not_found", "there is no such assistant".to_owned(), false);
        }
        ClientFrame::Send { .. } | ClientFrame::Redo { .. } | ClientFrame::Feedback { .. } | ClientFrame::Stop(_)
            if in_flight.len() >= IN_FLIGHT =>
        {
            refuse(shared, id, "queue_full", "too many frames wait for their answer".to_owned(), true);
        }
        ClientFrame::Send { id: message, text, mode, .. } => {
            shared.outbox.push(Answer::Typing { on: false }); // Who has sent it types no more.
            let session = session.clone();
            let sent = async move { session.send(NewMessage { id: message, text, mode }).await };
            in_flight.push(sent.map(|sent| receipt(id, sent)).boxed());
        }
        ClientFrame::Redo { id: new, redo } => {
            let session = session.clone();
            let done = async move { session.redo(new, redo).await };
            in_flight.push(done.map(|done| receipt(id, done)).boxed());
        }
        ClientFrame::Feedback { message, feedback } => {
            let session = session.clone();
            let rated = async move {
                match session.rate(message, feedback).await {
                    Ok(()) => chat_v1::ack(id.as_ref()),
                    Err(error) => chat_v1::error(&send_error(id, error)),
                }
            };
            in_flight.push(rated.boxed());
        }
        ClientFrame::Stop(target) => {
            let session = session.clone();
            in_flight.push(
                async move {
                    match session.stop(target).await {
                        Ok(run) => chat_v1::ack_stop(id.as_ref(), &run),
                        Err(error @ RunNotActive) => {
                            chat_v1::error(&error_frame(id, "run_not_active", error.to_string(), false))
                        }
                    }
                }
                .boxed(),
            );
        }
        ClientFrame::Sync { run, off } => shared.outbox.push(Answer::Sync { re: id, run, off }),
        ClientFrame::Hello { token, resume } => match token.map_or(Ok(()), |token| shared.pass.renew(&token)) {
            Ok(()) => shared.outbox.push(Answer::Hello { resume }),
            Err(NotRenewed::Refused) => return Some(CloseReason::Unauthenticated),
            Err(error) => refuse(shared, id, error.code(), error.to_string(), false),
        },
        ClientFrame::Auth { token } => match shared.pass.renew(&token) {
            Ok(()) => shared.outbox.push(Answer::Frame(chat_v1::ack(id.as_ref()))),
            Err(error) => refuse(shared, id, error.code(), error.to_string(), false),
        },
        ClientFrame::Typing { on } => shared.outbox.push(Answer::Typing { on }),
        ClientFrame::View { hidden } => shared.outbox.push(Answer::View { hidden }),
        ClientFrame::Ping { t } => shared.outbox.push(Answer::Frame(chat_v1::pong(t.as_ref()))),
        ClientFrame::Pong => {}
    }
    None
}

fn refuse(shared: &Shared, re: Option<Value>, code: &'static str, message: String, retryable: bool) {
    shared.outbox.push(Answer::Frame(chat_v1::error(&error_frame(re, code, message, retryable))));
}

fn receipt(re: Option<Value>, sent: Result<Receipt, SendError>) -> String {
    match sent {
        Ok(receipt) => chat_v1::ack_message(re.as_ref(), &receipt),
        Err(error) => chat_v1::error(&send_error(re, error)),
    }
}

fn send_error(re: Option<Value>, error: SendError) -> ErrorFrame {
    let (code, retryable) = match error {
        SendError::Busy => ("busy", true),
        SendError::QueueFull => ("queue_full", true),
        SendError::Limit(refusal) => (refusal.code(), true),
        SendError::IdempotencyConflict => ("idempotency_conflict", false),
        SendError::NotAQuestion => ("invalid_field", false),
        SendError::StorageUnavailable => ("storage_unavailable", true),
        SendError::Gone | SendError::NotFound => ("not_found", false),
        // The client comes back after the restart and repeats it.
        SendError::Draining => ("busy", true),
        SendError::Internal => ("internal", true),
    };
    let retry_in = if let SendError::Limit(refusal) = error { refusal.retry_in() } else { None };
    let retry_in_ms = retry_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    ErrorFrame { retry_in_ms, ..error_frame(re, code, error.to_string(), retryable) }
}

fn error_frame(re: Option<Value>, code: &'static str, message: String, retryable: bool) -> ErrorFrame {
    ErrorFrame { re, code, message, retryable, retry_in_ms: None }
}
