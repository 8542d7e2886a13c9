//! Who is asking: principals, the tokens and API keys that prove them, tickets for those who can send neither, and what
//! was taken back.
//!
//! Knows no socket and no request: credentials come in as text, a [`Grant`] or [`Refused`] comes out. Every kind of
//! credential meets in [`Authenticator::verify`]. Uses `config`, `limits`, `store`, `ephemeral`, `chat`.
//!
//! `jwt` says what a token is, `keys` and `key_set` by what one is proven, `jwks` fetches a set that others publish, and
//! `tokens` holds a token against all of them; `mint` makes the gateway's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub mod api_keys;
mod grant;
pub mod jwks;
pub mod jwt;
mod key_set;
mod keys;
mod mint;
mod principal;
mod revocations;
#[cfg(test)]
mod testing;
mod tickets;
mod tokens;

use parking_lot::RwLock;

use self::{
    api_keys::ApiKeys, jwks::KeySource, jwt::MAX_LIFETIME, revocations::Revocations, tickets::Tickets, tokens::Tokens,
};
pub use self::{
    grant::{Caller, Credential, Grant, LEEWAY, Refused, TokenId, left},
    key_set::{SetFault, count_keys},
    keys::{KeyFault, check_public_key},
    mint::{MintError, Minted, Signer},
    principal::{DEFAULT_TENANT, InvalidPrincipal, Principal, Right, UNLIMITED, check_tenant},
    revocations::RevokeError,
    tickets::{TICKET_LIFE, TicketError},
    tokens::{KeyError, NotTaken},
};
use crate::{
    chat::Timestamp,
    config::AuthConfig,
    ephemeral::{Connection, PATIENTLY, Redis},
    store::{
        StoreError,
        credentials::{Changes, CredentialStore, RevokedToken},
    },
};

/// Checks credentials, and makes them.
#[derive(Debug)]
pub struct Authenticator {
    required: bool,
    sign_in_url: Option<String>,
    keys: RwLock<Arc<Keys>>,
    tickets: Tickets,
    stored: Option<Stored>,
    /// Counts what was taken back, so that who was let in is looked at anew only when something was.
    revision: AtomicU64,
}

/// What tokens are checked with, and made.
#[derive(Debug)]
pub struct Keys {
    tokens: Tokens,
    signer: Option<Signer>,
}

/// What the store knows of credentials.
#[derive(Debug)]
struct Stored {
    keys: ApiKeys,
    revocations: Revocations,
    store: Arc<dyn CredentialStore>,
    /// Up to which change.
    known: AtomicU64,
}

impl Authenticator {
    /// As `auth.*` says, whose files are read now. There are no API keys yet, and nothing can be taken back.
    ///
    /// # Errors
    /// [`KeyError`]: a file that has no public key in it.
    pub fn new(config: &AuthConfig) -> Result<Self, KeyError> {
        let keys = Keys { tokens: Tokens::from_config(config)?, signer: Signer::from_config(config) };
        let (tickets, revision) = (Tickets::default(), AtomicU64::default());
        let (required, sign_in_url) = (config.required, config.sign_in_url.clone());
        let keys = RwLock::new(Arc::new(keys));
        Ok(Self { required, sign_in_url, keys, tickets, stored: None, revision })
    }

