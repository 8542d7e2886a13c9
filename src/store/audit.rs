//! What was done by whom: rows that are only ever added, and leave by their age.

use async_trait::async_trait;

use super::StoreError;
use crate::chat::Timestamp;

/// The most entries of one page.
pub const MAX_AUDIT_PAGE: usize = 500;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// The tenant of who did it.
    pub tenant: String,
    /// Who did it.
    pub user: String,
    /// What: a method and a route, or a command.
    pub action: String,
    /// To what: the path below `/api/v1`, or what a command was given.
    pub target: String,
    /// From where; nothing when it was done on the machine itself.
    pub address: Option<String>,
}

/// What was done, as it survives. Nothing in it can be changed.
#[async_trait]
pub trait AuditStore: Send + Sync + std::fmt::Debug + 'static {
    /// Adds an entry, and lets those go that are older by more than so many `days`.
    async fn note(&self, entry: AuditEntry, days: u32) -> Result<(), StoreError>;

    /// The newest entries of a tenant, newest first, each with its number; those before the number `before`.
    async fn audit(
        &self,
        tenant: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError>;
}
