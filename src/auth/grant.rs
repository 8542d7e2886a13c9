//! What a credential proves: a principal, for a while. Plain values.

use std::{sync::Arc, time::Duration};

use super::principal::{DEFAULT_TENANT, Principal, Right, UNLIMITED};
use crate::{
    chat::{Owner, Timestamp},
    limits::Visitor,
};

/// Clocks differ: a token counts for so much longer than it says, and so much earlier.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The credentials prove nothing. Why is not told: whoever tries them out shall learn nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credentials are not valid")]
pub struct Refused;

/// A principal that was proven, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// When the proof ends, without the [`LEEWAY`].
    pub expires_at: Timestamp,
    /// What proves it.
    pub credential: Credential,
}

/// What proves a principal, as far as it takes to take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token, and when it was made, if it says so.
    Token(Option<Timestamp>),
    /// The API key of this id.
    ApiKey(String),
}

/// How long a proof that says to end at `expires_at` still counts, [`LEEWAY`] included; zero when it is over.
#[must_use]
pub fn left(expires_at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(expires_at.plus_seconds(LEEWAY.as_secs()).0.saturating_sub(now.0))
}

/// Who makes a request: a principal, or nobody in particular where that is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller(pub Option<Grant>);

impl Caller {
    /// To whom belongs what this caller makes, and who must own what it is to see.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.0.as_ref().map(|grant| grant.principal.owner())
    }

    /// Whose documents and credentials are its own; the default tenant's where it is not known who it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.0.as_ref().map_or(DEFAULT_TENANT, |grant| grant.principal.tenant())
    }

    /// Whether it may do this. Where nobody need say who they are, everybody may do everything.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.0.as_ref().is_none_or(|grant| grant.principal.may(right))
    }

    /// Whose requests are counted; `unknown`, when it is not known who makes them.
    #[must_use]
    pub fn visitor(&self, unknown: Visitor) -> Visitor {
        match &self.0 {
            None => unknown,
            Some(grant) if grant.principal.has_scope(UNLIMITED) => Visitor::Unlimited,
            Some(grant) => Visitor::Principal(grant.principal.owner().clone()),
        }
    }
}
