//! Who is asked for an answer, in which order and how patiently.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    config::Fallback,
    llm::{
        error::ModelError,
        order,
        request::{ChatRequest, Choice},
        retry::RetryRule,
        stand_in::StandIn,
        target::Target,
    },
};

/// Who is asked, and how patiently.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) targets: Arc<[Arc<Target>]>,
    pub(super) rule: RetryRule,
    /// For the whole answer, all attempts included.
    pub(super) total: Duration,
    /// Who could answer when nobody else does: one for all answers, for it bounds what it composes at once.
    pub(super) stand_in: StandIn,
    /// Who does.
    pub(super) fallback: Option<StandIn>,
}

impl Plan {
    /// The same for who may be answered by some of them only.
    pub(super) fn narrowed(&self, choice: &Choice) -> Self {
        let mut plan = self.clone();
        if !choice.targets.is_empty() {
            let is_chosen = |target: &&Arc<Target>| choice.targets.iter().any(|name| name == target.name());
            plan.targets = self.targets.iter().filter(is_chosen).cloned().collect();
        }
        match choice.fallback {
            Some(Fallback::None) => plan.fallback = None,
            Some(Fallback::Extractive | Fallback::Rules) => plan.fallback = Some(self.stand_in.clone()),
            None => {}
        }
        plan
    }

    /// The targets that can be asked this, in the order in which one answer asks them.
    pub(super) fn in_order(&self, request: &ChatRequest) -> Vec<Arc<Target>> {
        let able: Vec<_> = self.able(request).collect();
        let weights: Vec<_> = able.iter().map(|target| target.weight()).collect();
        order::drawn(&weights, rand::random).into_iter().map(|at| Arc::clone(able[at])).collect()
    }

    fn able(&self, request: &ChatRequest) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.iter().filter(|target| target.takes(request))
    }

    /// Nobody was asked: no target can be asked this, or the breakers of all that can are open.
    pub(super) fn nobody(&self, request: &ChatRequest) -> ModelError {
        let detail = match self.able(request).next() {
            Some(_) => "failed too often and is left alone for a while",
            None => "is declared to take no tools",
        };
        ModelError::Unavailable {
            target: "every target".to_owned(),
            detail: detail.to_owned(),
            retry_after: self.able(request).filter_map(|target| target.report().open_for).min(),
        }
    }

    /// By when a further attempt has to begin, of an answer that was begun at `started`.
    pub(super) fn patience(&self, started: Instant) -> Instant {
        started + self.total.min(self.rule.within)
    }
}
