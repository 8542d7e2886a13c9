//! Tokens that were taken back before they end: all of a user, or of a tenant, that were made before a moment, and single
//! ones.
//!
//! They are in memory, so a look at them costs no I/O; the store has them for the next start. Uses `store`.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::RwLock;

use super::{grant::TokenId, jwt::MAX_LIFETIME, principal::Principal};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        credentials::{CredentialStore, MAX_REVOCATIONS, MAX_REVOKED_TOKENS, Revocation, RevokedToken},
    },
};

/// Why nothing was taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There are too many.
    #[error("there are as many revocations as there may be, {MAX_REVOCATIONS}: change the secret")]
    TooMany,
    /// There are too many single tokens.
    #[error("too many single tokens were taken back that are not over yet: take back all of a user instead")]
    TooManyTokens,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was taken back.
pub(super) struct Revocations {
    store: Arc<dyn CredentialStore>,
    /// By tenant and user; without one, all of the tenant.
    before: RwLock<HashMap<(String, Option<String>), Timestamp>>,
    /// Single ones, and when they are over anyway.
    tokens: RwLock<HashMap<TokenId, Timestamp>>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("known", &self.before.read().len()).finish_non_exhaustive()
    }
}

impl Revocations {
    /// None yet.
    pub(super) fn none(store: Arc<dyn CredentialStore>) -> Self {
        Self { store, before: RwLock::default(), tokens: RwLock::default() }
    }

    /// Revocations as the store has them.
    pub(super) fn take_over(&self, revocations: Vec<Revocation>, tokens: Vec<RevokedToken>, now: Timestamp) {
        let mut before = self.before.write();
        for Revocation { tenant, user, before: until } in revocations {
            let known = before.entry((tenant, user)).or_insert(until);
            *known = until.max(*known);
        }
        drop(before);
        for token in tokens {
            self.keep(token.id.into(), token.until, now);
        }
    }

    /// Takes back all tokens of a user, or of a tenant, that were made until now.
    ///
    /// # Errors
    /// [`RevokeError`]
    pub(super) async fn add(&self, tenant: &str, user: Option<&str>, now: Timestamp) -> Result<(), RevokeError> {
        // Tokens tell whole seconds: those of this one are older than the next.
        let before = Timestamp((now.0 / 1000 + 1) * 1000);
        let (tenant, user) = (tenant.to_owned(), user.map(str::to_owned));
        let revocation = Revocation { tenant: tenant.clone(), user: user.clone(), before };
        let life = u64::try_from(MAX_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        if !self.store.revoke(revocation, Timestamp(now.0.saturating_sub(life))).await? {
            return Err(RevokeError::TooMany);
        }
        self.before.write().insert((tenant, user), before);
        Ok(())
    }

    /// Takes back a single token.
    ///
    /// # Errors
    /// [`RevokeError`]
    pub(super) async fn add_token(&self, token: RevokedToken, now: Timestamp) -> Result<(), RevokeError> {
        let (id, until) = (TokenId::from(token.id), token.until);
        if !self.store.revoke_token(token, now).await? {
            return Err(RevokeError::TooManyTokens);
        }
        self.keep(id, until, now);
        Ok(())
    }

    fn keep(&self, id: TokenId, until: Timestamp, now: Timestamp) {
        let mut tokens = self.tokens.write();
        if tokens.len() >= MAX_REVOKED_TOKENS {
            tokens.retain(|_, until| now < *until);
        }
        tokens.insert(id, until);
    }

    /// Whether a token of this principal was taken back; one that does not say when it was made, if any of its were.
    pub(super) fn holds_for(&self, principal: &Principal, id: TokenId, made: Option<Timestamp>) -> bool {
        if self.tokens.read().contains_key(&id) {
            return true;
        }
        let known = self.before.read();
        if known.is_empty() {
            return false;
        }
        let tenant = principal.tenant().to_owned();
        let of_user = known.get(&(tenant.clone(), Some(principal.user().to_owned())));
        [of_user, known.get(&(tenant, None))].into_iter().flatten().any(|before| made.is_none_or(|made| made < *before))
    }
}
