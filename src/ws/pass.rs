//! Whose a socket is, and how long it may stay open.

use std::{sync::Arc, time::Duration};

use crate::{
    auth::{Authenticator, Caller, Grant, NotTaken, Right, left},
    chat::Timestamp,
    config::Secret,
};

/// The grant of a socket; none where nobody need say who they are.
pub(super) struct Pass {
    auth: Arc<Authenticator>,
    grant: Option<Grant>,
    /// What was taken back up to here does not hold for it.
    seen: u64,
}

/// Why a socket does not get another token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotRenewed {
    /// It is not valid.
    #[error("the credentials are not valid")]
    Refused,
    /// It names a key that is not known yet.
    #[error("the key of this token is not known yet: say it again in a moment")]
    UnknownKey,
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
            Self::Refused | Self::UnknownKey => "unauthenticated",
            Self::AnotherPrincipal | Self::Forbidden => "forbidden",
        }
    }

    /// Whether the same may be taken a little later.
    pub(super) fn is_passing(self) -> bool {
        self == Self::UnknownKey
    }
}

impl Pass {
    pub(super) fn new(auth: Arc<Authenticator>, Caller(grant): &Caller) -> Self {
        // Of what is taken back from now on nothing is missed: it is looked at once more.
        Self { grant: grant.clone(), auth, seen: 0 }
    }

    /// Puts another token in the place of the socket's.
    pub(super) fn renew(&mut self, token: &Secret) -> Result<(), NotRenewed> {
        let grant = self.auth.verify_now(token.expose()).map_err(|error| match error {
            NotTaken::Refused => NotRenewed::Refused,
            NotTaken::UnknownKey => NotRenewed::UnknownKey,
        })?;
        if self.grant.as_ref().map(|own| own.principal.owner()) != Some(grant.principal.owner()) {
            return Err(NotRenewed::AnotherPrincipal);
        }
        if !grant.principal.may(Right::Chat) {
            return Err(NotRenewed::Forbidden);
        }
        self.grant = Some(grant);
        Ok(())
    }

    /// Whose socket it is, as the newest token says it.
    pub(super) fn caller(&self) -> Caller {
        Caller(self.grant.clone())
    }

    /// How long the socket may stay open; `None` when it may not any more.
    pub(super) fn left(&self) -> Option<Duration> {
        let Some(grant) = &self.grant else { return Some(Duration::MAX) };
        let left = left(grant.expires_at, Timestamp::now());
        (!left.is_zero()).then_some(left)
    }

    /// Whether what lets it be open was taken back. Costs next to nothing when nothing was.
    pub(super) fn is_revoked(&mut self) -> bool {
        let revision = self.auth.revision();
        if revision == self.seen {
            return false;
        }
        self.seen = revision;
        self.grant.as_ref().is_some_and(|grant| !self.auth.stands(grant))
    }
}
