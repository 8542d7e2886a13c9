//! How many documents come in at the same time: so many in all, and of one tenant no more than leaves room for others.

use std::{collections::HashMap, sync::Arc};

use axum::http::StatusCode;
use parking_lot::Mutex;

use crate::{http::problem::Problem, store::documents::Tenant};

/// The most at a time.
const MOST: usize = 64;
/// The most of one tenant.
const MOST_OF_ONE: usize = 32;

/// Those that are coming in.
#[derive(Debug, Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<Tenant, usize>>>);

/// A place, until it is dropped.
pub(in crate::http) struct Upload {
    all: Uploads,
    tenant: Tenant,
}

impl Uploads {
    pub(in crate::http) fn enter(&self, tenant: &Tenant) -> Result<Upload, Problem> {
        let mut all = self.0.lock();
        let own = all.get(tenant).copied().unwrap_or(0);
        if own >= MOST_OF_ONE || all.values().sum::<usize>() >= MOST {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many documents are coming in");
            return Err(Problem { retry_after: Some(2), ..problem });
        }
        all.insert(tenant.clone(), own + 1);
        Ok(Upload { all: self.clone(), tenant: tenant.clone() })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        let left = all.get(&self.tenant).copied().unwrap_or(1) - 1;
        if left == 0 {
            all.remove(&self.tenant);
        } else {
            all.insert(self.tenant.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_leaves_room_for_others() {
        let (uploads, one, other) = (Uploads::default(), Tenant::new("one"), Tenant::new("other"));
        let enter = |tenant, count| (0..count).map(|_| uploads.enter(tenant)).collect::<Vec<_>>();
        let held = enter(&one, MOST_OF_ONE + 1);
        assert_eq!(held.iter().filter(|place| place.is_ok()).count(), MOST_OF_ONE);
        let others = enter(&other, MOST);
        assert_eq!(others.iter().filter(|place| place.is_ok()).count(), MOST - MOST_OF_ONE);
        drop((held, others));
        assert!(uploads.0.lock().is_empty());
    }
}
