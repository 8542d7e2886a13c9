//! How much of logs this gateway leaves in the Redis for others: a bound for all together. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// For how long a log waits.
pub(crate) const KEPT: Duration = Duration::from_secs(120);
/// What one gateway leaves in as long as it waits: the Redis has other things to keep, too. Those beyond are not carried.
const MAX_BYTES_OF_ALL: usize = 256 << 20;

/// What this gateway has left lately.
#[derive(Debug, Default)]
pub(super) struct Left {
    since: Option<Instant>,
    bytes: usize,
}

impl Left {
    /// Whether so many bytes may follow; then they count. Twice the bound at the worst lies there at a time.
    pub(super) fn has_room_for(&mut self, bytes: usize, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= KEPT) {
            *self = Self { since: Some(now), bytes: 0 };
        }
        let has_room = self.bytes + bytes <= MAX_BYTES_OF_ALL;
        self.bytes += if has_room { bytes } else { 0 };
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_gateway_leaves_is_bounded() {
        let (mut left, now) = (Left::default(), Instant::now());
        let most = MAX_BYTES_OF_ALL >> 18;
        assert_eq!((0..2 * most).filter(|_| left.has_room_for(1 << 18, now)).count(), most);
        assert!(!left.has_room_for(1, now + KEPT / 2));
        assert!(left.has_room_for(1 << 18, now + KEPT));
    }
}
