//! A circuit breaker: a target that fails again and again is left alone for a while, then tried by one caller.
//!
//! Counted are runs, not attempts: a run whose attempts at a target all failed is one failure. What the caller is to
//! blame for, what a filter refused and what was cancelled says nothing about the target and does not count. Of what is
//! left, one caller's failures are at most half of what opens it: alone, they shut it for that caller. Callers who need
//! not say who they are cannot be told apart, and count as everybody.
//!
//! Pure: knows no time but the one it is told. Uses `chat`.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::chat::Owner;

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
pub enum Permit {
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

/// Who asked.
type Asker = Option<Owner>;

/// The breaker of one target.
#[derive(Debug)]
pub struct Breaker {
    rule: BreakerRule,
    state: BreakerState,
    /// Failures since the last success.
    in_a_row: u32,
    /// Whose failures the newest ones of these were; at most twice as many as the rule looks at.
    row: VecDeque<Asker>,
    /// The newest runs, and whether they failed; at most as many as the rule looks at.
    newest: VecDeque<(Asker, bool)>,
    /// A caller for whom alone it is shut, and until when.
    shut_for: Option<(Owner, Instant)>,
    /// Whose probe failed, since it opened: one more has to.
    probed_by: Option<Owner>,
}

/// For whom failures open it.
#[derive(Debug, PartialEq, Eq)]
enum Opens {
    Everybody,
    One(Owner),
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(rule: BreakerRule) -> Self {
        Self {
            rule,
            state: BreakerState::Closed,
            in_a_row: 0,
            row: VecDeque::new(),
            newest: VecDeque::new(),
            shut_for: None,
            probed_by: None,
        }
    }

    /// How it stands for everybody.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.in_a_row
    }

    /// Whether `who` would get leave now.
    #[must_use]
    pub fn may_admit(&self, who: Option<&Owner>, now: Instant) -> bool {
        if self.shut_for.as_ref().is_some_and(|(owner, until)| who == Some(owner) && now < *until) {
            return false;
        }
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Open(until) => now >= until,
            BreakerState::Probing => false,
        }
    }

    /// Asks for leave. `None` while the target is to be left alone.
    pub fn admit(&mut self, who: Option<&Owner>, now: Instant) -> Option<Permit> {
        if !self.may_admit(who, now) {
            return None;
        }
        if self.state == BreakerState::Closed {
            return Some(Permit::Usual);
        }
        self.state = BreakerState::Probing;
        Some(Permit::Probe)
    }

    /// The target began to answer whom it gave `permit`: after a probe the others need not wait for the end of its
    /// answer. The first failure opens it again.
    pub fn begins(&mut self, permit: Permit) {
        if permit == Permit::Probe && self.state == BreakerState::Probing {
            self.state = BreakerState::Closed;
        }
    }

    /// A run of `who` that had `permit` is over.
    pub fn settle(&mut self, permit: Permit, who: Option<&Owner>, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Good => self.good(who, now),
            Verdict::Bad => self.bad(permit, who, now),
            // The next caller may try.
            Verdict::Unknown if permit == Permit::Probe && self.state == BreakerState::Probing => {
                self.state = BreakerState::Open(now);
            }
            Verdict::Unknown => {}
        }
    }

    fn good(&mut self, who: Option<&Owner>, now: Instant) {
        self.in_a_row = 0;
        self.row.clear();
        match self.state {
            // A run that began before it opened says nothing about now, unless it would be tried now anyway.
            BreakerState::Open(until) if now < until => return,
            BreakerState::Open(_) | BreakerState::Probing => {
                self.state = BreakerState::Closed;
                self.newest.clear();
            }
            BreakerState::Closed => {}
        }
        self.shut_for = None;
        self.probed_by = None;
        self.note(who, false);
    }

    fn bad(&mut self, permit: Permit, who: Option<&Owner>, now: Instant) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        match (self.state, permit) {
            (BreakerState::Open(_), _) | (BreakerState::Probing, Permit::Usual) => {}
            (BreakerState::Probing | BreakerState::Closed, Permit::Probe) => match who {
                // What one caller's probe says may be that caller's doing: another one tries at once.
                Some(owner) if self.probed_by.as_ref().is_none_or(|other| other == owner) => {
                    self.probed_by = Some(owner.clone());
                    self.shut_for = Some((owner.clone(), now + self.rule.open));
                    self.state = BreakerState::Open(now);
                }
                _ => self.open(now),
            },
            (BreakerState::Closed, Permit::Usual) => {
                self.note(who, true);
                match self.opens() {
                    Some(Opens::Everybody) => self.open(now),
                    Some(Opens::One(owner)) => self.shut_for = Some((owner, now + self.rule.open)),
                    None => {}
                }
            }
        }
    }

    fn open(&mut self, now: Instant) {
        self.state = BreakerState::Open(now + self.rule.open);
        self.newest.clear();
        self.row.clear();
        self.shut_for = None;
        self.probed_by = None;
    }

    fn note(&mut self, who: Option<&Owner>, failed: bool) {
        let (list, most) = match self.rule.trip {
            Trip::InARow(most) if failed => {
                self.row.push_back(who.cloned());
                (self.row.len(), 2 * most.max(1) as usize)
            }
            Trip::InARow(_) => return,
            Trip::Rate { of, .. } => {
                self.newest.push_back((who.cloned(), failed));
                (self.newest.len(), of)
            }
        };
        if list > most {
            self.row.pop_front();
            self.newest.pop_front();
        }
    }

    /// For whom the failures are enough.
    fn opens(&self) -> Option<Opens> {
        match self.rule.trip {
            Trip::InARow(most) => opens(self.row.iter(), most.max(1) as usize),
            Trip::Rate { of, .. } if self.newest.len() < of => None,
            Trip::Rate { share, of } => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `of`")]
                let enough = (share * of as f64).ceil().max(1.0) as usize;
                opens(self.newest.iter().filter(|(_, failed)| *failed).map(|(who, _)| who), enough)
            }
        }
    }
}

