//! What is told of tables. Pure.

use serde::Serialize;

/// How a collection's table stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Its rows.
    pub(crate) chunks: usize,
    /// Those that an index of words or of vectors does not cover.
    pub(crate) unindexed: usize,
    /// Bytes of its newest version, as far as they are known.
    pub(crate) bytes: u64,
    /// Whether small files are to be merged.
    pub(crate) is_scattered: bool,
    /// The version that was looked at.
    pub(crate) version: u64,
}

impl Look {
    /// Whether it has fewer chunks than it should have.
    pub(crate) fn lacks(&self, should: u64) -> bool {
        u64::try_from(self.chunks).is_ok_and(|chunks| chunks < should)
    }

    /// Whether it needs to be brought up to date.
    pub(crate) fn is_due(&self) -> bool {
        self.unindexed > 0 || self.is_scattered
    }
}

/// What was made of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// The collection.
    pub collection: String,
    /// Its chunks.
    pub chunks: usize,
    /// Its files before and after.
    pub files: (usize, usize),
    /// Older versions that are gone.
    pub versions: u64,
    /// Bytes that are free again.
    pub bytes: u64,
}
