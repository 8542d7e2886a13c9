//! What accounts have spent, apart from the sessions: who counts for several gateways need not keep their sessions.

use async_trait::async_trait;

use super::StoreError;

/// What an account has spent on a day, in all or since it was noted last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The account's name.
    pub account: String,
    /// Tokens; fewer than none where it was less than noted.
    pub tokens: i64,
}

/// What accounts have spent that survives. Days are counted from 1970.
#[async_trait]
pub trait SpendingStore: Send + Sync + std::fmt::Debug + 'static {
    /// What was spent on `day` in all, by all gateways, of at most `limit` accounts.
    async fn spent(&self, day: u64, limit: usize) -> Result<Vec<Spent>, StoreError>;

    /// Adds to what these accounts have spent on `day`, each at most once in a call, and forgets the days before the last
    /// one. Returns after the data is durable what they have spent then in all: other gateways may have noted more.
    async fn spend(&self, day: u64, spent: Vec<Spent>) -> Result<Vec<Spent>, StoreError>;
}
