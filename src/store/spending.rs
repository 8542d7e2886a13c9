//! What accounts have spent, apart from the sessions: who counts for several gateways need not keep their sessions.

use async_trait::async_trait;

use super::StoreError;

/// What an account has spent on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The account's name.
    pub account: String,
    /// Tokens.
    pub tokens: u64,
}

/// What accounts have spent that survives. Days are counted from 1970.
#[async_trait]
pub trait SpendingStore: Send + Sync + std::fmt::Debug + 'static {
    /// What was spent on `day`, of at most `limit` accounts.
    async fn spent(&self, day: u64, limit: usize) -> Result<Vec<Spent>, StoreError>;

    /// Notes what these accounts have spent on `day` in all, and forgets the days before the last one. Returns after the
    /// data is durable.
    async fn spend(&self, day: u64, spent: Vec<Spent>) -> Result<(), StoreError>;
}
