//! What was deleted goes: out of the index, out of the store, and from the disk. So do the files of versions that left.

use super::{Documents, term::Term};
use crate::{
    chat::Timestamp,
    knowledge::Collection,
    store::documents::{Fault, JobKind, JobRecord, JobState, Outcome, Tenant},
};
use tokio::time::Instant;

/// How long a removal that did not work is left alone, in seconds. It is tried until it works.
const AGAIN_S: u64 = 5;

impl Documents {
    /// Takes it out of the index. Nothing writes it any more: work on it has ended before this is taken on.
    pub(super) async fn remove(&self, job: &JobRecord, term: &Term) -> Outcome {
        // A collection of this name may have been made anew by who works by now.
        if !term.is_certain() {
            return Outcome::Released;
        }
        let removed = async {
            let collection = Collection::of(job.tenant.clone(), &job.collection)?;
            match &job.document {
                Some(document) => self.knowledge.index().remove(&collection, vec![document.as_str().to_owned()]).await,
                None => self.knowledge.index().discard(&collection).await,
            }
        };
        if let Err(error) = removed.await {
            tracing::warn!(job = %job.id, %error, "what was deleted is hidden, and cannot be removed yet");
            let fault = Fault::new("index_unavailable", "the index is not available");
            return Outcome::Again(fault, Timestamp::now().plus_seconds(AGAIN_S));
        }
        let files = match self.store.files(job).await {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(job = %job.id, %error, "the files of what was deleted go later");
                Vec::new()
            }
        };
        self.forsaken.lock().insert(job.id.clone(), files);
        Outcome::Removed
    }

    /// What follows when the store knows how work ended.
    pub(super) async fn after(&self, job: &JobRecord) {
        if job.kind == JobKind::Index || job.state != JobState::Done {
            return;
        }
        let files = self.forsaken.lock().remove(&job.id).unwrap_or_default();
        let unused = self.store.unused(&job.tenant, files);
        if let Err(error) = self.blobs.remove(&job.tenant, unused).await {
            tracing::warn!(job = %job.id, %error, "the files of what was deleted go later");
        }
        let Ok(collection) = Collection::of(job.tenant.clone(), &job.collection) else { return };
        match &job.document {
            Some(document) => {
                self.knowledge.tombstones().rest(document.as_str().to_owned(), Instant::now());
                self.unrefreshed.lock().insert(collection);
            }
            None => self.knowledge.tombstones().open(&collection),
        }
    }

    /// The files of versions that have left go with them, and what came and was not taken; not while the new one is being put
    /// in its place.
    pub(super) async fn let_go(&self, tenant: &Tenant, files: Vec<String>) {
        if files.is_empty() {
            return;
        }
        if let Err(error) = self.blobs.remove(tenant, self.store.unused(tenant, files)).await {
            tracing::warn!(%error, "files that nothing refers to any more go later");
        }
    }
}
