//! How many answers are written at once, of one user and in all; what is more waits in line, first come, first served.
//!
//! A run takes a [`Place`], waits until that is at its turn, and gives it back by dropping it. Who waits only for another
//! answer of the same user is passed by those of others. To come, to go and to move up costs the same however long the
//! line is: only those whose turn it is are woken. Where the others are is counted for all of them at once, and not more
//! often than they are told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{OverLimit, Spender};
use crate::{config::LimitsConfig, telemetry::metrics::RUNS_WAITING};

/// A user may have this part of the line at most, so that one alone cannot fill it.
const USERS_IN_LINE: usize = 8;
/// How often those who wait are told where they are, at the most.
const POSITION_EVERY: Duration = Duration::from_millis(500);

/// The line. By default nothing is limited.
#[derive(Debug, Default)]
pub struct Line {
    bounds: RwLock<Bounds>,
    state: Mutex<State>,
}

/// The most runs at once, 0 = no limit, and the most that wait.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    runs: usize,
    per_user: usize,
    waiting: usize,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Those who run or wait.
    users: HashMap<Spender, User>,
    /// All who wait, in the order in which they came.
    waiting: BTreeMap<u64, Arc<Waiter>>,
    /// The first in line of every user who may have one more answer.
    due: BTreeMap<u64, Spender>,
    next_number: u64,
    counted: Option<Instant>,
}

#[derive(Debug, Default)]
struct User {
    running: usize,
    waiting: BTreeSet<u64>,
}

/// Somebody in line.
#[derive(Debug, Default)]
struct Waiter {
    /// Where, from 1, as it was counted last; 0: it is its turn.
    position: AtomicUsize,
    come: Notify,
}

impl Waiter {
    fn position(&self) -> Option<usize> {
        Some(self.position.load(Ordering::Acquire)).filter(|position| *position > 0)
    }
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self { bounds: RwLock::new(Bounds::new(config)), state: Mutex::default() }
    }

    /// From now on as `config` says. Answers that are written go on; those that wait move up where there is more room, and
    /// answers that began while nothing was limited are not counted.
    pub fn change(&self, config: &LimitsConfig) {
        let bounds = Bounds::new(config);
        // Under both: nobody enters by the old bounds and is looked at by the new ones.
        let (mut current, mut state) = (self.bounds.write(), self.state.lock());
        *current = bounds;
        state.due.clear(); // Who was due by the old bounds need not be by these.
        let users: Vec<_> = state.users.keys().cloned().collect();
        for user in users {
            state.look_at(&user, bounds);
        }
        state.advance(bounds);
    }

    /// Whether another run may begin, or wait.
    ///
    /// # Errors
    /// [`OverLimit::LineFull`].
    pub fn check(&self, spender: &Spender) -> Result<(), OverLimit> {
        let bounds = *self.bounds.read();
        if bounds.are_none() {
            return Ok(());
        }
        let state = self.state.lock();
        let (runs, waits) = state.users.get(spender).map_or((0, 0), |user| (user.running, user.waiting.len()));
        if !bounds.are_reached(&state) && bounds.allow(runs) {
            return Ok(()); // It need not wait.
        }
        let is_one_of_many = spender.0.is_some();
        let is_full = state.waiting.len() >= bounds.waiting
            || (is_one_of_many && waits >= bounds.waiting.div_ceil(USERS_IN_LINE));
        if is_full { Err(OverLimit::LineFull) } else { Ok(()) }
    }

    /// Takes a place at the end of the line. Who asked [`check`](Self::check) before is let in, whoever came in between.
    #[must_use]
    pub fn enter(self: &Arc<Self>, spender: Spender) -> Place {
        let waiter = Arc::<Waiter>::default();
        let bounds = self.bounds.read();
        let number = (!bounds.are_none()).then(|| {
            let mut state = self.state.lock();
            let number = state.enter(&spender, &waiter, *bounds);
            state.advance(*bounds);
            number
        });
        drop(bounds);
        Place { line: self.clone(), spender, number, waiter }
    }

    /// Counts where everybody is, unless that was just done.
    fn count(&self, now: Instant) {
        let bounds = *self.bounds.read();
        let mut state = self.state.lock();
        if state.counted.is_none_or(|counted| now - counted >= POSITION_EVERY / 2) {
            state.counted = Some(now);
            state.count(bounds);
        }
    }
}

