//! What is told of the knowledge base. Pure.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{chat::Timestamp, store::documents::Census};

/// How the knowledge base was when it was looked at last.
#[derive(Debug, Clone)]
pub struct Health {
    /// Documents and work on them.
    pub census: Census,
    /// The indexes of all collections together.
    pub index: IndexHealth,
}

/// How the indexes of all collections are.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IndexHealth {
    /// Collections that were looked at.
    pub collections: usize,
    /// Those of them that cannot be opened, read or searched, or are not there.
    pub failed: usize,
    /// Those of them that cannot be written to.
    pub unwritable: usize,
    /// Their chunks.
    pub chunks: usize,
    /// Chunks that an index of words or of vectors does not cover.
    pub unindexed: usize,
    /// Bytes of the newest versions.
    pub bytes: u64,
    /// When that was.
    pub upkeep_at: Timestamp,
}
