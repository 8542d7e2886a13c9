//! What the tools of all assistants have together: the datasets with places for questions, forecasts that were made already,
//! and servers of tools.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    forecasts::{self, Forecasts},
    mcp::{ServerState, Servers},
};
use crate::{datasets::Datasets, memory::Memories, telemetry::caches::CacheReport};

/// What the tools of all assistants have together.
#[derive(Debug)]
pub struct Shared {
    /// Tables that somebody has brought.
    pub datasets: Arc<Datasets>,
    /// What users have told.
    pub memories: Arc<Memories>,
    /// What they were gone on with.
    pub(super) forecasts: Forecasts,
    /// So many questions are answered at a time.
    pub(super) questions: Arc<Semaphore>,
    /// Servers of tools, with their connections.
    pub(super) servers: Servers,
}

impl Default for Shared {
    /// Without any datasets and memories.
    fn default() -> Self {
        Self::with(Arc::default(), Arc::default())
    }
}

impl Shared {
    /// With these datasets and memories.
    #[must_use]
    pub fn with(datasets: Arc<Datasets>, memories: Arc<Memories>) -> Self {
        Self {
            datasets,
            memories,
            forecasts: Forecasts::default(),
            questions: forecasts::places(),
            servers: Servers::default(),
        }
    }

    /// How the servers stand that were asked for a tool, by name.
    #[must_use]
    pub fn servers(&self) -> Vec<ServerState> {
        self.servers.states()
    }

    /// Forgets all servers but these.
    pub fn keep_servers(&self, names: &[&str]) {
        self.servers.keep(names);
    }

    /// How the cache of forecasts stands.
    #[must_use]
    pub fn cache(&self) -> CacheReport {
        self.forecasts.report()
    }
}
