//! The farewell of a gateway that is about to end: when each client shall come back.

use std::time::Duration;

use crate::dialect::chat_v1;

/// Clients come back so long after it at the earliest, in milliseconds.
const RETRY_FROM_MS: u64 = 500;

/// A farewell to one client.
#[derive(Debug, Clone)]
pub struct Goaway {
    /// When it shall come back, in milliseconds.
    pub retry_in_ms: u64,
    /// The frame that says so.
    pub frame: String,
}

impl Goaway {
    /// Tells a client when to come back, each another time `within` so long, so that not all of them come at once. The
    /// gateway is gone after `drain`.
    #[must_use]
    pub fn of(drain: Duration, within: Duration) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let drain = millis(drain);
        let retry_in_ms = rand::random_range(RETRY_FROM_MS..=RETRY_FROM_MS + drain.min(millis(within)));
        Self { retry_in_ms, frame: chat_v1::goaway(retry_in_ms, drain) }
    }
}
