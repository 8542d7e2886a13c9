//! Collections as they are stored: whose they are, and who may read them besides.

use super::tenant::Tenant;
use crate::chat::Timestamp;

/// The collection that every tenant has.
pub const DEFAULT_COLLECTION: &str = "default";
/// The most collections of a tenant, the one that every tenant has not counted.
pub const MAX_COLLECTIONS: usize = 100;
/// The most tenants with whom a collection is shared.
pub const MAX_READERS: usize = 100;
/// The most collections of others that a tenant is told of.
pub const MAX_SHARED: usize = 100;

/// A collection as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRecord {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// Its documents.
    pub documents: u64,
    /// Those of them that are waiting or being worked on.
    pub pending: u64,
    /// Those of them whose newest version could not be indexed.
    pub failed: u64,
    /// Chunks of those of them that answer, and are not being worked on.
    pub chunks: u64,
    /// Who may read it besides, by name.
    pub readers: Vec<Tenant>,
}

/// A collection as those see it with whom it is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRecord {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name.
    pub name: String,
    /// Its documents of which a version answers.
    pub documents: u64,
}

/// What became of a collection that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is there now.
    New,
    /// It was there already.
    Exists,
    /// One of this name is being deleted.
    Deleting,
    /// The tenant has [`MAX_COLLECTIONS`].
    TooMany,
}

/// A collection: whose it is, and its name.
pub type Place = (Tenant, String);