impl Bounds {
    const fn new(config: &LimitsConfig) -> Self {
        Self { runs: config.runs, per_user: config.runs_per_user, waiting: config.waiting_runs }
    }

    const fn are_none(self) -> bool {
        self.runs == 0 && self.per_user == 0
    }

    const fn are_reached(self, state: &State) -> bool {
        self.runs > 0 && state.running >= self.runs
    }

    /// Whether a user who has so many answers may have one more.
    const fn allow(self, running: usize) -> bool {
        self.per_user == 0 || running < self.per_user
    }
}

impl State {
    /// Puts somebody at the end of the line; the number.
    fn enter(&mut self, spender: &Spender, waiter: &Arc<Waiter>, bounds: Bounds) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let user = self.users.entry(spender.clone()).or_default();
        user.waiting.insert(number);
        let of_user = user.waiting.len();
        self.waiting.insert(number, waiter.clone());
        let position = if bounds.are_reached(self) { self.waiting.len() } else { of_user };
        waiter.position.store(position, Ordering::Release);
        self.look_at(spender, bounds);
        number
    }

    /// Takes somebody out, who waits or runs.
    fn leave(&mut self, spender: &Spender, number: u64, bounds: Bounds) {
        let Some(user) = self.users.get_mut(spender) else { return };
        if self.waiting.remove(&number).is_some() {
            user.waiting.remove(&number);
            self.due.remove(&number);
        } else {
            user.running -= 1;
            self.running -= 1;
        }
        self.look_at(spender, bounds);
    }

    /// Lets everybody run who may, and tells how many still wait.
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    fn advance(&mut self, bounds: Bounds) {
        while !bounds.are_reached(self)
            && let Some((number, spender)) = self.due.pop_first()
        {
            let Some(waiter) = self.waiting.remove(&number) else { continue };
            let user = self.users.entry(spender.clone()).or_default();
            user.waiting.remove(&number);
            user.running += 1;
            self.running += 1;
            self.look_at(&spender, bounds);
            waiter.position.store(0, Ordering::Release);
            waiter.come.notify_one();
        }
        metrics::gauge!(RUNS_WAITING).set(self.waiting.len() as f64);
    }

    /// Notes the first in line of a user, when that one is due, and forgets a user who is gone.
    fn look_at(&mut self, spender: &Spender, bounds: Bounds) {
        let Some(user) = self.users.get(spender) else { return };
        match user.waiting.first() {
            Some(first) if bounds.allow(user.running) => drop(self.due.insert(*first, spender.clone())),
            None if user.running == 0 => drop(self.users.remove(spender)),
            _ => {}
        }
    }

    /// Tells everybody how many have to run before, themselves included: of all who wait, or where there is room for more,
    /// of the same user.
    fn count(&self, bounds: Bounds) {
        let tell = |(waiter, position): (&Arc<Waiter>, usize)| waiter.position.store(position, Ordering::Release);
        if bounds.are_reached(self) {
            return self.waiting.values().zip(1..).for_each(tell);
        }
        for user in self.users.values() {
            user.waiting.iter().filter_map(|number| self.waiting.get(number)).zip(1..).for_each(tell);
        }
    }
}

/// A place in the line, and then among those that run. Given back when dropped.
#[derive(Debug)]
pub struct Place {
    line: Arc<Line>,
    spender: Spender,
    /// Among those that are counted; none where nothing was limited.
    number: Option<u64>,
    waiter: Arc<Waiter>,
}

impl Place {
    /// Where it is in line, or was a moment ago; `None` when its turn has come.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.waiter.position()
    }

    /// Waits until its turn has come: `None`. Or until it is somewhere else than at `position`, and tells where; but
    /// not within half a second, for in a long line everybody moves all the time.
    pub async fn moved_from(&self, position: usize) -> Option<usize> {
        loop {
            tokio::select! {
                () = self.waiter.come.notified() => return None,
                () = sleep(POSITION_EVERY) => self.line.count(Instant::now()),
            }
            match self.position() {
                Some(now) if now == position => {}
                moved => return moved,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let bounds = self.line.bounds.read();
            let mut state = self.line.state.lock();
            state.leave(&self.spender, number, *bounds);
            state.advance(*bounds);
        }
    }
}

#[cfg(test)]
mod tests {
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
}
