//! The index is brought to what it should have: what it has too much goes, what it lacks is indexed again, and so is what
//! has lost its text.

use std::collections::BTreeSet;

use super::{
    Documents, DocumentsError,
    compare::{Should, compare, expected},
    stages::version_of,
};
use crate::{
    chat::Timestamp,
    knowledge::{Collection, index::Trouble},
    store::documents::{Place, text_name},
};

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Documents of the index that should not be there; they are gone.
    pub orphans: usize,
    /// Documents that should answer and do not, or in another version; they are indexed again.
    pub missing: usize,
    /// Documents whose text is not on the disk; it is read again.
    pub textless: usize,
    /// Collections whose index does not tell; they are compared when it does.
    pub unread: usize,
}

impl Documents {
    /// Compares everything, document by document. To be called while nobody works.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn reconcile(&self) -> Result<Reconciled, DocumentsError> {
        let mut expected = expected(&*self.store, None).await?;
        let mut all: BTreeSet<Place> = expected.keys().cloned().collect();
        for tenant in self.store.tenants().await? {
            let own = self.store.collections(&tenant).await?.into_iter().filter(|own| !own.is_deleting);
            all.extend(own.map(|own| (tenant.clone(), own.name)));
        }
        let collections =
            all.iter().map(|(tenant, name)| Collection::of(tenant.clone(), name)).collect::<Result<_, _>>()?;
        match self.knowledge.index().keep_only(collections).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(tables = dropped, "tables that nobody reads any more are gone"),
            Err(error) => tracing::warn!(%error, "tables that nobody reads any more are left until the next start"),
        }
        let mut found = Reconciled::default();
        for place in all {
            let should = expected.remove(&place).unwrap_or_default();
            let collection = Collection::of(place.0, &place.1)?;
            match self.reconcile_one(&collection, &should).await {
                Ok(one) => {
                    found.orphans += one.orphans;
                    found.missing += one.missing;
                    found.textless += one.textless;
                }
                Err(DocumentsError::Knowledge(error)) => {
                    let told = Err::<(), _>(error);
                    self.knowledge.index().troubles().judge(&collection, Trouble::Unreadable, &told);
                    self.uncompared.lock().insert(collection);
                    found.unread += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn reconcile_one(&self, collection: &Collection, should: &Should) -> Result<Reconciled, DocumentsError> {
        let has = self.knowledge.index().documents(collection).await?;
        let found = compare(should, &has);
        let orphans = found.orphans.len();
        self.knowledge.index().remove(collection, found.orphans).await?;
        let missing = found.missing.len() + found.stale.len();
        for document in found.missing.iter().chain(&found.stale) {
            self.store.reindex(document, Timestamp::now()).await?;
        }
        let textless = self.read_again(collection, should).await?;
        Ok(Reconciled { orphans, missing, textless, unread: 0 })
    }

    /// A text is made again with the work on its document, of which nothing is new but the text.
    async fn read_again(&self, collection: &Collection, should: &Should) -> Result<usize, DocumentsError> {
        let texts = self.blobs.texts(collection.tenant()).await?;
        let mut textless = 0;
        for (document, hash) in should {
            let Some(version) = hash.as_deref().and_then(version_of) else { continue };
            if !texts.contains(&text_name(document, version)) {
                self.store.reindex(document, Timestamp::now()).await?;
                textless += 1;
            }
        }
        Ok(textless)
    }

    /// Indexes again what one collection lacks, also while there is work on it: what it has too much may be what
    /// somebody has just written, and goes at the next start.
    pub(super) async fn complete(&self, collection: &Collection) -> Result<usize, DocumentsError> {
        let place = collection.place();
        let Some(should) = expected(&*self.store, Some(&place)).await?.remove(&place) else { return Ok(0) };
        let has = self.knowledge.index().documents(collection).await?;
        let found = compare(&should, &has);
        for document in found.missing.iter().chain(&found.stale) {
            self.store.reindex(document, Timestamp::now()).await?;
        }
        self.indexing.notify_one();
        Ok(found.missing.len() + found.stale.len())
    }
}
