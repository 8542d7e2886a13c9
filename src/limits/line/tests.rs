//! The line, and a model of it.

use std::task::{Context, Wake, Waker};

use proptest::prelude::*;

use super::*;
use crate::chat::Owner;

fn line(runs: usize, runs_per_user: usize) -> Arc<Line> {
    Arc::new(Line::new(&LimitsConfig { runs, runs_per_user, waiting_runs: 2, ..LimitsConfig::default() }))
}

fn user(name: &str) -> Spender {
    Spender::new(Some(&Owner::new(name)))
}

/// Where they are at this moment.
fn positions<const N: usize>(places: [&Place; N]) -> [Option<usize>; N] {
    let line = &places[0].line;
    line.state.lock().count(*line.bounds.read());
    places.map(Place::position)
}

#[test]
fn the_line_moves_up_in_order() {
    let line = line(1, 0);
    let first = line.enter(user("a"));
    let (second, third) = (line.enter(user("a")), line.enter(user("b")));
    assert_eq!([&first, &second, &third].map(Place::position), [None, Some(1), Some(2)]);
    assert_eq!(line.check(&user("c")), Err(OverLimit::LineFull));
    drop(second);
    assert_eq!((positions([&third]), line.check(&user("c"))), ([Some(1)], Ok(())));
    assert_eq!(line.check(&user("b")), Err(OverLimit::LineFull), "b has its part of the line");
    drop(first);
    assert_eq!(third.position(), None);
}

#[test]
fn while_the_answers_of_others_are_not_known_a_gateway_has_its_share() {
    let line = line(6, 2);
    let many: Vec<_> = ["a", "a", "b", "c", "d"].map(|name| line.enter(user(name))).into();
    assert!(many.iter().all(|place| place.position().is_none()));
    line.change_bounds(|bounds| Bounds { gateways: 3, ..bounds });
    let waits = line.enter(user("e"));
    assert!(waits.position().is_some(), "two at once are a third of six");
    line.change(&LimitsConfig { runs: 30, runs_per_user: 2, ..LimitsConfig::default() });
    assert_eq!(waits.position(), None);
    assert!(
        line.enter(user("e")).position().is_some(),
        "of two of a user a third is less than one, and one is the least"
    );
    line.change_bounds(|bounds| Bounds { gateways: 1, ..bounds });
    assert_eq!(line.enter(user("e")).position(), None);
}

#[test]
fn new_bounds_hold_for_who_waits() {
    let line = line(2, 0);
    let bounds = |runs, runs_per_user| LimitsConfig { runs, runs_per_user, ..LimitsConfig::default() };
    let mut own: Vec<_> = (0..3).map(|_| line.enter(user("a"))).collect();
    line.change(&bounds(3, 1));
    assert!(own[2].position().is_some(), "there is room for one more, and not for one of theirs");
    assert_eq!(line.enter(user("b")).position(), None);
    own.remove(0);
    assert!(own[1].position().is_some(), "one is one at once");
    own.remove(0);
    assert_eq!(own[0].position(), None);
    let (second, third) = (line.enter(user("a")), line.enter(user("a")));
    assert!(second.position().is_some() && third.position().is_some());
    line.change(&bounds(0, 2));
    assert!(second.position().is_none() && third.position().is_some());
    line.change(&bounds(0, 0));
    assert_eq!(third.position(), None);
    drop((own, second, third));
    assert!(line.state.lock().users.is_empty());
}

#[test]
fn who_waits_for_himself_is_passed_by_others() {
    let line = line(3, 1);
    let first = line.enter(user("a"));
    let waits = line.enter(user("a"));
    let waits_too = line.enter(user("a"));
    let other = line.enter(user("b"));
    assert_eq!([&first, &waits, &waits_too, &other].map(Place::position), [None, Some(1), Some(2), None]);
    let third = line.enter(user("c"));
    assert_eq!((third.position(), line.enter(user("d")).position()), (None, Some(3)), "the gateway is full");
    assert_eq!(positions([&waits, &waits_too]), [Some(1), Some(2)]);
    drop(first);
    assert_eq!(positions([&waits, &waits_too]), [None, Some(1)]);
}

#[test]
fn who_need_not_wait_comes_in_however_long_the_line_is() {
    let line = line(0, 1);
    let _all: Vec<_> = (0..3).map(|_| line.enter(user("a"))).collect();
    assert_eq!(line.check(&user("a")), Err(OverLimit::LineFull));
    assert_eq!(line.check(&user("b")), Ok(()));
}

#[tokio::test]
async fn who_waits_hears_of_it() {
    let line = line(1, 0);
    let first = line.enter(user("a"));
    let second = line.enter(user("b"));
    let mut moved = std::pin::pin!(second.moved_from(1));
    assert!(futures_util::poll!(&mut moved).is_pending());
    drop(first);
    assert_eq!(moved.await, None);
    let third = line.enter(user("c"));
    let fourth = line.enter(user("d"));
    drop(third);
    assert_eq!(fourth.moved_from(2).await, Some(1));
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn who_leaves_wakes_nobody_but_who_may_run() {
    let line = line(1, 0);
    let first = line.enter(user("a"));
    let waiting: Vec<_> = (0..100).map(|_| line.enter(user("b"))).collect();
    let mut moves: Vec<_> = waiting.iter().map(|place| Box::pin(place.moved_from(1))).collect();
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(woken.clone());
    for moved in &mut moves {
        assert!(moved.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

#[test]
fn nothing_is_remembered_of_who_is_gone() {
    let line = line(2, 1);
    let places: Vec<_> = (0..50).map(|n| line.enter(user(&(n % 7).to_string()))).collect();
    drop(places);
    let state = line.state.lock();
    assert!(state.users.is_empty() && state.waiting.is_empty() && state.due.is_empty() && state.running == 0);
}

proptest! {
    #[test]
    fn the_bounds_hold_and_nobody_is_left_waiting(
        runs in 0usize..4, per_user in 0usize..3, steps in prop::collection::vec((0usize..3, 0usize..40), 0..60),
    ) {
        let line = line(runs, per_user);
        let mut places: Vec<(usize, Place)> = Vec::new();
        for (who, what) in steps {
            if what % 2 == 0 || places.is_empty() {
                places.push((who, line.enter(user(&who.to_string()))));
            } else {
                places.swap_remove(what % places.len());
            }
            let running = |of: Option<usize>| {
                places.iter().filter(|(who, place)| of.is_none_or(|of| of == *who) && place.position().is_none()).count()
            };
            prop_assert!(runs == 0 || running(None) <= runs);
            let is_full = runs > 0 && running(None) == runs;
            for who in 0..3 {
                let own = running(Some(who));
                prop_assert!(per_user == 0 || own <= per_user);
                let waits = places.iter().any(|(other, place)| *other == who && place.position().is_some());
                prop_assert!(!waits || is_full || (per_user > 0 && own == per_user), "nobody waits in vain");
            }
        }
    }
}
