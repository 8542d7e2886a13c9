//! How much of what takes long is done at the same time: so much in all, and of one no more than leaves room for others.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use axum::http::StatusCode;
use parking_lot::Mutex;

use super::problem::Problem;
use crate::{limits::Visitor, store::documents::Tenant};

/// Places for something, of which each has a share.
#[derive(Debug, Clone)]
pub struct Shares<K> {
    most: usize,
    of_one: usize,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

/// A place, until it is dropped.
pub(super) struct Share<K: Eq + Hash> {
    all: Shares<K>,
    whose: K,
}

impl Shares<Tenant> {
    /// For documents that are coming in.
    #[must_use]
    pub fn of_documents() -> Self {
        Self::new(64, 32)
    }
}

impl Shares<Visitor> {
    /// For tables that are coming in.
    #[must_use]
    pub fn of_tables() -> Self {
        Self::new(4, 2)
    }

    /// For requests for vectors.
    #[must_use]
    pub fn of_vectors() -> Self {
        Self::new(8, 2)
    }
}

impl<K: Eq + Hash + Clone> Shares<K> {
    fn new(most: usize, of_one: usize) -> Self {
        Self { most, of_one, taken: Arc::default() }
    }

    /// A place, while there is one.
    pub(super) fn enter(&self, whose: &K) -> Result<Share<K>, Problem> {
        let mut taken = self.taken.lock();
        let own = taken.get(whose).copied().unwrap_or(0);
        if own >= self.of_one || taken.values().sum::<usize>() >= self.most {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too much of this is under way");
            return Err(Problem { retry_after: Some(2), ..problem });
        }
        taken.insert(whose.clone(), own + 1);
        Ok(Share { all: self.clone(), whose: whose.clone() })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.all.taken.lock();
        if let Some(own) = taken.get_mut(&self.whose) {
            *own -= 1;
        }
        taken.retain(|_, own| *own > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leaves_room_for_others() {
        let shares = Shares::<Tenant>::of_documents();
        let (one, other) = (Tenant::new("one"), Tenant::new("other"));
        let enter = |tenant, count| (0..count).map(|_| shares.enter(tenant)).collect::<Vec<_>>();
        let held = enter(&one, 33);
        assert_eq!(held.iter().filter(|place| place.is_ok()).count(), 32);
        let others = enter(&other, 64);
        assert_eq!(others.iter().filter(|place| place.is_ok()).count(), 32);
        drop((held, others));
        assert!(shares.taken.lock().is_empty());
    }
}
