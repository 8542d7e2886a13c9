//! How the knowledge base is: looked at every few seconds, told to whoever asks, and mended where that can be done.

use std::{collections::HashSet, time::Duration};

use metrics::gauge;
use tokio::time::Instant;

use super::{
    Documents, DocumentsError,
    report::{Health, IndexHealth},
    term::Term,
};
use crate::{
    chat::Timestamp,
    knowledge::{
        Collection, DEFAULT_COLLECTION,
        index::{Look, Trouble},
    },
    store::documents::{Census, Tenant},
    telemetry::metrics::{
        KNOWLEDGE_DOCUMENTS, KNOWLEDGE_JOBS, RAG_BYTES, RAG_CHUNKS, RAG_FAILED, RAG_UNINDEXED, RAG_UPKEEP,
    },
};

/// How often it is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// How long an index may be away before it is made anew: a folder may come back.
const AWAY: Duration = Duration::from_secs(30);
/// After how long what an index lacks is indexed once more, when that did not help.
const MEND_AGAIN: Duration = Duration::from_secs(600);

impl Documents {
    /// Nobody has looked yet: until then it counts from here, so that a first look that does not come is noticed.
    pub(super) fn unseen() {
        looked(Timestamp::now());
    }

    /// How it was when it was looked at last; `None` before the first time.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.health.lock().clone()
    }

    /// Looks at every collection, and whoever works sees to it that what is due is done.
    pub(super) async fn look_over(&self, term: Option<&Term>) -> Result<(), DocumentsError> {
        let census = self.store.census().await?;
        let (mut collections, mut sum, mut seen) = (0, Look::default(), HashSet::new());
        // The one that everybody has need not be stored.
        let default = Tenant::new(Tenant::DEFAULT);
        let mut is_default_known = false;
        for tenant in self.store.tenants().await? {
            for own in self.store.collections(&tenant).await?.into_iter().filter(|own| !own.is_deleting) {
                is_default_known |= tenant == default && own.name == DEFAULT_COLLECTION;
                let collection = Collection::of(tenant.clone(), &own.name)?;
                seen.insert(collection.clone());
                let look = self.look_at(&collection, own.chunks, own.pending == 0, term).await?;
                collections += 1;
                add(&mut sum, look);
            }
        }
        if !is_default_known {
            let collection = Collection::of(default, DEFAULT_COLLECTION)?;
            seen.insert(collection.clone());
            let look = self.look_at(&collection, 0, true, term).await?;
            collections += 1;
            add(&mut sum, look);
        }
        let troubles = self.knowledge.index().troubles();
        // Of collections that are gone nothing is remembered.
        self.looked_at.lock().retain(|known, _| seen.contains(known));
        let index = IndexHealth {
            collections,
            failed: troubles.count(&[Trouble::Unreadable, Trouble::Unsearchable, Trouble::Gone]),
            unwritable: troubles.count(&[Trouble::Unwritable]),
            chunks: sum.chunks,
            unindexed: sum.unindexed,
            bytes: sum.bytes,
            upkeep_at: Timestamp::now(),
        };
        measure(&census, &index);
        *self.health.lock() = Some(Health { census, index });
        Ok(())
    }

    /// What cannot be looked at counts as nothing, and is noted. What it lacks of the chunks that it should have is indexed
    /// again by whoever works: what was taken away, or is of an older time than the rows.
    async fn look_at(
        &self,
        collection: &Collection,
        should: u64,
        is_at_rest: bool,
        term: Option<&Term>,
    ) -> Result<Look, DocumentsError> {
        let troubles = self.knowledge.index().troubles();
        let Ok(look) = self.knowledge.index().look(collection).await else { return Ok(Look::default()) };
        let look = look.unwrap_or_default();
        let lacks = look.lacks(should) && look.lacks(self.should_have(collection).await?);
        if lacks && look.chunks == 0 {
            troubles.note(collection, Trouble::Gone, "it was there before");
        } else {
            troubles.clear(collection, Trouble::Gone);
        }
        let last = self.looked_at.lock().insert(collection.clone(), look.version);
        if last.is_some_and(|last| look.version < last) {
            // It was made anew.
            self.knowledge.tombstones().renew(collection);
            self.knowledge.index().forget(collection);
        }
        if term.is_none() {
            return Ok(look);
        }
        // Somebody who worked before and was held up may have written last.
        let is_suspect = self.store.has_others() && last != Some(look.version);
        if self.uncompared.lock().remove(collection) || is_suspect {
            self.mend(collection).await?;
        }
        let may_come_back = troubles.since(collection, Trouble::Gone).is_some_and(|since| since.elapsed() < AWAY);
        if lacks && !may_come_back && self.may_mend(collection) {
            self.mend(collection).await?;
        }
        if !lacks && is_at_rest {
            self.mended.lock().remove(collection);
        }
        if look.is_due() {
            self.unrefreshed.lock().insert(collection.clone());
        }
        Ok(look)
    }

    /// The chunks that a collection should have by now: something may have been deleted while it was looked at.
    async fn should_have(&self, collection: &Collection) -> Result<u64, DocumentsError> {
        let own = self.store.collections(collection.tenant()).await?;
        Ok(own.iter().find(|own| own.name == collection.as_str()).map_or(0, |own| own.chunks))
    }

    /// Once, and again after a while as long as it did not help: what cannot be indexed again is lacked for good.
    fn may_mend(&self, collection: &Collection) -> bool {
        let mut mended = self.mended.lock();
        mended.retain(|_, at| at.elapsed() < MEND_AGAIN);
        let is_due = !mended.contains_key(collection);
        mended.entry(collection.clone()).or_insert_with(Instant::now);
        is_due
    }

    async fn mend(&self, collection: &Collection) -> Result<(), DocumentsError> {
        match self.complete(collection).await {
            Ok(0) => {}
            Ok(documents) => {
                self.knowledge.tombstones().renew(collection);
                tracing::warn!(%collection, documents, "documents are not in the index: they are indexed again");
            }
            Err(DocumentsError::Knowledge(error)) => {
                tracing::warn!(%error, %collection, "the index cannot be compared with what it should have");
                self.uncompared.lock().insert(collection.clone());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn add(sum: &mut Look, one: Look) {
    sum.chunks += one.chunks;
    sum.unindexed += one.unindexed;
    sum.bytes += one.bytes;
}

#[expect(clippy::cast_precision_loss, reason = "gauges")]
fn measure(census: &Census, index: &IndexHealth) {
    for (state, count) in &census.documents {
        gauge!(KNOWLEDGE_DOCUMENTS, "state" => state.as_str()).set(*count as f64);
    }
    for (state, count) in [("queued", census.queued), ("running", census.running)] {
        gauge!(KNOWLEDGE_JOBS, "state" => state).set(count as f64);
    }
    gauge!(RAG_UNINDEXED).set(index.unindexed as f64);
    gauge!(RAG_CHUNKS).set(index.chunks as f64);
    gauge!(RAG_BYTES).set(index.bytes as f64);
    gauge!(RAG_FAILED).set((index.failed + index.unwritable) as f64);
    looked(index.upkeep_at);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn looked(at: Timestamp) {
    gauge!(RAG_UPKEEP).set(at.0 as f64 / 1000.0);
}
