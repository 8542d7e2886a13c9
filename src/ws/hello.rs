//! From an open connection to a [`Socket`]; for a client that could not say who it is before, its `hello` comes first.
//!
//! Until then there is no session, nothing is looked up, and a message may have 5 KiB, in however many frames.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    close::CloseReason,
    metered::Metered,
    reader::error_frame,
    serve::{Counted, config, converse, leave},
    socket::Socket,
};
use crate::{
    auth::{Authenticator, Caller, Right, jwt::MAX_TOKEN_BYTES},
    chat::SessionId,
    config::Secret,
    dialect::chat_v1::{self, ClientFrame, FRAME_BYTES, Frame, FrameError, SUBPROTOCOL},
    hub::{Hub, HubError},
    limits::{Action, OverLimit, Rates, Visitor},
    run::Assistants,
    store::StoreError,
};

/// How long a client has for its `hello`.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message before it, in bytes: a token and a cursor.
const HELLO_BYTES: usize = MAX_TOKEN_BYTES + 1024;

/// The most bytes of a frame's own head.
const FRAME_HEAD_BYTES: usize = 14;

/// Why a client gets no session.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// It may not chat.
    #[error("this needs the scope `{}`", Right::Chat.scope())]
    Forbidden,
    /// The assistant that it asks for is not on offer to it, or another one answers in its conversation.
    #[error("there is no such assistant")]
    NoAssistant,
    /// It asked for too many of late.
    #[error(transparent)]
    TooOften(#[from] OverLimit),
    /// There is none for it.
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl NotAdmitted {
    /// Whether it may be otherwise in a moment, or at another gateway.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Hub(
                HubError::Full
                    | HubError::Store(StoreError::Elsewhere(_) | StoreError::Fenced | StoreError::Unavailable(_))
            )
        )
    }
}

/// A client that has connected.
#[derive(Debug)]
pub struct Arrival {
    /// Where sessions come from.
    pub hub: Arc<Hub>,
    /// Checks tokens.
    pub auth: Arc<Authenticator>,
    /// How often what may be asked for.
    pub rates: Arc<Rates>,
    /// Who is counted: whoever has the client's address, until it is known who it is.
    pub visitor: Visitor,
    /// The session it asks for; without one, one is made.
    pub session: Option<SessionId>,
    /// The assistant that is to answer in a new one; of one that there is, its own.
    pub assistant: Option<String>,
    /// Whether a new one neither knows nor leaves any memories.
    pub is_temporary: bool,
    /// The assistants on offer.
    pub assistants: Arc<Assistants>,
    /// The cursor that came with the URL.
    pub resume: Option<String>,
    /// Names the socket in the log.
    pub connection: String,
    /// Cancelled when the gateway is about to end.
    pub draining: CancellationToken,
    /// How long the end may take.
    pub drain: Duration,
}

impl Arrival {
    /// The socket of `caller`, with its session.
    ///
    /// # Errors
    /// [`NotAdmitted`]; [`StoreError::NoSession`] when there is no such session of this caller.
    pub async fn admit(self, caller: Caller) -> Result<Socket, NotAdmitted> {
        if !caller.may(Right::Chat) {
            return Err(NotAdmitted::Forbidden);
        }
        let visitor = caller.visitor(self.visitor);
        let session = match self.session {
            Some(id) => {
                let session = self.hub.get_own(&id, caller.owner()).await?;
                // Who is not shown it any more can read what was said, over HTTP.
                let may_ask = caller.may_ask(&self.assistants, session.assistant());
                if !may_ask || self.assistant.is_some_and(|wanted| wanted != session.assistant()) {
                    return Err(NotAdmitted::NoAssistant);
                }
                session.catch_up(self.resume.as_deref()).await.map_err(HubError::from)?;
                session
            }
            None => {
                let assistant = caller.assistant(&self.assistants, self.assistant.as_deref());
                let assistant = assistant.ok_or(NotAdmitted::NoAssistant)?;
                self.rates.take(Action::Sessions, &visitor).await?;
                self.hub.open(&assistant.name, caller.owner(), self.is_temporary)?
            }
        };
        Ok(Socket {
            session,
            assistants: self.assistants,
            resume_ttl: self.hub.resume_ttl(),
            resume: self.resume,
            connection: self.connection,
            drain: self.drain,
            auth: self.auth,
            visitor,
            caller,
        })
    }
}

