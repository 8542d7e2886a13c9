//! What is wrong with the index: noted where it is noticed, told in the log once, and once more when it is over.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::knowledge::{Collection, KnowledgeError};

/// The most troubles that are known at a time; further ones are in the log only.
const MAX_KNOWN: usize = 1000;

/// What may be wrong with a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trouble {
    /// It cannot be opened or read.
    Unreadable,
    /// The last search of it failed.
    Unsearchable,
    /// It cannot be written to.
    Unwritable,
    /// There should be something, and there is nothing.
    Gone,
}

impl Trouble {
    /// Whether nothing can be found; else, nothing can be changed.
    const fn is_of_reading(self) -> bool {
        matches!(self, Self::Unreadable | Self::Unsearchable | Self::Gone)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "cannot be read",
            Self::Unsearchable => "cannot be searched",
            Self::Unwritable => "cannot be written to",
            Self::Gone => "is gone",
        }
    }
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<HashMap<(Collection, Trouble), Known>>);

#[derive(Debug)]
struct Known {
    why: String,
    since: Instant,
}

impl Troubles {
    /// It is so.
    pub(crate) fn note(&self, collection: &Collection, trouble: Trouble, why: &str) {
        let mut all = self.0.lock();
        let key = (collection.clone(), trouble);
        if all.contains_key(&key) || all.len() >= MAX_KNOWN {
            return;
        }
        if !is_known(&all, collection, trouble) {
            tracing::error!(tenant = collection.tenant().as_str(), %collection, why, "the index of a collection {}", trouble.as_str());
        }
        all.insert(key, Known { why: why.to_owned(), since: Instant::now() });
    }

    /// It is not so, or not any more.
    pub(crate) fn clear(&self, collection: &Collection, trouble: Trouble) {
        let mut all = self.0.lock();
        if let Some(known) = all.remove(&(collection.clone(), trouble))
            && !is_known(&all, collection, trouble)
        {
            let seconds = known.since.elapsed().as_secs();
            let tenant = collection.tenant().as_str();
            tracing::info!(tenant, %collection, seconds, "over: the index of a collection {}", trouble.as_str());
        }
    }

    /// Notes what came of a look or a write.
    pub(crate) fn judge<T>(&self, collection: &Collection, trouble: Trouble, came: &Result<T, KnowledgeError>) {
        match came {
            Ok(_) => self.clear(collection, trouble),
            Err(KnowledgeError::Unavailable(why)) => self.note(collection, trouble, why),
            Err(_) => {}
        }
    }

    /// Whether it is known to be so.
    pub(crate) fn has(&self, collection: &Collection, trouble: Trouble) -> bool {
        self.0.lock().contains_key(&(collection.clone(), trouble))
    }

    /// Since when it is so.
    pub(crate) fn since(&self, collection: &Collection, trouble: Trouble) -> Option<Instant> {
        self.0.lock().get(&(collection.clone(), trouble)).map(|known| known.since)
    }

    /// Why a collection that answers come from cannot be searched.
    pub(crate) fn of_answers(&self) -> Option<String> {
        let all = self.0.lock();
        let mut found =
            all.iter().filter(|((collection, trouble), _)| collection.is_of_answers() && trouble.is_of_reading());
        found.next().map(|((_, trouble), known)| format!("the index {}: {}", trouble.as_str(), known.why))
    }

    /// In how many collections one of these is so.
    pub(crate) fn count(&self, wanted: &[Trouble]) -> usize {
        let all = self.0.lock();
        let found = all.keys().filter(|(_, trouble)| wanted.contains(trouble));
        found.map(|(collection, _)| collection).collect::<HashSet<_>>().len()
    }

    /// A collection that is not there any more is in no trouble.
    pub(crate) fn forget(&self, collection: &Collection) {
        self.0.lock().retain(|(known, _), _| known != collection);
    }
}

/// Whether something of the same kind is known of a collection: one fault shows in several ways, and is told once.
fn is_known(all: &HashMap<(Collection, Trouble), Known>, collection: &Collection, trouble: Trouble) -> bool {
    all.keys().any(|(known, other)| known == collection && other.is_of_reading() == trouble.is_of_reading())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_known_until_it_is_over_and_only_that_of_answers_is_told() {
        let (troubles, shop) = (Troubles::default(), Collection::parse("shop").expect("valid"));
        let failed = || Err::<(), _>(KnowledgeError::Unavailable("gone".to_owned()));
        troubles.judge(&shop, Trouble::Unreadable, &failed());
        troubles.judge(&Collection::default(), Trouble::Unwritable, &failed());
        assert_eq!(troubles.of_answers(), None);
        troubles.judge(&Collection::default(), Trouble::Unreadable, &failed());
        assert!(troubles.of_answers().is_some_and(|why| why.contains("gone")));
        assert_eq!(
            [Trouble::Unreadable, Trouble::Unwritable, Trouble::Gone].map(|one| troubles.count(&[one])),
            [2, 1, 0]
        );
        assert_eq!(troubles.count(&[Trouble::Unreadable, Trouble::Unwritable]), 2);
        // That a search had to wait says nothing.
        troubles.judge(&shop, Trouble::Unreadable, &Err::<(), _>(KnowledgeError::Busy));
        assert!(troubles.has(&shop, Trouble::Unreadable));
        troubles.judge(&Collection::default(), Trouble::Unreadable, &Ok(()));
        troubles.forget(&shop);
        assert_eq!([Trouble::Unreadable, Trouble::Unwritable].map(|one| troubles.count(&[one])), [0, 1]);
    }
}
