//! A circuit breaker: a target that fails again and again is left alone for a while, then tried by one caller.
//!
//! Counted are runs, not attempts: a run whose attempts at a target all failed is one failure. What the caller is to
//! blame for, what a filter refused and what was cancelled says nothing about the target and does not count.
//!
//! Pure: knows no time but the one it is told.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerRule {
    /// What opens it.
    pub trip: Trip,
    /// How long it stays open before one caller may try.
    pub open: Duration,
}

/// What opens a breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trip {
    /// So many failures in a row.
    InARow(u32),
    /// This share of failures among so many runs, the newest.
    Rate {
        /// From 0 to 1.
        share: f64,
        /// How many are looked at; fewer open nothing.
        of: usize,
    },
}

/// What a run says about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Good,
    /// It does not.
    Bad,
    /// Nothing.
    Unknown,
}

/// Leave to ask. What becomes of it is told to [`Breaker::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// One of many.
    Usual,
    /// The one that finds out whether the target is back.
    Probe,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everybody may ask.
    Closed,
    /// One caller is finding out whether the target is back.
    Probing,
    /// Nobody may ask before that time; then one caller may.
    Open(Instant),
}

impl BreakerState {
    /// As health reports say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Probing => "probing",
            Self::Open(_) => "open",
        }
    }

    /// As the metric `breaker_state` has it.
    #[must_use]
    pub const fn level(self) -> u32 {
        match self {
            Self::Closed => 0,
            Self::Probing => 1,
            Self::Open(_) => 2,
        }
    }
}

