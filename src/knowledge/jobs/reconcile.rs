//! The index compared with what should be in it: what it has too much goes, what it lacks is indexed again.

use std::collections::{BTreeSet, HashMap};

use super::{Documents, DocumentsError, stages::OURS};
use crate::{
    chat::{DocumentId, Timestamp},
    knowledge::Collection,
    store::{
        MAX_PAGE,
        documents::{Known, Tenant},
    },
};

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Documents of the index that should not be there; they are gone.
    pub orphans: usize,
    /// Documents that should answer and do not, or in another version; they are indexed again.
    pub missing: usize,
}

impl Documents {
    /// Compares everything, document by document. Documents that were ingested by path are none of its business. To be
    /// called while nobody works.
    ///
    /// # Errors
    /// When the store or the index does not tell.
    pub async fn reconcile(&self) -> Result<Reconciled, DocumentsError> {
        let mut expected: HashMap<(Tenant, String), HashMap<DocumentId, Option<String>>> = HashMap::new();
        let mut after = None;
        loop {
            let page = self.store.expected(after.as_ref(), MAX_PAGE).await?;
            after = page.last().map(|known| known.document.clone());
            let is_last = page.len() < MAX_PAGE;
            for Known { tenant, collection, document, doc_hash } in page {
                expected.entry((tenant, collection)).or_default().insert(document, doc_hash);
            }
            if is_last {
                break;
            }
        }
        let mut all: BTreeSet<(Tenant, String)> = expected.keys().cloned().collect();
        for tenant in self.store.tenants().await? {
            let own = self.store.collections(&tenant).await?.into_iter().filter(|own| !own.is_deleting);
            all.extend(own.map(|own| (tenant.clone(), own.name)));
        }
        let collections =
            all.iter().map(|(tenant, name)| Collection::of(tenant.clone(), name)).collect::<Result<_, _>>()?;
        let dropped = self.knowledge.index().keep_only(collections).await?;
        if dropped > 0 {
            tracing::info!(tables = dropped, "tables that nobody reads any more are gone");
        }
        let mut found = Reconciled::default();
        for place in all {
            let should = expected.remove(&place).unwrap_or_default();
            let (tenant, name) = place;
            let one = self.reconcile_one(&Collection::of(tenant, &name)?, should).await?;
            found.orphans += one.orphans;
            found.missing += one.missing;
        }
        Ok(found)
    }

    async fn reconcile_one(
        &self,
        collection: &Collection,
        should: HashMap<DocumentId, Option<String>>,
    ) -> Result<Reconciled, DocumentsError> {
        let has = self.knowledge.index().documents(collection).await?;
        // Of a document that never answered there may be what a process wrote that could not say so any more.
        let answers = |id: &str| DocumentId::parse(id).is_ok_and(|id| should.get(&id).is_some_and(Option::is_some));
        let ours = has.iter().filter(|(_, hash)| hash.starts_with(OURS));
        let orphans: Vec<String> = ours.map(|(id, _)| id.clone()).filter(|id| !answers(id)).collect();
        let mut found = Reconciled { orphans: orphans.len(), missing: 0 };
        self.knowledge.index().remove(collection, orphans).await?;
        for (document, hash) in &should {
            let Some(hash) = hash else { continue };
            if has.get(document.as_str()) != Some(hash) {
                self.store.reindex(document, Timestamp::now()).await?;
                found.missing += 1;
            }
        }
        Ok(found)
    }
}
