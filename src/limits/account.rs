//! What one account may spend and has spent, in fixed windows: minutes and days of UTC. Pure.

use std::time::Duration;

use crate::chat::Timestamp;

/// Windows in milliseconds.
const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;

/// What an account may spend, in tokens; 0 = no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Allowance {
    pub(super) per_min: u64,
    pub(super) per_day: u64,
}

impl Allowance {
    /// Whether there is nothing to count.
    pub(super) const fn is_unlimited(self) -> bool {
        self.per_min == 0 && self.per_day == 0
    }
}

/// What was spent in the newest minute and on the newest day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    minute: Window,
    day: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Window {
    /// Which one, counted from 1970.
    number: u64,
    spent: u64,
}

impl Window {
    fn at(self, now: Timestamp, length: u64) -> Self {
        let number = now.0 / length;
        // A clock that was set back a little begins nothing anew.
        if number == self.number || number + 1 == self.number { self } else { Self { number, spent: 0 } }
    }

    /// What is left of `limit`, and when there is more: when the window ends.
    fn left(self, now: Timestamp, length: u64, limit: u64) -> Left {
        if limit == 0 {
            return Left { tokens: u64::MAX, more_in: Duration::ZERO };
        }
        let tokens = limit.saturating_sub(self.at(now, length).spent);
        Left { tokens, more_in: Duration::from_millis(length - now.0 % length) }
    }
}

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) tokens: u64,
    /// When there will be more.
    pub(super) more_in: Duration,
}

impl Account {
    /// An account of which only the day's spending is known.
    pub(super) fn of_day(day: u64, spent: u64) -> Self {
        Self { day: Window { number: day, spent }, ..Self::default() }
    }

    /// The day of `now`, counted from 1970.
    pub(super) const fn day_of(now: Timestamp) -> u64 {
        now.0 / DAY
    }

    /// How long the day of `now` lasts.
    pub(super) const fn until_tomorrow(now: Timestamp) -> Duration {
        Duration::from_millis(DAY - now.0 % DAY)
    }

    /// What may still be spent: where both windows are spent, the later end counts.
    pub(super) fn left(&self, allowance: Allowance, now: Timestamp) -> Left {
        let minute = self.minute.left(now, MINUTE, allowance.per_min);
        let day = self.day.left(now, DAY, allowance.per_day);
        // Of two that are spent, the day lasts longer.
        if day.tokens <= minute.tokens { day } else { minute }
    }

    /// Notes what was spent, or with a negative number, that it was less than noted `since`: of windows that were over
    /// before nothing is given back.
    pub(super) fn charge(&mut self, tokens: i64, since: Timestamp, now: Timestamp) {
        for (window, length) in [(&mut self.minute, MINUTE), (&mut self.day, DAY)] {
            *window = window.at(now, length);
            if tokens < 0 && since.0 / length != now.0 / length {
                continue;
            }
            window.spent = window.spent.saturating_add_signed(tokens);
        }
    }

    /// What was spent on the day of `now`.
    pub(super) fn spent_on(&self, now: Timestamp) -> u64 {
        self.day.at(now, DAY).spent
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Allowance = Allowance { per_min: 100, per_day: 1000 };
    const NOON: Timestamp = Timestamp(20_000 * DAY + DAY / 2);

    fn after(seconds: u64) -> Timestamp {
        NOON.plus_seconds(seconds)
    }

    #[test]
    fn a_minute_ends_and_the_day_goes_on() {
        let mut account = Account::default();
        account.charge(70, after(10), after(10));
        assert_eq!(account.left(LIMITS, after(10)), Left { tokens: 30, more_in: Duration::from_secs(50) });
        account.charge(70, after(20), after(20));
        assert_eq!(account.left(LIMITS, after(20)), Left { tokens: 0, more_in: Duration::from_secs(40) });
        assert_eq!(account.left(LIMITS, after(60)).tokens, 100);
        account.charge(900, after(60), after(60));
        let left = account.left(LIMITS, after(60));
        assert_eq!((left.tokens, left.more_in.as_secs()), (0, 12 * 3600 - 60), "the day is the later end");
        assert_eq!(account.left(LIMITS, after(12 * 3600)).tokens, 100);
    }

    #[test]
    fn no_limit_is_never_spent_and_a_correction_gives_back() {
        let mut account = Account::default();
        account.charge(i64::MAX, NOON, NOON);
        assert_eq!(account.left(Allowance::default(), NOON).tokens, u64::MAX);
        let mut account = Account::default();
        account.charge(90, NOON, NOON);
        account.charge(-50, NOON, NOON);
        assert_eq!((account.left(LIMITS, NOON).tokens, account.spent_on(NOON)), (60, 40));
        account.charge(90, after(60), after(60));
        account.charge(-90, NOON, after(60));
        assert_eq!(account.left(LIMITS, after(60)).tokens, 10, "of the minute before nothing is given back");
        assert_eq!(account.spent_on(after(60)), 40, "of the same day it is");
        assert_eq!(account.left(LIMITS, after(59)).tokens, 10, "a clock that is set back begins nothing anew");
    }

    proptest! {
        #[test]
        fn within_a_window_nothing_is_forgotten(charges in prop::collection::vec(0i64..200, 0..20)) {
            let mut account = Account::default();
            for tokens in &charges {
                account.charge(*tokens, NOON, NOON);
            }
            let sum = u64::try_from(charges.iter().sum::<i64>()).unwrap();
            prop_assert_eq!(account.spent_on(NOON), sum);
            prop_assert_eq!(account.left(LIMITS, NOON).tokens, 100u64.saturating_sub(sum).min(1000u64.saturating_sub(sum)));
        }
    }
}