/// The breaker of one target.
#[derive(Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: BreakerState,
    /// Failures since the last success.
    in_a_row: u32,
    /// Whether the newest runs failed; at most as many as the rule looks at.
    newest: VecDeque<bool>,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(rule: BreakerRule) -> Self {
        Self { rule, state: BreakerState::Closed, in_a_row: 0, newest: VecDeque::new() }
    }

    /// How it stands.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.in_a_row
    }

    /// Asks for leave. `None` while the target is to be left alone.
    pub fn admit(&mut self, now: Instant) -> Option<Leave> {
        match self.state {
            BreakerState::Closed => Some(Leave::Usual),
            BreakerState::Open(until) if now >= until => {
                self.state = BreakerState::Probing;
                Some(Leave::Probe)
            }
            BreakerState::Open(_) | BreakerState::Probing => None,
        }
    }

    /// The target began to answer whom it gave `leave`: after a probe the others need not wait for the end of its
    /// answer. The first failure opens it again.
    pub fn begins(&mut self, leave: Leave) {
        if leave == Leave::Probe && self.state == BreakerState::Probing {
            self.state = BreakerState::Closed;
        }
    }

    /// A run that had `leave` is over.
    pub fn settle(&mut self, leave: Leave, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Good => self.good(now),
            Verdict::Bad => self.bad(leave, now),
            // The next caller may try.
            Verdict::Unknown if leave == Leave::Probe && self.state == BreakerState::Probing => {
                self.state = BreakerState::Open(now);
            }
            Verdict::Unknown => {}
        }
    }

    fn good(&mut self, now: Instant) {
        self.in_a_row = 0;
        match self.state {
            // A run that began before it opened says nothing about now, unless it would be tried now anyway.
            BreakerState::Open(until) if now < until => return,
            BreakerState::Open(_) | BreakerState::Probing => {
                self.state = BreakerState::Closed;
                self.newest.clear();
            }
            BreakerState::Closed => {}
        }
        self.note(false);
    }

    fn bad(&mut self, leave: Leave, now: Instant) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let opens = match (self.state, leave) {
            (BreakerState::Open(_), _) | (BreakerState::Probing, Leave::Usual) => false,
            (BreakerState::Probing | BreakerState::Closed, Leave::Probe) => true,
            (BreakerState::Closed, Leave::Usual) => {
                self.note(true);
                match self.rule.trip {
                    Trip::InARow(most) => self.in_a_row >= most,
                    Trip::Rate { share, of } => {
                        let failed = self.newest.iter().filter(|failed| **failed).count();
                        self.newest.len() >= of && failed as f64 >= share * of as f64
                    }
                }
            }
        };
        if opens {
            self.state = BreakerState::Open(now + self.rule.open);
            self.newest.clear();
        }
    }

    fn note(&mut self, failed: bool) {
        let Trip::Rate { of, .. } = self.rule.trip else { return };
        self.newest.push_back(failed);
        while self.newest.len() > of {
            self.newest.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPEN: Duration = Duration::from_secs(300);
    const RULE: BreakerRule = BreakerRule { trip: Trip::InARow(3), open: OPEN };

    /// A breaker and its time.
    struct Scene {
        breaker: Breaker,
        now: Instant,
    }

    impl Scene {
        fn new(rule: BreakerRule) -> Self {
            Self { breaker: Breaker::new(rule), now: Instant::now() }
        }

        fn run(&mut self, verdict: Verdict) -> Option<Leave> {
            let leave = self.breaker.admit(self.now)?;
            self.breaker.settle(leave, verdict, self.now);
            Some(leave)
        }

        fn is_open(&self) -> bool {
            matches!(self.breaker.state(), BreakerState::Open(_))
        }
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut scene = Scene::new(RULE);
        for verdict in [Verdict::Bad, Verdict::Bad, Verdict::Good, Verdict::Bad, Verdict::Unknown, Verdict::Bad] {
            assert_eq!(scene.run(verdict), Some(Leave::Usual));
        }
        assert!(!scene.is_open(), "never three in a row");
        scene.run(Verdict::Bad);
        assert!(scene.is_open());
        scene.now += OPEN - Duration::from_millis(1);
        assert_eq!(scene.breaker.admit(scene.now), None);
        scene.now += Duration::from_millis(1);
        assert_eq!(scene.breaker.admit(scene.now), Some(Leave::Probe));
        assert_eq!(scene.breaker.admit(scene.now), None, "one probe");
        scene.breaker.settle(Leave::Probe, Verdict::Good, scene.now);
        assert_eq!((scene.breaker.state(), scene.breaker.failures()), (BreakerState::Closed, 0));
    }

    #[test]
    fn a_probe_that_fails_opens_it_again_and_one_that_is_cancelled_lets_the_next_one_try() {
        let mut scene = Scene::new(BreakerRule { trip: Trip::InARow(1), ..RULE });
        scene.run(Verdict::Bad);
        scene.now += OPEN;
        assert_eq!(scene.run(Verdict::Unknown), Some(Leave::Probe));
        assert_eq!(scene.run(Verdict::Bad), Some(Leave::Probe));
        assert_eq!(scene.breaker.admit(scene.now), None);
        assert_eq!(scene.breaker.state(), BreakerState::Open(scene.now + OPEN));
    }

    #[test]
    fn a_probe_that_begins_to_answer_lets_the_others_in_and_its_failure_opens_it_again() {
        let mut scene = Scene::new(RULE);
        for _ in 0..3 {
            scene.run(Verdict::Bad);
        }
        scene.now += OPEN;
        assert_eq!(scene.breaker.admit(scene.now), Some(Leave::Probe));
        scene.breaker.begins(Leave::Probe);
        assert_eq!(scene.breaker.admit(scene.now), Some(Leave::Usual));
        scene.breaker.settle(Leave::Probe, Verdict::Bad, scene.now);
        assert!(scene.is_open());
        scene.breaker.settle(Leave::Usual, Verdict::Good, scene.now);
        assert!(scene.is_open(), "an answer that began before says nothing about now");
        scene.now += OPEN;
        scene.breaker.settle(Leave::Usual, Verdict::Good, scene.now);
        assert_eq!(scene.breaker.state(), BreakerState::Closed, "and one that ends later does");
    }

    #[test]
    fn a_rate_needs_its_minimum_of_runs() {
        let mut scene = Scene::new(BreakerRule { trip: Trip::Rate { share: 0.5, of: 4 }, open: OPEN });
        for verdict in [Verdict::Bad, Verdict::Bad, Verdict::Bad] {
            scene.run(verdict);
        }
        assert!(!scene.is_open(), "three are too few to tell");
        for verdict in [Verdict::Good, Verdict::Good, Verdict::Good] {
            scene.run(verdict);
        }
        scene.run(Verdict::Bad);
        assert!(!scene.is_open(), "one of the last four");
        scene.run(Verdict::Bad);
        assert!(scene.is_open(), "two of the last four");
    }

    proptest! {
        #[test]
        fn it_never_has_two_probes_and_never_stays_shut(
            steps in prop::collection::vec((0u8..4, 0usize..4, 0u64..400), 1..80),
        ) {
            let mut scene = Scene::new(RULE);
            let mut held: Vec<Leave> = Vec::new();
            for (verdict, which, seconds) in steps {
                scene.now += Duration::from_secs(seconds);
                let before = scene.breaker.state();
                if let Some(leave) = scene.breaker.admit(scene.now) {
                    prop_assert_eq!(leave == Leave::Probe, before != BreakerState::Closed);
                    prop_assert!(before != BreakerState::Probing, "two probes");
                    held.push(leave);
                }
                if verdict < 3 && !held.is_empty() {
                    let leave = held.swap_remove(which % held.len());
                    let verdict = [Verdict::Good, Verdict::Bad, Verdict::Unknown][usize::from(verdict)];
                    scene.breaker.settle(leave, verdict, scene.now);
                }
            }
            for leave in held {
                scene.breaker.settle(leave, Verdict::Unknown, scene.now);
            }
            prop_assert!(scene.breaker.admit(scene.now + OPEN).is_some());
        }
    }
}
