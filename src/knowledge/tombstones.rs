//! What was deleted: no search finds it from the moment on that it is noted here, whatever the index still has of it, and
//! nothing writes it into the index any more. The store has the list that survives; this is its copy in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::knowledge::{Collection, Passage};

/// A search that began before a document was removed from the index ends within this.
const REST: Duration = Duration::from_secs(60);

/// Deleted documents and collections.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    graves: Mutex<Graves>,
    /// How often something was deleted: part of what caches go by.
    deletions: AtomicU64,
}

#[derive(Debug, Default)]
struct Graves {
    documents: HashMap<String, Collection>,
    collections: HashSet<Collection>,
    /// Documents that are not in the index any more, and since when.
    resting: VecDeque<(Instant, String)>,
}

impl Tombstones {
    /// A document is deleted.
    pub(super) fn bury(&self, collection: Collection, document: String) {
        self.graves.lock().documents.insert(document, collection);
        self.deletions.fetch_add(1, Ordering::SeqCst);
    }

    /// A collection is deleted.
    pub(super) fn close(&self, collection: Collection) {
        self.graves.lock().collections.insert(collection);
        self.deletions.fetch_add(1, Ordering::SeqCst);
    }

    /// The index is made anew, and its versions are counted from the beginning: what was found in the old one is not to be
    /// taken for what is in the new one.
    pub(super) fn renew(&self) {
        self.deletions.fetch_add(1, Ordering::SeqCst);
    }

    /// A document is not in the index any more. Its id is never used again, so it is forgotten after a while.
    pub(super) fn rest(&self, document: String, now: Instant) {
        let mut graves = self.graves.lock();
        while let Some((since, _)) = graves.resting.front()
            && now.duration_since(*since) >= REST
        {
            if let Some((_, document)) = graves.resting.pop_front() {
                graves.documents.remove(&document);
            }
        }
        graves.resting.push_back((now, document));
    }

    /// A collection is not in the index any more: another one may have its name.
    pub(super) fn open(&self, collection: &Collection) {
        self.graves.lock().collections.remove(collection);
        self.deletions.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether a document may be written or found.
    pub(super) fn is_living(&self, collection: &Collection, document: &str) -> bool {
        let graves = self.graves.lock();
        !graves.documents.contains_key(document) && !graves.collections.contains(collection)
    }

    /// Whether a collection is deleted.
    pub(super) fn is_closed(&self, collection: &Collection) -> bool {
        self.graves.lock().collections.contains(collection)
    }

    /// The deleted documents of a collection.
    pub(super) fn of(&self, collection: &Collection) -> Vec<String> {
        let graves = self.graves.lock();
        graves.documents.iter().filter(|(_, own)| *own == collection).map(|(document, _)| document.clone()).collect()
    }

    /// Those passages whose documents are not deleted.
    pub(super) fn living(&self, collection: &Collection, passages: &[Passage]) -> Vec<Passage> {
        let graves = self.graves.lock();
        if graves.collections.contains(collection) {
            return Vec::new();
        }
        passages.iter().filter(|passage| !graves.documents.contains_key(&passage.document)).cloned().collect()
    }

    /// Changes with every deletion.
    pub(super) fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::documents::Tenant;

    #[test]
    fn what_is_buried_stays_so_and_is_forgotten_only_when_no_search_can_have_it() {
        let (stones, own) = (Tombstones::default(), Collection::default());
        let other = Collection::of(Tenant::new("other"), "default").expect("valid");
        stones.bury(own.clone(), "a".to_owned());
        stones.bury(own.clone(), "b".to_owned());
        assert_eq!((stones.of(&own).len(), stones.of(&other).len(), stones.deletions()), (2, 0, 2));
        let now = Instant::now();
        stones.rest("a".to_owned(), now);
        assert!(!stones.is_living(&own, "a"));
        stones.rest("b".to_owned(), now + REST);
        assert!(stones.is_living(&own, "a") && !stones.is_living(&own, "b"));
    }

    #[test]
    fn a_closed_collection_has_nothing() {
        let (stones, own) = (Tombstones::default(), Collection::default());
        stones.close(own.clone());
        assert!(stones.is_closed(&own) && !stones.is_living(&own, "a"));
        stones.open(&own);
        assert!(stones.is_living(&own, "a"));
        assert_eq!(stones.deletions(), 2, "caches notice both");
    }
}
