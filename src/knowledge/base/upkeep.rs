//! What keeps the index in shape, as far as it is the whole knowledge base's.

use super::Knowledge;
use crate::knowledge::{Collection, KnowledgeError, index::Compacted};

impl Knowledge {
    /// Merges the files of every collection, without what was removed, renews the indices and drops older versions:
    /// what was deleted is not on the disk any more. Takes seconds, so that searches that began before can end; works
    /// beside a gateway that uses the same index.
    ///
    /// # Errors
    /// When the index cannot be read or written; what was done before stays.
    pub async fn compact(&self) -> Result<Vec<Compacted>, KnowledgeError> {
        self.index.compact().await
    }
    /// Takes away what the index has of a collection, however damaged it is, so that a gateway makes it anew from the
    /// documents: one that runs within a minute, also when this is another process.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn rebuild(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        self.index.discard(collection).await
    }
}
