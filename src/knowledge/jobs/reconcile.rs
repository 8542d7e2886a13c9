//! The index is brought to what it should have: what it has too much goes, what it lacks is indexed again, and so is what
//! has lost its text.

use std::collections::BTreeSet;

use super::{
    Documents, DocumentsError,
    compare::{Should, compare, expected},
    stages::version_of,
    term::Term,
};
use crate::{
    chat::{DocumentId, Timestamp},
    knowledge::{Collection, index::Trouble},
    store::documents::{Place, text_name},
};

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reconciled {
    /// Documents of the index that should not be there; they are gone.
    pub(super) orphans: usize,
    /// Documents that should answer and do not, or in another version; they are indexed again.
    pub(super) missing: usize,
    /// Documents whose text is gone; it is read again.
    pub(super) textless: usize,
    /// Collections whose index does not tell; they are compared when it does.
    pub(super) unread: usize,
}

impl Documents {
    /// Compares everything, document by document. To be called while nobody works.
    ///
    /// # Errors
    /// When the store does not tell.
    pub(super) async fn reconcile(&self, term: &Term) -> Result<Reconciled, DocumentsError> {
        let mut expected = expected(&*self.store, None).await?;
        let mut all: BTreeSet<Place> = expected.keys().cloned().collect();
        for tenant in self.store.tenants().await? {
            let own = self.store.collections(&tenant).await?.into_iter().filter(|own| !own.is_deleting);
            all.extend(own.map(|own| (tenant.clone(), own.name)));
        }
        let collections =
            all.iter().map(|(tenant, name)| Collection::of(tenant.clone(), name)).collect::<Result<_, _>>()?;
        // Whoever works by now may have made others.
        if !term.is_certain() {
            return Ok(Reconciled::default());
        }
        match self.knowledge.index().keep_only(collections).await {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(tables = dropped, "tables that nobody reads any more are gone"),
            Err(error) => tracing::warn!(%error, "tables that nobody reads any more are left until the next start"),
        }
        let mut found = Reconciled::default();
        for place in all.into_iter().take_while(|_| term.is_certain()) {
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

    /// Indexes again what one collection lacks, also while there is work on it, and removes what is of documents that are not
    /// there. What else it has too much may be what somebody has just written, and goes at the next start.
    pub(super) async fn complete(&self, collection: &Collection) -> Result<usize, DocumentsError> {
        let place = collection.place();
        // First the index: what is in it by now had its row before.
        let has = self.knowledge.index().documents(collection).await?;
        let should = expected(&*self.store, Some(&place)).await?.remove(&place).unwrap_or_default();
        let found = compare(&should, &has);
        let is_gone = |id: &String| !DocumentId::parse(id).is_ok_and(|id| should.contains_key(&id));
        self.knowledge.index().remove(collection, found.orphans.into_iter().filter(is_gone).collect()).await?;
        for document in found.missing.iter().chain(&found.stale) {
            self.store.reindex(document, Timestamp::now()).await?;
        }
        self.indexing.notify_one();
        Ok(found.missing.len() + found.stale.len())
    }
}
