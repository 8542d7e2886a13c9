//! What the tools of all assistants have together: the datasets, and forecasts that were made already.

use std::sync::Arc;

use super::forecasts::Forecasts;
use crate::{datasets::Datasets, telemetry::caches::CacheReport};

/// What the tools of all assistants have together.
#[derive(Debug, Default)]
pub struct Shared {
    /// Tables that somebody has brought.
    pub datasets: Arc<Datasets>,
    /// What they were gone on with.
    pub(super) forecasts: Forecasts,
}

impl Shared {
    /// With these datasets.
    #[must_use]
    pub fn with(datasets: Arc<Datasets>) -> Self {
        Self { datasets, forecasts: Forecasts::default() }
    }

    /// How the cache of forecasts stands.
    #[must_use]
    pub fn cache(&self) -> CacheReport {
        self.forecasts.report()
    }
}
