//! What was deleted: no search finds it from the moment on that it is noted here, whatever the index still has of it, and
//! nothing writes it into the index any more. The store has the list that survives; this is its copy in memory.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::knowledge::{Collection, Passage};

/// A search that began before a document was removed from the index ends within this.
const REST: Duration = Duration::from_secs(60);
/// Collections whose deletions are counted apart. When there are more, all begin anew above what any of them had.
const MAX_COUNTED: usize = 10_000;

/// Deleted documents and collections.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    graves: Mutex<Graves>,
}

#[derive(Debug, Default)]
struct Graves {
    documents: HashMap<String, Collection>,
    collections: HashSet<Collection>,
    /// Documents that are not in the index any more, and since when.
    resting: VecDeque<(Instant, String)>,
    /// How often something was deleted from a collection: part of what caches go by, and of what its readers are told. So
    /// nobody learns from it what others delete.
    deletions: HashMap<Collection, u64>,
    /// The same of those that are not among them.
    deletions_of_others: u64,
}

impl Graves {
    fn count(&mut self, collection: Collection) {
        if self.deletions.len() >= MAX_COUNTED && !self.deletions.contains_key(&collection) {
            self.deletions_of_others = self.deletions.drain().map(|(_, count)| count).max().unwrap_or_default();
        }
        *self.deletions.entry(collection).or_insert(self.deletions_of_others) += 1;
    }
}

impl Tombstones {
    /// A document is deleted.
    pub(super) fn bury(&self, collection: Collection, document: String) {
        let mut graves = self.graves.lock();
        graves.documents.insert(document, collection.clone());
        graves.count(collection);
    }

    /// A collection is deleted.
    pub(super) fn close(&self, collection: Collection) {
        let mut graves = self.graves.lock();
        graves.collections.insert(collection.clone());
        graves.count(collection);
    }

    /// The index of a collection is made anew, and its versions are counted from the beginning: what was found in the old
    /// one is not to be taken for what is in the new one.
    pub(super) fn renew(&self, collection: &Collection) {
        self.graves.lock().count(collection.clone());
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
        let mut graves = self.graves.lock();
        graves.collections.remove(collection);
        graves.count(collection.clone());
    }

    /// What is deleted and may still be in the index.
    pub(super) fn graves(&self) -> (HashSet<String>, HashSet<Collection>) {
        let graves = self.graves.lock();
        let resting: HashSet<&str> = graves.resting.iter().map(|(_, document)| document.as_str()).collect();
        let documents = graves.documents.keys().filter(|document| !resting.contains(document.as_str())).cloned();
        (documents.collect(), graves.collections.clone())
    }

    /// Takes over what is deleted by all: what is new among it is buried, and what was in [`graves`](Self::graves) before it
    /// was asked for and is not among it is removed by now. The collections that are.
    pub(super) fn follow(
        &self,
        (documents, collections): (HashSet<String>, HashSet<Collection>),
        deleted: Vec<(String, Collection)>,
        closed: Vec<Collection>,
    ) -> Vec<Collection> {
        let now = Instant::now();
        let still: HashSet<&str> = deleted.iter().map(|(document, _)| document.as_str()).collect();
        for document in documents.iter().filter(|document| !still.contains(document.as_str())) {
            self.rest(document.clone(), now);
        }
        let removed: Vec<_> = collections.into_iter().filter(|known| !closed.contains(known)).collect();
        removed.iter().for_each(|collection| self.open(collection));
        for (document, collection) in deleted {
            let is_new = { !self.graves.lock().documents.contains_key(&document) };
            if is_new {
                self.bury(collection, document);
            }
        }
        for collection in closed {
            if !self.is_closed(&collection) {
                self.close(collection);
            }
        }
        removed
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

    /// Grows with every deletion from a collection.
    pub(super) fn deletions(&self, collection: &Collection) -> u64 {
        let graves = self.graves.lock();
        graves.deletions.get(collection).copied().unwrap_or(graves.deletions_of_others)
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
        assert_eq!((stones.of(&own).len(), stones.of(&other).len()), (2, 0));
        assert_eq!((stones.deletions(&own), stones.deletions(&other)), (2, 0));
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
        assert_eq!(stones.deletions(&own), 2, "caches notice both");
    }

    #[test]
    fn what_others_delete_and_remove_is_followed() {
        let (stones, own) = (Tombstones::default(), Collection::default());
        let other = Collection::parse("other").expect("valid");
        let deleted = || vec![("a".to_owned(), own.clone())];
        assert!(stones.follow(stones.graves(), deleted(), vec![other.clone()]).is_empty());
        assert!(!stones.is_living(&own, "a") && stones.is_closed(&other));
        assert_eq!((stones.deletions(&own), stones.deletions(&other)), (1, 1));
        stones.follow(stones.graves(), deleted(), vec![other.clone()]);
        assert_eq!((stones.deletions(&own), stones.deletions(&other)), (1, 1), "once each");
        // Deleted here while the others were asked: what they said does not know it yet.
        let before = stones.graves();
        stones.bury(own.clone(), "b".to_owned());
        assert_eq!(stones.follow(before, Vec::new(), Vec::new()), std::slice::from_ref(&other));
        assert!(!stones.is_closed(&other) && !stones.is_living(&own, "a"), "a search may still have it");
        assert_eq!(stones.graves().0, HashSet::from(["b".to_owned()]));
    }

    #[test]
    fn deletions_are_counted_by_collection_and_never_fall() {
        let stones = Tombstones::default();
        let nth = |n: usize| Collection::parse(&n.to_string()).expect("valid");
        stones.renew(&nth(0));
        stones.renew(&nth(0));
        for n in 1..MAX_COUNTED {
            stones.renew(&nth(n));
        }
        assert_eq!([0, 1, MAX_COUNTED].map(|n| stones.deletions(&nth(n))), [2, 1, 0]);
        stones.renew(&nth(MAX_COUNTED));
        assert_eq!([0, 1, MAX_COUNTED].map(|n| stones.deletions(&nth(n))), [2, 2, 3]);
        assert_eq!(stones.graves.lock().deletions.len(), 1);
    }
}
