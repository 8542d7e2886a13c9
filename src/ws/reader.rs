//! The reading half: what a frame asks for becomes a call on the session, or an answer at once.

use futures_util::{FutureExt, Sink, Stream};
use serde_json::Value;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{CloseReason, conversation::Conversation, pass::NotRenewed};
use crate::{
    chat::RunId,
    dialect::chat_v1::{self, ClientFrame, ErrorFrame, Frame, FrameError},
    session::{NewMessage, Receipt, RunNotActive, SendError, SessionHandle},
};

/// Calls on the session that may be under way for one socket; further ones are refused.
const CALLS: usize = 32;

impl<S> Conversation<'_, WebSocketStream<S>>
where
    WebSocketStream<S>: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    /// Does what a frame asks for.
    pub(super) fn take(&mut self, text: &str) -> Result<(), CloseReason> {
        let Frame { id, body } = match chat_v1::parse(text) {
            Ok(frame) => frame,
            Err(FrameError { re, code, message }) => {
                self.refuse(&error_frame(re, code, message, false));
                return Ok(());
            }
        };
        match body {
            ClientFrame::Send { .. } | ClientFrame::Redo { .. } | ClientFrame::Approve { .. }
                if !self.socket.may_ask() =>
            {
                self.refuse(&error_frame(id, "not_found", "there is no such assistant".to_owned(), false));
            }
            ClientFrame::Send { assistant: Some(name), .. } if name != self.socket.session.assistant() => {
                let told = format!("`assistant` is {} in this conversation", self.socket.session.assistant());
                self.refuse(&error_frame(id, "not_found", told, false));
            }
            ClientFrame::Send { id: message, text, mode, .. } => {
                self.viewer.set_typing(false); // Who has sent it types no more.
                let message = NewMessage { id: message, text, mode, by: self.socket.visitor.clone() };
                self.call(id, |session, id| async move { receipt(id, session.send(message).await) });
            }
            ClientFrame::Redo { id: new, redo } => {
                let by = self.socket.visitor.clone();
                self.call(id, |session, id| async move { receipt(id, session.redo(new, redo, by).await) });
            }
            ClientFrame::Approve { call, digest, is_approved, comment } => {
                let decision = self.wire.pass.caller().decision(call, digest, is_approved, comment);
                let by = self.socket.visitor.clone();
                self.call(id, |session, id| async move { receipt(id, session.decide(decision, by).await) });
            }
            ClientFrame::Feedback { message, feedback } => {
                self.call(id, |session, id| async move { rated(id, session.rate(message, feedback).await) });
            }
            ClientFrame::Stop(target) => {
                self.call(id, |session, id| async move { stopped(id, session.stop(target).await) });
            }
            ClientFrame::Sync { run, off } => {
                if let Some(id) = self.allow_text(id) {
                    self.send_again(id, &run, off);
                }
            }
            ClientFrame::Hello { token, resume } => match token.map_or(Ok(()), |token| self.wire.renew(&token)) {
                Ok(()) => {
                    if self.allow_text(id).is_some() {
                        let attachment = self.viewer.reattach(resume.as_deref());
                        self.welcome(&attachment);
                    }
                }
                Err(NotRenewed::Refused) => return Err(CloseReason::Unauthenticated),
                Err(error) => self.refuse(&error_frame(id, error.code(), error.to_string(), error.is_passing())),
            },
            ClientFrame::Auth { token } => match self.wire.renew(&token) {
                Ok(()) => self.answer(Message::text(chat_v1::ack(id.as_ref()))),
                Err(error) => self.refuse(&error_frame(id, error.code(), error.to_string(), error.is_passing())),
            },
            // Not told is no harm: whoever types says so again. The end of it always is.
            ClientFrame::Typing { on } => {
                if !on || self.wire.allowance.typing(self.viewer.now()) {
                    self.viewer.set_typing(on);
                }
            }
            ClientFrame::View { hidden } => self.hidden = hidden,
            ClientFrame::Ping { t } => self.answer(Message::text(chat_v1::pong(t.as_ref()))),
            ClientFrame::Pong => {}
        }
        Ok(())
    }

    /// Calls the session, and answers with what comes of it.
    fn call<F: Future<Output = String> + Send + 'static>(
        &mut self,
        id: Option<Value>,
        calling: impl FnOnce(SessionHandle, Option<Value>) -> F,
    ) {
        if self.calls.len() >= CALLS {
            let problem = "too many frames wait for their answer".to_owned();
            return self.refuse(&error_frame(id, "queue_full", problem, true));
        }
        self.calls.push(calling(self.socket.session.clone(), id).boxed());
    }

    /// The id back when a snapshot, or text again, may be had now; else that is refused.
    fn allow_text(&mut self, id: Option<Value>) -> Option<Option<Value>> {
        let Err(wait) = self.wire.allowance.text(self.viewer.now()) else { return Some(id) };
        let retry_in_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        let problem = "`hello` and `sync` come too often".to_owned();
        self.refuse(&ErrorFrame { retry_in_ms, ..error_frame(id, "rate_limited", problem, true) });
        None
    }

    fn refuse(&mut self, error: &ErrorFrame) {
        self.answer(Message::text(chat_v1::error(error)));
    }
}

fn receipt(re: Option<Value>, sent: Result<Receipt, SendError>) -> String {
    match sent {
        Ok(receipt) => chat_v1::ack_message(re.as_ref(), &receipt),
        Err(error) => chat_v1::error(&send_error(re, error)),
    }
}

fn rated(re: Option<Value>, rated: Result<(), SendError>) -> String {
    match rated {
        Ok(()) => chat_v1::ack(re.as_ref()),
        Err(error) => chat_v1::error(&send_error(re, error)),
    }
}

fn stopped(re: Option<Value>, stopped: Result<RunId, RunNotActive>) -> String {
    match stopped {
        Ok(run) => chat_v1::ack_stop(re.as_ref(), &run),
        Err(error @ RunNotActive) => chat_v1::error(&error_frame(re, "run_not_active", error.to_string(), false)),
    }
}

fn send_error(re: Option<Value>, error: SendError) -> ErrorFrame {
    let retry_in_ms = error.retry_in().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    ErrorFrame { retry_in_ms, ..error_frame(re, error.code(), error.to_string(), error.is_retryable()) }
}

pub(super) fn error_frame(re: Option<Value>, code: &'static str, message: String, retryable: bool) -> ErrorFrame {
    ErrorFrame { re, code, message, retryable, retry_in_ms: None }
}
