//! For how long somebody works.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Fence, documents::WORK_LEASE};

/// What is left of a lease when it counts as over: clocks of two machines do not go at quite the same speed.
const MARGIN: Duration = Duration::from_millis(600);
/// For how long somebody works.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// What is written about work carries it.
    pub(super) fence: Fence,
    /// Nothing new is begun, and what is under way ends.
    pub(super) over: CancellationToken,
    /// When the newest renewal was sent that succeeded; `None`: nobody else can have the lease.
    renewed: Option<Arc<Mutex<Instant>>>,
}

impl Term {
    /// One that was asked for at `since`, where others may have the lease after it.
    pub(super) fn new(fence: Fence, over: CancellationToken, since: Option<Instant>) -> Self {
        Self { fence, over, renewed: since.map(|since| Arc::new(Mutex::new(since))) }
    }

    /// The lease was renewed, by what was sent then. What is over stays so.
    pub(super) fn renewed(&self, sent: Instant) {
        if let Some(renewed) = self.renewed.as_ref().filter(|_| !self.over.is_cancelled()) {
            *renewed.lock() = sent;
        }
    }

    /// Whether nobody else can work by now. A process that was stopped and wakes up finds that it is not so.
    pub(super) fn is_certain(&self) -> bool {
        self.renewed.as_ref().is_none_or(|renewed| renewed.lock().elapsed() < WORK_LEASE.saturating_sub(MARGIN))
    }
}
