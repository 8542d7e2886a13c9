//! Documents and collections out: hidden at once, and removed in the background.

use std::time::Duration;

use tokio::time::timeout;

use super::{Documents, DocumentsError};
use crate::{
    chat::{DocumentId, Timestamp},
    knowledge::Collection,
    store::documents::{JobRecord, Tenant},
};

/// How long a deletion waits for the index before it is told to be under way.
const DELETION_PATIENCE: Duration = Duration::from_secs(2);

impl Documents {
    /// Deletes a document: nothing finds it from now on, and what is left of its bytes goes in its time, or at once when
    /// it is to be erased. `None` when there is none. The work that removes what is left of
    /// it is done, or still under way after two seconds.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete(
        &self,
        tenant: &Tenant,
        id: &DocumentId,
        erase: bool,
    ) -> Result<Option<JobRecord>, DocumentsError> {
        let deleted = self.store.delete_document(tenant, id, erase, Timestamp::now()).await?;
        let Some(deleted) = deleted else { return Ok(None) };
        let collection = Collection::of(tenant.clone(), &deleted.job.collection)?;
        self.knowledge.tombstones().bury(collection, id.as_str().to_owned());
        self.tell_to_end(tenant, &deleted.cancelled).await;
        self.removed_soon(deleted.job).await.map(Some)
    }

    /// Deletes a collection with all documents in it, in the same way.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn delete_collection(
        &self,
        tenant: &Tenant,
        collection: &Collection,
    ) -> Result<Option<JobRecord>, DocumentsError> {
        let deleted = self.store.delete_collection(tenant, collection.as_str(), Timestamp::now()).await?;
        let Some(deleted) = deleted else { return Ok(None) };
        self.knowledge.tombstones().close(collection.clone());
        self.tell_to_end(tenant, &deleted.cancelled).await;
        self.removed_soon(deleted.job).await.map(Some)
    }

    async fn removed_soon(&self, job: JobRecord) -> Result<JobRecord, DocumentsError> {
        let (tenant, id) = (job.tenant.clone(), job.id.clone());
        self.removing.notify_one();
        let Some(mut watched) = self.watch(&tenant, &id).await? else { return Ok(job) };
        let ended = watched.wait_for(|job| job.state.has_ended());
        let seen = timeout(DELETION_PATIENCE, ended).await.ok().and_then(Result::ok).map(|job| job.clone());
        Ok(seen.unwrap_or_else(|| watched.borrow().clone()))
    }
}
