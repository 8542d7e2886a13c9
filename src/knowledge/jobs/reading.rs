//! What callers look at: work as it goes on, texts, passages, bytes.

use std::io;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use super::{Documents, DocumentsError};
use crate::{
    chat::{JobId, Timestamp},
    knowledge::{Collection, Passage, extract::MAX_TEXT_BYTES},
    store::documents::{DocumentRecord, DocumentState, JobRecord, Tenant, VersionRecord, text_name},
};

impl Documents {
    /// Work as it is now, and as it goes on; `None` when there is none such.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn watch(
        &self,
        tenant: &Tenant,
        id: &JobId,
    ) -> Result<Option<watch::Receiver<JobRecord>>, DocumentsError> {
        let Some(job) = self.store.job(tenant, id).await? else { return Ok(None) };
        let watched = self.board.watch(job);
        // It may have ended before somebody watched.
        if let Some(job) = self.store.job(tenant, id).await? {
            self.board.publish(&job);
        }
        Ok(Some(watched))
    }

    /// Work as it is now.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn job(&self, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, DocumentsError> {
        let stored = self.store.job(tenant, id).await?;
        Ok(stored.map(|job| self.board.newest(job)))
    }

    /// The text of the version that answers; `None` when none does, or when it is not there: then it is read again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn text(&self, document: &DocumentRecord) -> Result<Option<String>, DocumentsError> {
        let Some(version) = document.indexed_version else { return Ok(None) };
        let name = text_name(&document.id, version);
        let Some(text) = self.blobs.read(&document.tenant, &name, MAX_TEXT_BYTES as u64).await? else {
            if document.state == DocumentState::Ready {
                tracing::warn!(document = %document.id, "a text is not there, and is read again");
                self.store.reindex(&document.id, Timestamp::now()).await?;
                self.indexing.notify_one();
            }
            return Ok(None);
        };
        Ok(Some(String::from_utf8(text).map_err(io::Error::other)?))
    }

    /// One chunk of the version that answers.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn passage(&self, document: &DocumentRecord, number: u32) -> Result<Option<Passage>, DocumentsError> {
        let collection = Collection::of(document.tenant.clone(), &document.collection)?;
        let found = self.knowledge.index().passage(&collection, document.id.as_str().to_owned(), number).await?;
        Ok(found.filter(|_| self.knowledge.tombstones().is_living(&collection, document.id.as_str())))
    }

    /// How many chunks a collection has, and how many of them an index does not cover yet.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn counts(&self, collection: &Collection) -> Result<(usize, usize), DocumentsError> {
        Ok(self.knowledge.index().counts(collection).await?)
    }

    /// The bytes of a version of a document, in pieces; `None` when they are gone.
    ///
    /// # Errors
    /// When they cannot be read, also in the middle.
    pub async fn original(
        &self,
        document: &DocumentRecord,
        version: &VersionRecord,
    ) -> Result<Option<BoxStream<'static, io::Result<Bytes>>>, DocumentsError> {
        Ok(self.blobs.open(&document.tenant, &version.file).await?)
    }
}
