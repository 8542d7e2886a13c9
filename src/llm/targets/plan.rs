//! Who is asked for an answer, in which order and how patiently.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::llm::{error::ModelError, extractive::Extractive, order, retry::RetryRule, target::Target};

/// Who is asked, and how patiently.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) targets: Arc<[Arc<Target>]>,
    pub(super) rule: RetryRule,
    /// For the whole answer, all attempts included.
    pub(super) total: Duration,
    /// Who answers when nobody else does.
    pub(super) fallback: Option<Extractive>,
}

impl Plan {
    /// The targets, in the order in which one answer asks them.
    pub(super) fn in_order(&self) -> Vec<Arc<Target>> {
        let weights: Vec<_> = self.targets.iter().map(|target| target.weight()).collect();
        order::drawn(&weights, rand::random).into_iter().map(|at| Arc::clone(&self.targets[at])).collect()
    }

    /// Every breaker is open.
    pub(super) fn all_resting(&self) -> ModelError {
        let soonest = self.targets.iter().filter_map(|target| target.report().open_for).min();
        ModelError::Unavailable {
            target: "every target".to_owned(),
            detail: "failed too often and is left alone for a while".to_owned(),
            retry_after: soonest,
        }
    }

    /// By when a further attempt has to begin, of an answer that was begun at `started`.
    pub(super) fn patience(&self, started: Instant) -> Instant {
        started + self.total.min(self.rule.within)
    }
}
