//! How often a client may ask for what costs it a few bytes and others many: a `hello` is answered with a whole
//! snapshot, a `sync` with a whole text, and whoever else watches is told of each change of `typing`.
//!
//! Pure: moments are passed in.

use std::time::Duration;

use crate::session::Moment;

/// Snapshots and texts that a client may ask for at once, and how long until there is one more.
const TEXTS: Rate = Rate { burst: 10, every: 500_000 };
/// Changes of `typing`, likewise.
const TYPING: Rate = Rate { burst: 10, every: 500_000 };

struct Rate {
    burst: u64,
    /// In microseconds.
    every: Moment,
}

/// What one client has used up. Each field is the moment at which all of it is there again.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    texts: Moment,
    typing: Moment,
}

impl Allowance {
    /// Whether a snapshot, or text again, may be had now.
    ///
    /// # Errors
    /// How long that takes.
    pub(super) fn text(&mut self, now: Moment) -> Result<(), Duration> {
        TEXTS.take(&mut self.texts, now)
    }

    /// Whether a change of `typing` is passed on now.
    pub(super) fn typing(&mut self, now: Moment) -> bool {
        TYPING.take(&mut self.typing, now).is_ok()
    }
}

impl Rate {
    fn take(&self, whole_at: &mut Moment, now: Moment) -> Result<(), Duration> {
        let next = now.max(*whole_at) + self.every;
        match (next - now).checked_sub(self.burst * self.every) {
            Some(wait) if wait > 0 => Err(Duration::from_micros(wait)),
            _ => {
                *whole_at = next;
                Ok(())
            }
        }
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
