//! Who is asking: principals, the tokens and API keys that prove them, tickets for those who can send neither, and what
//! was taken back.
//!
//! Knows no socket and no request: credentials come in as text, a [`Grant`] or [`Refused`] comes out. Every kind of
//! credential meets in [`Authenticator::verify`]. Uses `config`, `limits`, `store`, `chat`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

pub mod api_keys;
mod grant;
pub mod jwt;
mod principal;
mod revocations;
mod tickets;

use self::{
    api_keys::ApiKeys,
    jwt::{MintError, Tokens},
    revocations::Revocations,
    tickets::Tickets,
};
pub use self::{
    grant::{Caller, Credential, Grant, LEEWAY, Refused, left},
    principal::{DEFAULT_TENANT, InvalidPrincipal, Principal, Right, UNLIMITED, check_tenant},
    revocations::RevokeError,
    tickets::{TICKET_LIFE, TicketError},
};
use crate::{
    chat::Timestamp,
    config::AuthConfig,
    store::{StoreError, credentials::CredentialStore},
};

/// Checks credentials, and makes them.
#[derive(Debug)]
pub struct Authenticator {
    required: bool,
    sign_in_url: Option<String>,
    tokens: Option<Tokens>,
    tickets: Tickets,
    stored: Option<Stored>,
    /// Counts what was taken back, so that who was let in is looked at anew only when something was.
    revision: AtomicU64,
}

/// What the store knows of credentials.
#[derive(Debug)]
struct Stored {
    keys: ApiKeys,
    revocations: Revocations,
}

impl Authenticator {
    /// As `auth.*` says. Without a secret no token is valid; there are no API keys, and nothing can be taken back.
    #[must_use]
    pub fn new(config: &AuthConfig) -> Self {
        let tokens = Tokens::from_config(config);
        let (tickets, revision) = (Tickets::default(), AtomicU64::default());
        let sign_in_url = config.sign_in_url.clone();
        Self { required: config.required, sign_in_url, tokens, tickets, stored: None, revision }
    }

    /// The same, with the API keys and revocations of `store`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn with(self, store: Arc<dyn CredentialStore>) -> Result<Self, StoreError> {
        let keys = ApiKeys::load(store.clone()).await?;
        let revocations = Revocations::load(store).await?;
        Ok(Self { stored: Some(Stored { keys, revocations }), ..self })
    }

    /// Whether everybody has to say who they are.
    #[must_use]
    pub fn required(&self) -> bool {
        self.required
    }

    /// Where a browser gets a token.
    #[must_use]
    pub fn sign_in_url(&self) -> Option<&str> {
        self.sign_in_url.as_deref()
    }

    /// Whether there are credentials at all. Where there are none, an `Authorization` is meant for somebody else: a platform
    /// in front of the gateway, or a package that insists on a key.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.tokens.is_some() || self.keys().is_some_and(|keys| !keys.is_empty())
    }

    /// The API keys, where there is a store for them.
    #[must_use]
    pub fn keys(&self) -> Option<&ApiKeys> {
        self.stored.as_ref().map(|stored| &stored.keys)
    }

    /// Checks a bearer credential, a token or an API key.
    ///
    /// # Errors
    /// [`Refused`], whatever is wrong with it.
    pub fn verify(&self, credential: &str) -> Result<Grant, Refused> {
        let now = Timestamp::now();
        if credential.starts_with(api_keys::PREFIX) {
            return self.keys().ok_or(Refused)?.verify(credential, now);
        }
        let grant = self.tokens.as_ref().ok_or(Refused)?.verify(credential, now)?;
        if self.stands(&grant) { Ok(grant) } else { Err(Refused) }
    }

    /// Whether what was proven was not taken back since.
    #[must_use]
    pub fn stands(&self, grant: &Grant) -> bool {
        let Some(Stored { keys, revocations }) = &self.stored else { return true };
        match &grant.credential {
            Credential::Token(made) => !revocations.holds_for(&grant.principal, *made),
            Credential::ApiKey(id) => keys.stands(id, Timestamp::now()),
        }
    }

    /// Changes whenever something is taken back.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Takes back all tokens of a user, or of a tenant, that were made until now; those of the same second too.
    ///
    /// # Errors
    /// [`RevokeError`], and when there is no store for it.
    pub async fn revoke_tokens(&self, tenant: &str, user: Option<&str>) -> Result<(), RevokeError> {
        let stored = self.stored.as_ref().ok_or_else(no_store)?;
        stored.revocations.add(tenant, user, Timestamp::now()).await?;
        self.revision.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Takes an API key back; whether there is one of this id in the tenant, or in any.
    ///
    /// # Errors
    /// When that could not be stored; it is not good any more all the same, until the next start.
    pub async fn revoke_key(&self, id: &str, tenant: Option<&str>) -> Result<bool, StoreError> {
        let Some(keys) = self.keys() else { return Ok(false) };
        let revoked = keys.revoke(id, tenant).await;
        self.revision.fetch_add(1, Ordering::AcqRel);
        revoked
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
    /// [`Refused`] when there is none such, it was used, or it or what it stands for is over or was taken back.
    pub fn redeem_ticket(&self, ticket: &str) -> Result<Caller, Refused> {
        let caller = self.tickets.redeem(ticket, Instant::now())?;
        match &caller.0 {
            Some(grant) if left(grant.expires_at, Timestamp::now()).is_zero() || !self.stands(grant) => Err(Refused),
            None if self.required => Err(Refused),
            _ => Ok(caller),
        }
    }
}

fn no_store() -> StoreError {
    StoreError::Unavailable("there is no store for revocations".to_owned())
}
