//! What the tools of all assistants have together: the datasets with places for questions, and forecasts that were made already.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::forecasts::{self, Forecasts};
use crate::{datasets::Datasets, telemetry::caches::CacheReport};

/// What the tools of all assistants have together.
#[derive(Debug)]
pub struct Shared {
    /// Tables that somebody has brought.
    pub datasets: Arc<Datasets>,
    /// What they were gone on with.
    pub(super) forecasts: Forecasts,
    /// So many questions are answered at a time.
    pub(super) questions: Arc<Semaphore>,
}

impl Default for Shared {
    /// Without any datasets.
    fn default() -> Self {
        Self::with(Arc::default())
    }
}

impl Shared {
    /// With these datasets.
    #[must_use]
    pub fn with(datasets: Arc<Datasets>) -> Self {
        Self { datasets, forecasts: Forecasts::default(), questions: forecasts::places() }
    }

    /// How the cache of forecasts stands.
    #[must_use]
    pub fn cache(&self) -> CacheReport {
        self.forecasts.report()
    }
}