    /// Reads other secrets, public keys, issuer and audience. Nothing is changed yet.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn read_keys(&self, config: &AuthConfig) -> Result<Keys, KeyError> {
        let tokens = self.current().tokens.changed(config)?;
        Ok(Keys { tokens, signer: Signer::from_config(config) })
    }

    /// Checks and signs by these from now on. What is open stays open for as long as the tokens say that opened it.
    pub fn change_keys(&self, keys: Keys) {
        *self.keys.write() = Arc::new(keys);
    }

    fn current(&self) -> Arc<Keys> {
        self.keys.read().clone()
    }

    /// The same, with the API keys and revocations of `store`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn with(self, store: Arc<dyn CredentialStore>) -> Result<Self, StoreError> {
        let (keys, revocations) = (ApiKeys::none(store.clone()), Revocations::none(store.clone()));
        let with = Self { stored: Some(Stored { keys, revocations, store, known: AtomicU64::new(0) }), ..self };
        with.follow().await?;
        if let Some(Stored { store, .. }) = &with.stored {
            with.tickets.change_key(store.ticket_key(with.tickets.key()).await?);
        }
        Ok(with)
    }

    /// The same, where tickets that were used at other gateways are known.
    #[must_use]
    pub fn with_redis(self, redis: Arc<Redis>) -> Self {
        Self { tickets: self.tickets.spent_in(redis), ..self }
    }

    /// Takes over the key of tickets that is in a Redis, or puts its own there: for gateways that share no store.
    pub(crate) async fn share_ticket_key(&self, mut redis: Connection) {
        let mut set = redis::cmd("SET");
        set.arg("rivulet:ticket-key").arg(self.tickets.key().as_slice()).arg("NX").arg("GET");
        if let Ok(Some(key)) = redis.ask::<Option<Vec<u8>>>(&set, PATIENTLY).await
            && let Ok(key) = key.try_into()
        {
            self.tickets.change_key(key);
        }
    }

    /// Takes over what other gateways have done to credentials since the last look; whether there was something.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn follow(&self) -> Result<bool, StoreError> {
        let Some(Stored { keys, revocations, store, known }) = &self.stored else { return Ok(false) };
        let since = known.load(Ordering::Acquire);
        let Changes { revision, keys: new, revocations: more, tokens } = store.changes(since).await?;
        if revision == since {
            return Ok(false);
        }
        keys.take_over(new);
        revocations.take_over(more, tokens, Timestamp::now());
        known.store(revision, Ordering::Release);
        self.revision.fetch_add(1, Ordering::AcqRel);
        Ok(true)
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
        !self.current().tokens.is_empty() || self.keys().is_some_and(|keys| !keys.is_empty())
    }

    /// The set of keys that a maker of tokens publishes, where there is one.
    #[must_use]
    pub fn key_source(&self) -> Option<Arc<KeySource>> {
        self.current().tokens.source().cloned()
    }

    /// The API keys, where there is a store for them.
    #[must_use]
    pub fn keys(&self) -> Option<&ApiKeys> {
        self.stored.as_ref().map(|stored| &stored.keys)
    }

    /// Checks a bearer credential, a token or an API key. A token of a key that is not known may wait for it for two seconds.
    ///
    /// # Errors
    /// [`Refused`], whatever is wrong with it.
    pub async fn verify(&self, credential: &str) -> Result<Grant, Refused> {
        let now = Timestamp::now();
        if credential.starts_with(api_keys::PREFIX) {
            return self.keys().ok_or(Refused)?.verify(credential, now);
        }
        let grant = self.current().tokens.check(credential, now).await?;
        if self.stands(&grant) { Ok(grant) } else { Err(Refused) }
    }

    /// The same for those who cannot wait.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub fn verify_now(&self, credential: &str) -> Result<Grant, NotTaken> {
        let now = Timestamp::now();
        if credential.starts_with(api_keys::PREFIX) {
            let grant = self.keys().ok_or(Refused).and_then(|keys| keys.verify(credential, now));
            return grant.map_err(|Refused| NotTaken::Refused);
        }
        let grant = self.current().tokens.check_now(credential, now)?;
        if self.stands(&grant) { Ok(grant) } else { Err(NotTaken::Refused) }
    }

    /// Whether what was proven was not taken back since.
    #[must_use]
    pub fn stands(&self, grant: &Grant) -> bool {
        let Some(Stored { keys, revocations, .. }) = &self.stored else { return true };
        match &grant.credential {
            Credential::Token { id, made } => !revocations.holds_for(&grant.principal, *id, *made),
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

    /// Takes back the token that proved this, and no other; `false` when it was an API key that did.
    ///
    /// # Errors
    /// [`RevokeError`], and when there is no store for it.
    pub async fn revoke_grant(&self, grant: &Grant) -> Result<bool, RevokeError> {
        let Credential::Token { id, .. } = grant.credential else { return Ok(false) };
        let (tenant, user) = (grant.principal.tenant().to_owned(), grant.principal.user().to_owned());
        let until = grant.expires_at.plus_seconds(LEEWAY.as_secs());
        self.revoke_token(RevokedToken { id: id.to_bytes(), tenant, user, until }).await?;
        Ok(true)
    }

    /// Takes back the token of the tenant that has this name (`jti`), whether anybody has seen it or not.
    ///
    /// # Errors
    /// [`RevokeError`], and when there is no store for it.
    pub async fn revoke_named(&self, tenant: &str, jti: &str) -> Result<(), RevokeError> {
        let until = Timestamp::now().plus_seconds(MAX_LIFETIME.as_secs() + 2 * LEEWAY.as_secs());
        let (id, tenant, user) = (TokenId::named(tenant, jti).to_bytes(), tenant.to_owned(), String::new());
        self.revoke_token(RevokedToken { id, tenant, user, until }).await
    }

    async fn revoke_token(&self, token: RevokedToken) -> Result<(), RevokeError> {
        let stored = self.stored.as_ref().ok_or_else(no_store)?;
        stored.revocations.add_token(token, Timestamp::now()).await?;
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
    pub fn mint(&self, principal: &Principal, lifetime: Duration) -> Result<Minted, MintError> {
        self.current().signer.as_ref().ok_or(MintError::NoSecret)?.mint(principal, lifetime, Timestamp::now())
    }

    /// Makes a ticket that stands for `caller` once, within [`TICKET_LIFE`].
    ///
    /// # Errors
    /// [`TicketError`] when too many are open.
    pub fn issue_ticket(&self, caller: &Caller) -> Result<String, TicketError> {
        self.tickets.issue(caller, Timestamp::now())
    }

    /// Makes a ticket good again that was used up a moment ago, for something that could not be had then.
    pub async fn give_back_ticket(&self, ticket: &str) {
        self.tickets.give_back(ticket).await;
    }

    /// Uses a ticket up.
    ///
    /// # Errors
    /// [`Refused`] when there is none such, it was used, or it or what it stands for is over or was taken back.
    pub async fn redeem_ticket(&self, ticket: &str) -> Result<Caller, Refused> {
        let now = Timestamp::now();
        let caller = self.tickets.redeem(ticket, now).await?;
        match &caller.0 {
            Some(grant) if left(grant.expires_at, now).is_zero() || !self.stands(grant) => Err(Refused),
            None if self.required => Err(Refused),
            _ => Ok(caller),
        }
    }
}

fn no_store() -> StoreError {
    StoreError::Unavailable("there is no store for revocations".to_owned())
}