/// Whether failures of these are `enough`, and for whom.
fn opens<'a>(failed: impl Iterator<Item = &'a Asker>, enough: usize) -> Option<Opens> {
    let mut counts: Vec<(&Asker, usize)> = Vec::new();
    for who in failed {
        match counts.iter_mut().find(|(known, _)| *known == who) {
            Some((_, count)) => *count += 1,
            None => counts.push((who, 1)),
        }
    }
    let half = enough.div_ceil(2);
    let heard: usize = counts.iter().map(|(who, count)| if who.is_some() { half.min(*count) } else { *count }).sum();
    let are_several = counts.len() > 1 || counts.iter().any(|(who, _)| who.is_none());
    if heard >= enough && are_several {
        return Some(Opens::Everybody);
    }
    let alone = counts.into_iter().find(|(_, count)| *count >= enough)?.0.clone();
    Some(alone.map_or(Opens::Everybody, Opens::One))
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

        fn run(&mut self, verdict: Verdict) -> Option<Permit> {
            self.run_of(None, verdict)
        }

        fn run_of(&mut self, who: Option<&Owner>, verdict: Verdict) -> Option<Permit> {
            let permit = self.breaker.admit(who, self.now)?;
            self.breaker.settle(permit, who, verdict, self.now);
            Some(permit)
        }

        fn is_open(&self) -> bool {
            matches!(self.breaker.state(), BreakerState::Open(_))
        }
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_one_probe_closes_it() {
        let mut scene = Scene::new(RULE);
        for verdict in [Verdict::Bad, Verdict::Bad, Verdict::Good, Verdict::Bad, Verdict::Unknown, Verdict::Bad] {
            assert_eq!(scene.run(verdict), Some(Permit::Usual));
        }
        assert!(!scene.is_open(), "never three in a row");
        scene.run(Verdict::Bad);
        assert!(scene.is_open());
        scene.now += OPEN - Duration::from_millis(1);
        assert_eq!(scene.breaker.admit(None, scene.now), None);
        scene.now += Duration::from_millis(1);
        assert_eq!(scene.breaker.admit(None, scene.now), Some(Permit::Probe));
        assert_eq!(scene.breaker.admit(None, scene.now), None, "one probe");
        scene.breaker.settle(Permit::Probe, None, Verdict::Good, scene.now);
        assert_eq!((scene.breaker.state(), scene.breaker.failures()), (BreakerState::Closed, 0));
    }

    #[test]
    fn a_probe_that_fails_opens_it_again_and_one_that_is_cancelled_lets_the_next_one_try() {
        let mut scene = Scene::new(BreakerRule { trip: Trip::InARow(1), ..RULE });
        scene.run(Verdict::Bad);
        scene.now += OPEN;
        assert_eq!(scene.run(Verdict::Unknown), Some(Permit::Probe));
        assert_eq!(scene.run(Verdict::Bad), Some(Permit::Probe));
        assert_eq!(scene.breaker.admit(None, scene.now), None);
        assert_eq!(scene.breaker.state(), BreakerState::Open(scene.now + OPEN));
    }

    #[test]
    fn a_probe_that_begins_to_answer_lets_the_others_in_and_its_failure_opens_it_again() {
        let mut scene = Scene::new(RULE);
        for _ in 0..3 {
            scene.run(Verdict::Bad);
        }
        scene.now += OPEN;
        assert_eq!(scene.breaker.admit(None, scene.now), Some(Permit::Probe));
        scene.breaker.begins(Permit::Probe);
        assert_eq!(scene.breaker.admit(None, scene.now), Some(Permit::Usual));
        scene.breaker.settle(Permit::Probe, None, Verdict::Bad, scene.now);
        assert!(scene.is_open());
        scene.breaker.settle(Permit::Usual, None, Verdict::Good, scene.now);
        assert!(scene.is_open(), "an answer that began before says nothing about now");
        scene.now += OPEN;
        scene.breaker.settle(Permit::Usual, None, Verdict::Good, scene.now);
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

    #[test]
    fn one_callers_failures_shut_it_for_that_caller_and_anothers_open_it_for_all() {
        let (ann, bob) = (Owner::new("a/ann"), Owner::new("a/bob"));
        let mut scene = Scene::new(RULE);
        for _ in 0..3 {
            assert!(scene.run_of(Some(&ann), Verdict::Bad).is_some());
        }
        assert_eq!(scene.breaker.state(), BreakerState::Closed);
        assert_eq!(scene.run_of(Some(&ann), Verdict::Bad), None, "shut for her");
        assert_eq!(scene.run_of(Some(&bob), Verdict::Unknown), Some(Permit::Usual));
        assert_eq!(scene.run_of(Some(&bob), Verdict::Bad), Some(Permit::Usual));
        assert!(scene.is_open() && scene.run_of(None, Verdict::Good).is_none(), "two have seen it");

        // A probe that fails for one lets another one try at once.
        scene.now += OPEN;
        assert_eq!(scene.run_of(Some(&ann), Verdict::Bad), Some(Permit::Probe));
        assert_eq!(scene.run_of(Some(&ann), Verdict::Bad), None);
        assert_eq!(scene.run_of(Some(&bob), Verdict::Bad), Some(Permit::Probe));
        assert_eq!(scene.run_of(None, Verdict::Bad), None);
        scene.now += OPEN;
        assert_eq!(scene.run_of(Some(&ann), Verdict::Bad), Some(Permit::Probe));
        assert_eq!(scene.run_of(Some(&bob), Verdict::Good), Some(Permit::Probe));
        assert_eq!(scene.run_of(Some(&ann), Verdict::Bad), Some(Permit::Usual), "it answers");

        let mut scene = Scene::new(BreakerRule { trip: Trip::InARow(1), open: OPEN });
        scene.run_of(Some(&ann), Verdict::Bad);
        assert!(scene.run_of(Some(&bob), Verdict::Bad).is_some() && scene.is_open());
        let mut scene = Scene::new(BreakerRule { trip: Trip::Rate { share: 0.5, of: 4 }, open: OPEN });
        for _ in 0..4 {
            scene.run_of(Some(&ann), Verdict::Bad);
        }
        assert!(!scene.is_open() && scene.run_of(Some(&ann), Verdict::Bad).is_none());
        scene.run_of(Some(&bob), Verdict::Bad);
        assert!(scene.is_open());
    }

    proptest! {
        /// Whatever one caller does, nobody else is refused for it.
        #[test]
        fn one_caller_takes_it_from_nobody(
            steps in prop::collection::vec((0u8..3, 0u64..400), 1..60), most in 1u32..5, share in 0.1f64..1.0, by_rate: bool,
        ) {
            let trip = if by_rate { Trip::Rate { share, of: most as usize } } else { Trip::InARow(most) };
            let mut scene = Scene::new(BreakerRule { trip, open: OPEN });
            let (ann, bob) = (Owner::new("a/ann"), Owner::new("a/bob"));
            for (verdict, seconds) in steps {
                scene.now += Duration::from_secs(seconds);
                scene.run_of(Some(&ann), [Verdict::Good, Verdict::Bad, Verdict::Unknown][usize::from(verdict)]);
                prop_assert!(scene.breaker.may_admit(Some(&bob), scene.now) && scene.breaker.may_admit(None, scene.now));
            }
        }

        #[test]
        fn it_never_has_two_probes_and_never_stays_shut(
            steps in prop::collection::vec((0u8..4, 0usize..4, 0u64..400), 1..80),
        ) {
            let mut scene = Scene::new(RULE);
            let mut held: Vec<Permit> = Vec::new();
            for (verdict, which, seconds) in steps {
                scene.now += Duration::from_secs(seconds);
                let before = scene.breaker.state();
                if let Some(permit) = scene.breaker.admit(None, scene.now) {
                    prop_assert_eq!(permit == Permit::Probe, before != BreakerState::Closed);
                    prop_assert!(before != BreakerState::Probing, "two probes");
                    held.push(permit);
                }
                if verdict < 3 && !held.is_empty() {
                    let permit = held.swap_remove(which % held.len());
                    let verdict = [Verdict::Good, Verdict::Bad, Verdict::Unknown][usize::from(verdict)];
                    scene.breaker.settle(permit, None, verdict, scene.now);
                }
            }
            for permit in held {
                scene.breaker.settle(permit, None, Verdict::Unknown, scene.now);
            }
            prop_assert!(scene.breaker.admit(None, scene.now + OPEN).is_some());
        }
    }
}
