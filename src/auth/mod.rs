//! Who is asking: principals, the tokens that prove them, and tickets for those who can send no token.
//!
//! Knows no socket and no request: credentials come in as text, a [`Grant`] or [`Refused`] comes out. Every kind of
//! credential meets in [`Authenticator::verify`]. Uses `config`, `chat`.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    chat::{Owner, Timestamp},
    config::AuthConfig,
};

pub mod jwt;
mod principal;
mod tickets;

use self::{
    jwt::{MintError, Tokens},
    tickets::Tickets,
};
pub use self::{
    principal::{DEFAULT_TENANT, InvalidPrincipal, Principal},
    tickets::{TICKET_LIFE, TicketError},
};

/// The scope that may do everything.
pub const ADMIN: &str = "admin";
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
}

/// Checks credentials, and makes them.
#[derive(Debug)]
pub struct Authenticator {
    required: bool,
    tokens: Option<Tokens>,
    tickets: Tickets,
}

impl Authenticator {
    /// As `auth.*` says. Without a secret no token is valid.
    #[must_use]
    pub fn new(config: &AuthConfig) -> Self {
        Self { required: config.required, tokens: Tokens::from_config(config), tickets: Tickets::default() }
    }

    /// Whether everybody has to say who they are.
    #[must_use]
    pub fn required(&self) -> bool {
        self.required
    }

    /// Whether there are tokens at all. Where there are none, an `Authorization` is meant for somebody else: a platform in
    /// front of the gateway, or a package that insists on a key.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Checks a bearer credential.
    ///
    /// # Errors
    /// [`Refused`], whatever is wrong with it.
    pub fn verify(&self, credential: &str) -> Result<Grant, Refused> {
        self.tokens.as_ref().ok_or(Refused)?.verify(credential, Timestamp::now())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// [`MintError`] without a secret, or when the lifetime is out of bounds.
    pub fn mint(&self, principal: &Principal, lifetime: Duration) -> Result<(String, Timestamp), MintError> {
        self.tokens.as_ref().ok_or(MintError::NoSecret)?.mint(principal, lifetime, Timestamp::now())
    }

    /// Makes a ticket that stands for `caller` once, within [`TICKET_LIFE`].
    ///
    /// # Errors
    /// [`TicketError`] when too many are open.
    pub fn issue_ticket(&self, caller: &Caller) -> Result<String, TicketError> {
        self.tickets.issue(caller, Instant::now())
    }

    /// Uses a ticket up.
    ///
    /// # Errors
    /// [`Refused`] when there is none such, it was used, or it or the token behind it is over.
    pub fn redeem_ticket(&self, ticket: &str) -> Result<Caller, Refused> {
        let caller = self.tickets.redeem(ticket, Instant::now())?;
        match &caller.0 {
            Some(grant) if left(grant.expires_at, Timestamp::now()).is_zero() => Err(Refused),
            None if self.required => Err(Refused),
            _ => Ok(caller),
        }
    }
}
