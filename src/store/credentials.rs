//! API keys, and what was revoked: kept apart from the sessions, since whoever checks credentials need not keep those.

use async_trait::async_trait;

use super::StoreError;
use crate::chat::Timestamp;

/// The most API keys, those that are over or revoked included.
pub const MAX_API_KEYS: usize = 10_000;
/// The most revocations of tokens.
pub const MAX_REVOCATIONS: usize = 100_000;

/// The most single tokens that are taken back, those that are over not counted.
pub const MAX_REVOKED_TOKENS: usize = 100_000;
/// The most of them that one user has, so that nobody can use up all.
pub const MAX_REVOKED_OF_USER: usize = 1_000;

/// An API key. Of the key itself only a hash is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// The part of the key that is shown.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Of the whole key.
    pub hash: [u8; 32],
    /// Whose it is.
    pub tenant: String,
    /// The user that it stands for.
    pub user: String,
    /// What it lets one do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is over; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, a minute late at most.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// Tokens that are not good any more: those of a user, or of a whole tenant, that were made before a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The tenant.
    pub tenant: String,
    /// The user; `None`: all of the tenant.
    pub user: Option<String>,
    /// Tokens made before.
    pub before: Timestamp,
}

/// A single token that is not good any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedToken {
    /// By what it is known.
    pub id: [u8; 32],
    /// Whose it is.
    pub tenant: String,
    /// The user; empty when nobody has seen the token.
    pub user: String,
    /// When it is over anyway.
    pub until: Timestamp,
}

/// What has come since some change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The number of the newest one.
    pub revision: u64,
    /// Keys, oldest first.
    pub keys: Vec<ApiKeyRecord>,
    /// Revocations.
    pub revocations: Vec<Revocation>,
    /// Single tokens that were taken back.
    pub tokens: Vec<RevokedToken>,
}

/// API keys and revocations that survive.
#[async_trait]
pub trait CredentialStore: Send + Sync + std::fmt::Debug + 'static {
    /// What has come or changed since the change `since`, perhaps by other gateways; since 0: all there is. What was
    /// forgotten is not told.
    async fn changes(&self, since: u64) -> Result<Changes, StoreError>;

    /// Keeps a new key; whether there was room for it among [`MAX_API_KEYS`].
    async fn add_api_key(&self, key: ApiKeyRecord) -> Result<bool, StoreError>;

    /// Takes a key back; one that is taken back already stays so.
    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Notes when keys were used.
    async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError>;

    /// Keeps a revocation, in the place of an earlier one of the same user or tenant, and forgets those of tokens that were
    /// made before `forgotten`. Whether there was room for it among [`MAX_REVOCATIONS`].
    async fn revoke(&self, revocation: Revocation, forgotten: Timestamp) -> Result<bool, StoreError>;

    /// Keeps one more, if it is not there already, and forgets those that are over. Whether there was room for it among
    /// [`MAX_REVOKED_TOKENS`] and [`MAX_REVOKED_OF_USER`].
    async fn revoke_token(&self, token: RevokedToken, now: Timestamp) -> Result<bool, StoreError>;

    /// What tickets are sealed with at all gateways that have this store: what the first one of them proposed. That of a
    /// store which one gateway has for itself is not kept.
    async fn ticket_key(&self, proposed: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(proposed)
    }
}
