//! Why a socket ends: one table of close codes. Clients read from the code whether to come back (docs/protocol.md).

use tokio_tungstenite::tungstenite::{
    Error,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::session::Closed;

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The other side said goodbye.
    PeerLeft,
    /// The connection is gone: there is nobody to tell.
    Lost,
    /// The gateway is going away; another one, or the next, has the session.
    GoingAway,
    /// RFC 6455 was broken.
    ProtocolError,
    /// A binary frame: this protocol is text.
    BinaryFrame,
    /// A text frame that is not UTF-8.
    BadUtf8,
    /// A frame above the limit.
    TooLarge,
    /// The credential that came in a frame is not valid.
    Unauthenticated,
    /// Whoever it is may not chat.
    Forbidden,
    /// What let it be open was taken back.
    Revoked,
    /// The session was deleted, or there is none such for this principal.
    SessionGone,
    /// There is no room for its session in memory, or another gateway has it.
    OverCapacity,
    /// Whoever it is did not say so in time.
    HelloTimeout,
    /// Another gateway has the session, or may have.
    Moved,
    /// The session failed; what is stored is intact.
    Internal,
    /// It asked for too many sessions of late.
    TooManyRequests,
    /// No sign of life.
    Silent,
    /// The other side did not read for too long.
    WriteStalled,
    /// The token is over, and no new one came.
    TokenExpired,
}

impl CloseReason {
    /// Code and text. 1006 is never sent: it is RFC 6455's name for a connection that is gone.
    #[must_use]
    pub const fn code(self) -> (u16, &'static str) {
        match self {
            Self::PeerLeft => (1000, ""),
            Self::Lost => (1006, ""),
            Self::GoingAway => (1001, "the gateway is going away"),
            Self::ProtocolError => (1002, "protocol error"),
            Self::BinaryFrame => (1003, "binary frames are not spoken here"),
            Self::BadUtf8 => (1007, "not UTF-8"),
            Self::TooLarge => (1009, "frame too large"),
            Self::Unauthenticated => (4001, "the credentials are not valid"),
            Self::Forbidden => (4003, "this needs the scope `chat`"),
            Self::SessionGone => (4004, "the session is gone"),
            Self::Revoked => (4010, "the credentials were revoked"),
            Self::OverCapacity => (4100, "the session cannot be had here at the moment"),
            Self::HelloTimeout => (4108, "no hello with a token in time"),
            Self::Internal => (4111, "internal error"),
            Self::TooManyRequests => (4129, "too many new sessions of late"),
            Self::Silent => (4201, "no sign of life"),
            Self::WriteStalled => (4203, "the reader stalled"),
            Self::TokenExpired => (4204, "the token expired"),
            Self::Moved => (4205, "the session has moved"),
        }
    }

    /// The close frame; `None` when there is nobody to tell, or who said goodbye is answered by the library.
    #[must_use]
    pub fn frame(self) -> Option<CloseFrame> {
        let (code, text) = self.code();
        let silent = matches!(self, Self::PeerLeft | Self::Lost);
        (!silent).then(|| CloseFrame { code: CloseCode::from(code), reason: text.into() })
    }

    /// What a failed read means.
    #[must_use]
    pub fn from_error(error: &Error) -> Self {
        match error {
            Error::Protocol(problem) if is_disconnect(problem) => Self::Lost,
            Error::Protocol(_) => Self::ProtocolError,
            Error::Utf8(_) => Self::BadUtf8,
            Error::Capacity(_) => Self::TooLarge,
            _ => Self::Lost,
        }
    }
}

impl From<Closed> for CloseReason {
    fn from(cause: Closed) -> Self {
        match cause {
            Closed::Deleted => Self::SessionGone,
            Closed::Shutdown => Self::GoingAway,
            Closed::Failed => Self::Internal,
            Closed::Moved => Self::Moved,
        }
    }
}

fn is_disconnect(problem: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError::{ReceivedAfterClosing, ResetWithoutClosingHandshake};
    matches!(problem, ResetWithoutClosingHandshake | ReceivedAfterClosing)
}
