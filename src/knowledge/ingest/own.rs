//! Documents that are handed in where they are kept.

use std::sync::Arc;

use super::{
    Handed, IngestError, Intake, Receipt,
    intake::{WORK_GONE, work_outcome},
};
use crate::{
    chat::JobId,
    knowledge::{
        Collection,
        extract::promised,
        jobs::{Documents, DocumentsError, Submission},
    },
    store::documents::{Accepted, DocumentFilter, JobRecord, MAX_COLLECTIONS, Target},
};

/// The documents of this process, and a collection of them.
#[derive(Debug)]
pub struct Own {
    documents: Arc<Documents>,
    collection: Collection,
}

impl Own {
    /// Documents of a collection; [`Documents::run`] has to work on them.
    #[must_use]
    pub fn new(documents: Arc<Documents>, collection: Collection) -> Self {
        Self { documents, collection }
    }
}

impl Intake for Own {
    async fn hand_in(&self, handed: Handed) -> Result<Receipt, IngestError> {
        if handed.is_empty() {
            return Ok(if self.remove(&handed.key).await? { Receipt::Removed } else { Receipt::Nothing });
        }
        let Handed { key, uri, name, bytes } = handed;
        let media_type = match promised(&name, &bytes) {
            Ok(kind) => kind.media_type().to_owned(),
            Err(error) => return Ok(Receipt::Refused(error.to_string())),
        };
        let target = Target::Key { collection: self.collection.as_str().to_owned(), key };
        let submission =
            Submission { target, name, media_type, title: None, uri: Some(uri), metadata: None, request: None };
        let refused = |reason: String| Ok(Receipt::Refused(reason));
        match self.documents.accept_bytes(self.collection.tenant(), &bytes, submission).await? {
            Accepted::Queued { document, job, .. } | Accepted::Joined(document, job) => {
                Ok(Receipt::Queued { job: job.id, is_new: document.newest.version == 1 })
            }
            Accepted::Unchanged { .. } => Ok(Receipt::Unchanged),
            Accepted::Deleting => refused("the collection is being deleted".to_owned()),
            Accepted::TooManyDocuments => refused("there are as many documents as there may be".to_owned()),
            Accepted::TooManyCollections => refused(format!("there are {MAX_COLLECTIONS} collections already")),
            Accepted::Conflict | Accepted::NotFound => refused("it is in use".to_owned()),
        }
    }

    async fn ended(&self, job: &JobId) -> Result<Result<usize, String>, IngestError> {
        let gone = || Err(WORK_GONE.to_owned());
        let Some(mut watched) = self.documents.watch(self.collection.tenant(), job).await? else { return Ok(gone()) };
        let ended = watched.wait_for(|job| job.state.has_ended()).await;
        Ok(ended.ok().and_then(|job| told(&job)).unwrap_or_else(gone))
    }

    async fn remove(&self, key: &str) -> Result<bool, IngestError> {
        let filter = DocumentFilter {
            collection: Some(self.collection.as_str().to_owned()),
            key: Some(key.to_owned()),
            ..DocumentFilter::default()
        };
        let tenant = self.collection.tenant();
        let page = self.documents.store().documents(tenant, filter, None, 1).await.map_err(DocumentsError::from)?;
        let Some(found) = page.and_then(|page| page.items.into_iter().next()) else { return Ok(false) };
        Ok(self.documents.delete(tenant, &found.id, false).await?.is_some())
    }
}

fn told(job: &JobRecord) -> Option<Result<usize, String>> {
    let chunks = usize::try_from(job.progress.total).unwrap_or(usize::MAX);
    work_outcome(job.state, chunks, job.fault.as_ref().map(|fault| fault.detail.as_str()))
}
