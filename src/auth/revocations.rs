//! Tokens that were taken back before they end: all of a user, or of a tenant, that were made before a moment.
//!
//! They are in memory, so a look at them costs no I/O; the store has them for the next start. Uses `store`.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::RwLock;

use super::{jwt::MAX_LIFETIME, principal::Principal};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        credentials::{CredentialStore, MAX_REVOCATIONS, Revocation},
    },
};

/// Why nothing was taken back.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There are too many.
    #[error("there are as many revocations as there may be, {MAX_REVOCATIONS}: change the secret")]
    TooMany,
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was taken back.
pub(super) struct Revocations {
    store: Arc<dyn CredentialStore>,
    /// By tenant and user; without one, all of the tenant.
    before: RwLock<HashMap<(String, Option<String>), Timestamp>>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("known", &self.before.read().len()).finish_non_exhaustive()
    }
}

impl Revocations {
    /// Those that the store has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn load(store: Arc<dyn CredentialStore>) -> Result<Self, StoreError> {
        let known = store.revocations().await?;
        let before = known.into_iter().map(|known| ((known.tenant, known.user), known.before)).collect();
        Ok(Self { store, before: RwLock::new(before) })
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

    /// Whether a token of this principal was taken back; one that does not say when it was made, if any of its were.
    pub(super) fn holds_for(&self, principal: &Principal, made: Option<Timestamp>) -> bool {
        let known = self.before.read();
        if known.is_empty() {
            return false;
        }
        let tenant = principal.tenant().to_owned();
        let of_user = known.get(&(tenant.clone(), Some(principal.user().to_owned())));
        [of_user, known.get(&(tenant, None))].into_iter().flatten().any(|before| made.is_none_or(|made| made < *before))
    }
}
