//! Whose a socket is, and how long it may stay open.

use std::{sync::Arc, time::Duration};

use crate::{
    auth::{Authenticator, Caller, Principal, Right, left},
    chat::Timestamp,
    config::Secret,
};

/// For a socket that needs no token.
const FOR_EVER: u64 = u64::MAX;

/// The grant of a socket.
pub(super) struct Pass {
    auth: Arc<Authenticator>,
    principal: Option<Arc<Principal>>,
    /// When the token says that it is over, in milliseconds since the Unix epoch.
    expires_at: u64,
}

/// Why a socket does not get another token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotRenewed {
    /// It is not valid.
    #[error("the credentials are not valid")]
    Refused,
    /// It is valid, and of another principal than the socket.
    #[error("this token is not that of the socket's user: open another socket with it")]
    AnotherPrincipal,
    /// It is valid, and does not give what the socket is for.
    #[error("this needs the scope `{}`", Right::Chat.scope())]
    Forbidden,
}

impl NotRenewed {
    /// The code of docs/protocol.md.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Refused => "unauthenticated",
            Self::AnotherPrincipal | Self::Forbidden => "forbidden",
        }
    }
}

impl Pass {
    pub(super) fn new(auth: Arc<Authenticator>, Caller(grant): &Caller) -> Self {
        Self {
            auth,
            principal: grant.as_ref().map(|grant| grant.principal.clone()),
            expires_at: grant.as_ref().map_or(FOR_EVER, |grant| grant.expires_at.0),
        }
    }

    /// Puts another token in the place of the socket's.
    pub(super) fn renew(&mut self, token: &Secret) -> Result<(), NotRenewed> {
        let grant = self.auth.verify(token.expose()).map_err(|_| NotRenewed::Refused)?;
        if self.principal.as_ref().map(|own| own.owner()) != Some(grant.principal.owner()) {
            return Err(NotRenewed::AnotherPrincipal);
        }
        if !grant.principal.may(Right::Chat) {
            return Err(NotRenewed::Forbidden);
        }
        self.expires_at = grant.expires_at.0;
        Ok(())
    }

    /// How long the socket may stay open; `None` when it may not any more.
    pub(super) fn left(&self) -> Option<Duration> {
        if self.expires_at == FOR_EVER {
            return Some(Duration::MAX);
        }
        let left = left(Timestamp(self.expires_at), Timestamp::now());
        (!left.is_zero()).then_some(left)
    }
}
