//! Whether all gateways that live can be reached: one with another Redis cannot, and neither side sees anything wrong with its
//! own. Pure, but for the clock.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How many cannot, and since when there were any.
#[derive(Debug, Default)]
pub(super) struct Apart(Mutex<Option<(usize, Instant)>>);

impl Apart {
    pub(super) fn note(&self, unreached: usize, now: Instant) {
        let mut apart = self.0.lock();
        *apart = (unreached > 0).then(|| (unreached, apart.map_or(now, |(_, since)| since)));
    }

    pub(super) fn unreached(&self) -> usize {
        self.0.lock().map_or(0, |(unreached, _)| unreached)
    }

    pub(super) fn lasts(&self) -> Duration {
        self.0.lock().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }
}
