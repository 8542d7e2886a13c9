//! When it opens, for whom, and when it closes again.

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
