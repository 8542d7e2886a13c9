//! Who is asking: principals, the tokens that prove them, and tickets for those who can send no token.
//!
//! Knows no socket and no request: credentials come in as text, a [`Grant`] or [`Refused`] comes out. Every kind of
//! credential meets in [`Authenticator::verify`]. Uses `config`, `limits`, `chat`.

use std::time::Duration;

use tokio::time::Instant;

use crate::{chat::Timestamp, config::AuthConfig};

mod grant;
pub mod jwt;
mod principal;
mod tickets;

pub use self::{
    grant::{Caller, Grant, LEEWAY, Refused, left},
    principal::{DEFAULT_TENANT, InvalidPrincipal, Principal, Right, UNLIMITED},
    tickets::{TICKET_LIFE, TicketError},
};
use self::{
    jwt::{MintError, Tokens},
    tickets::Tickets,
};

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
