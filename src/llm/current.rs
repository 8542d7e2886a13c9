//! The model of the moment: a model around one that can be changed while it answers.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{
    model::{ChatModel, ModelStream, TargetReport},
    request::ChatRequest,
};
use crate::{
    chat::Owner,
    telemetry::{caches::CacheReport, metrics::BREAKER_STATE},
};

/// A model that can be changed. What is being answered goes on with the one that it began with.
#[derive(Debug)]
pub struct Current(RwLock<Arc<dyn ChatModel>>);

impl Current {
    /// With this one at first.
    #[must_use]
    pub fn new(model: Arc<dyn ChatModel>) -> Self {
        Self(RwLock::new(model))
    }

    /// From now on with this one. Targets that are not there any more have no breaker: their metric is not a number.
    pub fn change(&self, model: Arc<dyn ChatModel>) {
        let before = std::mem::replace(&mut *self.0.write(), model);
        let now = self.targets();
        for gone in before.targets().into_iter().filter(|target| now.iter().all(|other| other.name != target.name)) {
            metrics::gauge!(BREAKER_STATE, "target" => gone.name).set(f64::NAN);
        }
    }

    fn model(&self) -> Arc<dyn ChatModel> {
        self.0.read().clone()
    }
}

impl ChatModel for Current {
    fn name(&self) -> Arc<str> {
        self.model().name()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        self.model().stream(request)
    }

    fn targets(&self) -> Vec<TargetReport> {
        self.model().targets()
    }

    fn keeps(&self, asker: Option<&Owner>) -> bool {
        self.model().keeps(asker)
    }

    fn caches(&self) -> Vec<CacheReport> {
        self.model().caches()
    }
}
