//! How often a client may ask for what costs it a few bytes and others many: a `hello` is answered with a whole
//! snapshot, a `sync` with a whole text, and whoever else watches is told of each change of `typing`. And how many
//! frames are read of it at all, for even one that is refused has to be looked at.
//!
//! Pure: moments are passed in.

use std::time::Duration;

use crate::{limits::quota::Quota, session::Moment};

/// Snapshots and texts that a client may ask for.
const TEXTS: Quota = Quota::new(10, Duration::from_secs(5));
/// Changes of `typing`, likewise.
const TYPING: Quota = Quota::new(10, Duration::from_secs(5));
/// Frames of any kind.
const FRAMES: Quota = Quota::new(500, Duration::from_secs(10));

/// What one client has used up. Each field is the moment at which all of it is there again.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    texts: Moment,
    typing: Moment,
    frames: Moment,
}

impl Allowance {
    /// Whether a snapshot, or text again, may be had now.
    ///
    /// # Errors
    /// How long that takes.
    pub(super) fn text(&mut self, now: Moment) -> Result<(), Duration> {
        TEXTS.take(&mut self.texts, now).map(drop).map_err(|left| left.more_in)
    }

    /// Whether a change of `typing` is passed on now.
    pub(super) fn typing(&mut self, now: Moment) -> bool {
        TYPING.take(&mut self.typing, now).is_ok()
    }

    /// Takes the place of a frame.
    ///
    /// # Errors
    /// When none is left: how long the client waits for the next one.
    pub(super) fn frame(&mut self, now: Moment) -> Result<(), Duration> {
        FRAMES.take(&mut self.frames, now).map(drop).map_err(|left| left.more_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_for_each_pause() {
        let mut allowance = Allowance::default();
        let taken = (0..200).filter(|_| allowance.text(1_000_000).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(allowance.text(1_000_000), Err(Duration::from_millis(500)));
        assert!(allowance.typing(1_000_000), "each has its own");
        assert_eq!(allowance.text(1_400_000), Err(Duration::from_millis(100)));
        assert_eq!(allowance.text(1_500_000), Ok(()));
        assert!(allowance.text(1_500_000).is_err());
        let taken = (0..200).filter(|_| allowance.text(3_600_000_000).is_ok()).count();
        assert_eq!(taken, 10, "nothing is saved up beyond a burst");
    }
}
