//! What was done by whom: rows that are only ever added, and leave by their age.

use async_trait::async_trait;

use super::StoreError;
use crate::chat::Timestamp;

/// The most entries of one page.
pub const MAX_AUDIT_PAGE: usize = 500;
/// The most entries that are looked through for one page.
pub const MAX_AUDIT_LOOKED_THROUGH: u32 = 20_000;

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

/// The words that an entry has to have, all of them, anywhere in who, what, to what and where. Case does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditWords(Vec<String>);

impl AuditWords {
    /// The words of a text; every entry has those of an empty one.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.to_lowercase().split_whitespace().map(str::to_owned).collect())
    }

    /// Whether an entry has them.
    #[must_use]
    pub fn are_in(&self, entry: &AuditEntry) -> bool {
        let AuditEntry { user, action, target, address, .. } = entry;
        let text = [user, action, target, address.as_deref().unwrap_or_default()].join(" ").to_lowercase();
        self.0.iter().all(|word| text.contains(word))
    }
}

/// Some entries, newest first, each with its number.
#[derive(Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries. Fewer than asked for where they were not found among as many as are looked through for a page.
    pub entries: Vec<(u64, AuditEntry)>,
    /// Where to go on: before this number there are entries that were not looked at.
    pub next: Option<u64>,
}

/// What was done, as it survives. Nothing in it can be changed.
#[async_trait]
pub trait AuditStore: Send + Sync + std::fmt::Debug + 'static {
    /// Adds an entry, and lets those go that are older by more than so many `days`.
    async fn note(&self, entry: AuditEntry, days: u32) -> Result<(), StoreError>;

    /// The newest entries of a tenant that have these words, of those before the number `before`.
    async fn audit(
        &self,
        tenant: &str,
        words: AuditWords,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_anywhere_and_in_any_case() {
        let entry = AuditEntry {
            at: Timestamp(0),
            tenant: "north".to_owned(),
            user: "Änne".to_owned(),
            action: "DELETE /documents/{id}".to_owned(),
            target: "/documents/d_1".to_owned(),
            address: Some("192.0.2.1".to_owned()),
        };
        for (text, found) in [
            ("", true),
            ("  ", true),
            ("änne delete D_1 192.0.2", true),
            ("änne d_2", false),
            ("north", false), // Whose it is, is asked for in another way.
        ] {
            assert_eq!(AuditWords::of(text).are_in(&entry), found, "{text:?}");
        }
        assert!(!AuditWords::of("192").are_in(&AuditEntry { address: None, ..entry }));
    }
}
