//! So many in so long, as a bucket that fills evenly (the generic cell rate algorithm, GCRA). Pure: moments are passed in.
//!
//! All that is kept of a bucket is the moment at which it is full again, so one that nobody takes from needs no room at
//! all: it is as good as one that was never known.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// [`Quota::take`] once more, for a bucket that gateways have together: a script for the server where it is. Its key holds
/// the moment at which the bucket is full, ARGV what [`Quota::times`] says. It tells whether one was taken, and how long the
/// bucket takes to be full. Its numbers are exact until the year 2255.
pub const TAKE: &str = "
    local time = redis.call('TIME')
    local now, every, span = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
    local whole_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0)) + every
    if whole_at - now > span then return {0, whole_at - now - every} end
    redis.call('SET', KEYS[1], string.format('%.0f', whole_at), 'PX', string.format('%.0f', math.ceil((whole_at - now) / 1000)))
    return {1, whole_at - now}";

/// Moments and spans in microseconds, from whatever beginning the caller counts from.
pub type Micros = u64;

/// So many in so long. They may be taken all at once, and come back one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    most: u64,
    /// How long one takes to come back.
    every: Micros,
}

/// What is left of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// So many may follow at once.
    pub remaining: u64,
    /// When there is one more than that.
    pub more_in: Duration,
    /// When there are as many as there can be, if none is taken until then.
    pub whole_in: Duration,
}

impl Quota {
    /// `most` at once, and as many in `window`.
    #[must_use]
    pub const fn new(most: u64, window: Duration) -> Self {
        let window = window.as_micros();
        let window = if window > u64::MAX as u128 { u64::MAX } else { window as u64 };
        let most = if most == 0 { 1 } else { most };
        let every = window / most;
        Self { most, every: if every == 0 { 1 } else { every } }
    }

    /// So many at once.
    #[must_use]
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// How long as many take to come back.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_micros(self.span())
    }

    /// What one of so many gateways gives by itself; at least one.
    pub(super) const fn share(self, gateways: usize) -> Self {
        let most = self.most / if gateways == 0 { 1 } else { gateways as u64 };
        Self::new(most, self.window())
    }

    /// How long one takes to come back, and how long all do.
    #[must_use]
    pub const fn times(&self) -> (Micros, Micros) {
        (self.every, self.span())
    }

    /// Takes one out of the bucket that is full again at `whole_at`.
    ///
    /// # Errors
    /// When there is none; then nothing is taken.
    pub fn take(&self, whole_at: &mut Micros, now: Micros) -> Result<Left, Left> {
        let next = now.max(*whole_at).saturating_add(self.every);
        if next - now > self.span() {
            return Err(self.left(next - now - self.every));
        }
        *whole_at = next;
        Ok(self.left(next - now))
    }

    /// Of a bucket that is full again after `missing`.
    #[must_use]
    pub const fn left(&self, missing: Micros) -> Left {
        let room = self.span().saturating_sub(missing);
        Left {
            remaining: room / self.every,
            more_in: Duration::from_micros(self.every - room % self.every),
            whole_in: Duration::from_micros(missing),
        }
    }

    const fn span(&self) -> Micros {
        self.most.saturating_mul(self.every)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Micros = 3_600_000_000;

    #[test]
    fn a_hundred_an_hour_are_a_hundred_and_then_one_at_a_time() {
        let quota = Quota::new(100, Duration::from_secs(3600));
        let (mut bucket, now) = (0, 7 * HOUR);
        for remaining in (0..100).rev() {
            assert_eq!(quota.take(&mut bucket, now).map(|left| left.remaining), Ok(remaining));
        }
        let refused = quota.take(&mut bucket, now).unwrap_err();
        let hour = Duration::from_secs(3600);
        assert_eq!(refused, Left { remaining: 0, more_in: Duration::from_secs(36), whole_in: hour });
        let more_in = quota.take(&mut bucket, now + 35_999_999).unwrap_err().more_in;
        assert_eq!(more_in, Duration::from_micros(1));
        assert_eq!(quota.take(&mut bucket, now + 36_000_000).map(|left| left.remaining), Ok(0));
        assert_eq!(
            quota.take(&mut bucket, now + 3 * HOUR).map(|left| left.remaining),
            Ok(99),
            "no more than a hundred"
        );
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_twice_the_quota_and_none_that_waits_is_refused(
            most in 1u64..50, window_s in 1u64..100, pauses in prop::collection::vec(0u64..4_000_000, 1..300),
        ) {
            let quota = Quota::new(most, Duration::from_secs(window_s));
            let (mut bucket, mut now, mut taken) = (0, HOUR, Vec::new());
            for pause in pauses {
                now += pause;
                match quota.take(&mut bucket, now) {
                    Ok(left) => {
                        prop_assert!(left.remaining < most);
                        let burst = (0..=most).take_while(|_| quota.take(&mut bucket.clone(), now).is_ok());
                        prop_assert!(left.remaining == 0 || burst.count() > 0);
                        taken.push(now);
                    }
                    Err(Left { remaining, more_in, .. }) => {
                        let wait = u64::try_from(more_in.as_micros()).unwrap();
                        prop_assert!(remaining == 0 && wait > 0);
                        prop_assert!(quota.take(&mut bucket.clone(), now + wait).is_ok());
                        prop_assert!(quota.take(&mut bucket.clone(), now + wait - 1).is_err());
                    }
                }
            }
            for (at, begin) in taken.iter().enumerate() {
                let within = taken[at..].iter().filter(|moment| **moment < begin + window_s * 1_000_000).count();
                prop_assert!(within as u64 <= 2 * most);
            }
        }
    }
}