/// Speaks `chat.v1` with a client that has yet to say who it is.
pub async fn serve_unknown<S: AsyncRead + AsyncWrite + Unpin>(io: S, read: Vec<u8>, mut arrival: Arrival) {
    let _counted = Counted::new(SUBPROTOCOL);
    let io = Metered::new(io);
    let mut stream = WebSocketStream::from_partially_read(io, read, Role::Server, Some(config(FRAME_BYTES))).await;
    let connection = arrival.connection.clone();
    let introduced = introduce(&mut stream, &mut arrival).await;
    stream.get_mut().allow(None);
    let reason = match introduced {
        Ok(caller) => match arrival.admit(caller).await {
            Ok(socket) => return converse(stream, socket).await,
            Err(NotAdmitted::Forbidden) => CloseReason::Forbidden,
            Err(NotAdmitted::TooOften(_) | NotAdmitted::Hub(HubError::Store(StoreError::TooManySessions))) => {
                CloseReason::TooManyRequests
            }
            Err(NotAdmitted::Hub(HubError::Full | HubError::Store(StoreError::Elsewhere(_) | StoreError::Fenced))) => {
                CloseReason::OverCapacity
            }
            Err(NotAdmitted::NoAssistant | NotAdmitted::Hub(HubError::Store(StoreError::NoSession))) => {
                CloseReason::SessionGone
            }
            Err(NotAdmitted::Hub(HubError::Store(StoreError::Unavailable(reason)))) => {
                tracing::error!(reason, "the store refused");
                CloseReason::Internal
            }
        },
        Err(reason) => reason,
    };
    debug!(connection, ?reason, "socket closed before it was welcomed");
    leave(stream, reason).await;
}

/// Waits for a `hello` that proves who it is.
async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WebSocketStream<Metered<S>>,
    arrival: &mut Arrival,
) -> Result<Caller, CloseReason> {
    let draining = arrival.draining.clone();
    tokio::select! {
        () = draining.cancelled() => Err(CloseReason::GoingAway),
        hello = timeout(HELLO_TIMEOUT, hello(stream)) => {
            let (token, resume) = hello.map_err(|_| CloseReason::HelloTimeout)??;
            arrival.resume = resume.or(arrival.resume.take());
            let grant = arrival.auth.verify(token.expose()).await.map_err(|_| CloseReason::Unauthenticated)?;
            Ok(Caller(Some(grant)))
        }
    }
}

/// Reads until a `hello` with a token comes. Everything else is refused, and nothing else is done with it.
async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut WebSocketStream<Metered<S>>,
) -> Result<(Secret, Option<String>), CloseReason> {
    // Of each message, and all that comes between its fragments: pings give no room for more of them.
    let room = Some(FRAME_HEAD_BYTES + HELLO_BYTES);
    stream.get_mut().allow(room);
    loop {
        let text = match stream.next().await {
            Some(Ok(Message::Text(text))) if text.len() > HELLO_BYTES => return Err(CloseReason::TooLarge),
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(CloseReason::BinaryFrame),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_))) => return Err(CloseReason::PeerLeft),
            Some(Err(_)) if stream.get_ref().is_used_up() => return Err(CloseReason::TooLarge),
            None => return Err(CloseReason::Lost),
            Some(Err(error)) => return Err(CloseReason::from_error(&error)),
        };
        let re = match chat_v1::parse(&text) {
            Ok(Frame { body: ClientFrame::Hello { token: Some(token), resume }, .. }) => return Ok((token, resume)),
            Ok(Frame { id, .. }) => id,
            Err(FrameError { re, .. }) => re,
        };
        let problem = "say `hello` with a token first".to_owned();
        let error = chat_v1::error(&error_frame(re, "unauthenticated", problem, false));
        stream.send(Message::text(error)).await.map_err(|_| CloseReason::Lost)?;
        stream.get_mut().allow(room);
    }
}
