//! The time of a session: a number that everybody who shares a clock can compare.

use tokio::time::Instant;

/// Microseconds since some start that the caller fixed once.
pub type Moment = u64;

/// Measures [`Moment`]s from one fixed start.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn now(self) -> Moment {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
