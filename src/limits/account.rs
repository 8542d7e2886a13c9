//! What one account may spend, has spent and holds back, in fixed windows: minutes and days of UTC. Pure.

use std::{sync::Arc, time::Duration};

use crate::chat::Timestamp;

/// Windows in milliseconds.
const MINUTE: u64 = 60_000;
const DAY: u64 = 86_400_000;
/// When what answers hold back may be free again: with the next one that ends, and nobody knows when that is.
pub(super) const SOON: Duration = Duration::from_secs(5);

/// What an account may spend, in tokens; 0 = no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Allowance {
    pub(super) per_min: u64,
    pub(super) per_day: u64,
}

impl Allowance {
    /// The same where each of so many gateways has its share of a minute; at least one.
    pub(super) fn share(self, gateways: usize) -> Self {
        let per_min = self.per_min.checked_div(gateways as u64).unwrap_or(self.per_min);
        Self { per_min: if self.per_min == 0 { 0 } else { per_min.max(1) }, ..self }
    }

    /// Whether there is nothing to count.
    pub(super) const fn is_unlimited(self) -> bool {
        self.per_min == 0 && self.per_day == 0
    }
}

/// An account that is limited.
#[derive(Debug)]
pub(super) struct Limited {
    pub(super) name: Arc<str>,
    pub(super) allowance: Allowance,
}

/// What was spent in the newest minute and on the newest day, and what is held back for answers being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    minute: Window,
    day: Window,
    held: u64,
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

    /// What is not spent of `limit`.
    fn unspent(self, now: Timestamp, length: u64, limit: u64) -> u64 {
        if limit == 0 { u64::MAX } else { limit.saturating_sub(self.at(now, length).spent) }
    }
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

    /// How long the minute of `now` lasts.
    pub(super) const fn until_next_minute(now: Timestamp) -> Duration {
        Duration::from_millis(MINUTE - now.0 % MINUTE)
    }

    /// How long the day of `now` lasts.
    pub(super) const fn until_tomorrow(now: Timestamp) -> Duration {
        Duration::from_millis(DAY - now.0 % DAY)
    }

    /// What is not spent; it may be held back.
    pub(super) fn unspent(&self, allowance: Allowance, now: Timestamp) -> u64 {
        let minute = self.minute.unspent(now, MINUTE, allowance.per_min);
        minute.min(self.day.unspent(now, DAY, allowance.per_day))
    }

    /// What may still be spent or held back.
    pub(super) fn left(&self, allowance: Allowance, now: Timestamp) -> u64 {
        self.unspent(allowance, now).saturating_sub(self.held)
    }

    /// When there may be more than `tokens` left: when a window ends, or sooner where others only hold it back.
    pub(super) fn more_in(&self, tokens: u64, allowance: Allowance, now: Timestamp) -> Duration {
        let windows = [(self.minute, MINUTE, allowance.per_min), (self.day, DAY, allowance.per_day)];
        let waits = windows.into_iter().map(|(window, length, limit)| {
            let unspent = window.unspent(now, length, limit);
            let end = Duration::from_millis(length - now.0 % length);
            match () {
                () if unspent.saturating_sub(self.held) > tokens => Duration::ZERO,
                () if unspent > tokens => end.min(SOON),
                () => end,
            }
        });
        waits.fold(Duration::ZERO, Duration::max)
    }

    /// Holds `tokens` back.
    pub(super) fn hold(&mut self, tokens: u64) {
        self.held = self.held.saturating_add(tokens);
    }

    /// Holds so much less back.
    pub(super) fn release(&mut self, tokens: u64) {
        self.held = self.held.saturating_sub(tokens);
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

    /// Notes what was spent on the day of `now` elsewhere, or with a negative number, that it was less.
    pub(super) fn charge_elsewhere(&mut self, tokens: i64, now: Timestamp) {
        self.day = self.day.at(now, DAY);
        self.day.spent = self.day.spent.saturating_add_signed(tokens);
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
        let more_in = |account: &Account, seconds| account.more_in(0, LIMITS, after(seconds)).as_secs();
        account.charge(70, after(10), after(10));
        assert_eq!((account.left(LIMITS, after(10)), more_in(&account, 10)), (30, 0));
        assert_eq!(account.more_in(30, LIMITS, after(10)).as_secs(), 50, "30 more do not fit");
        account.charge(70, after(20), after(20));
        assert_eq!((account.left(LIMITS, after(20)), more_in(&account, 20)), (0, 40));
        assert_eq!(account.left(LIMITS, after(60)), 100);
        account.charge(900, after(60), after(60));
        assert_eq!(account.left(LIMITS, after(60)), 0);
        assert_eq!(more_in(&account, 60), 12 * 3600 - 60, "the day is the later end");
        assert_eq!(account.left(LIMITS, after(12 * 3600)), 100);
    }

    #[test]
    fn what_is_held_back_is_not_left_and_comes_back_soon() {
        let mut account = Account::default();
        account.charge(20, NOON, NOON);
        account.hold(80);
        assert_eq!((account.left(LIMITS, NOON), account.spent_on(NOON)), (0, 20));
        assert_eq!(account.more_in(0, LIMITS, NOON), SOON);
        assert_eq!(account.more_in(79, LIMITS, NOON), SOON);
        assert_eq!(account.more_in(80, LIMITS, NOON), Duration::from_secs(60), "so much is not even held");
        assert_eq!(account.left(LIMITS, after(60)), 20, "it is held in every window");
        account.release(80);
        assert_eq!(account.left(LIMITS, NOON), 80);
    }

    #[test]
    fn no_limit_is_never_spent_and_a_correction_gives_back() {
        let mut account = Account::default();
        account.charge(i64::MAX, NOON, NOON);
        assert_eq!(account.left(Allowance::default(), NOON), u64::MAX);
        let mut account = Account::default();
        account.charge(90, NOON, NOON);
        account.charge(-50, NOON, NOON);
        assert_eq!((account.left(LIMITS, NOON), account.spent_on(NOON)), (60, 40));
        account.charge(90, after(60), after(60));
        account.charge(-90, NOON, after(60));
        assert_eq!(account.left(LIMITS, after(60)), 10, "of the minute before nothing is given back");
        assert_eq!(account.spent_on(after(60)), 40, "of the same day it is");
        assert_eq!(account.left(LIMITS, after(59)), 10, "a clock that is set back begins nothing anew");
    }

    proptest! {
        #[test]
        fn within_a_window_nothing_is_forgotten(charges in prop::collection::vec(0i64..200, 0..20), held in 0u64..200) {
            let mut account = Account::default();
            for tokens in &charges {
                account.charge(*tokens, NOON, NOON);
            }
            account.hold(held);
            let sum = u64::try_from(charges.iter().sum::<i64>()).unwrap();
            prop_assert_eq!(account.spent_on(NOON), sum);
            let left = 100u64.saturating_sub(sum).min(1000u64.saturating_sub(sum)).saturating_sub(held);
            prop_assert_eq!(account.left(LIMITS, NOON), left);
            prop_assert_eq!(account.more_in(0, LIMITS, NOON).is_zero(), left > 0);
        }
    }
}
