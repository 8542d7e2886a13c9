//! What keeps the index in shape, as far as it is the whole knowledge base's.

use super::Knowledge;
use crate::{
    knowledge::{Collection, KnowledgeError, index::Compacted},
    store::documents::{Known, Place},
};

impl Knowledge {
    /// What the store has as deleted is not found from now on, whatever the index still has of it.
    ///
    /// # Errors
    /// When a collection has a name that cannot be one.
    pub fn hide(&self, (documents, collections): (Vec<Known>, Vec<Place>)) -> Result<(), KnowledgeError> {
        for Known { tenant, collection, document, .. } in documents {
            self.tombstones.bury(Collection::of(tenant, &collection)?, document.as_str().to_owned());
        }
        for (tenant, name) in collections {
            self.tombstones.close(Collection::of(tenant, &name)?);
        }
        Ok(())
    }

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
