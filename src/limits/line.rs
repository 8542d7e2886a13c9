//! How many answers are written at once, of one user and in all; what is more waits in line, first come, first served.
//!
//! A run takes a [`Place`], waits until that is at its turn, and gives it back by dropping it. Who waits only for another
//! answer of the same user is passed by those of others. To come, to go and to move up costs the same however long the
//! line is: only those whose turn it is are woken. Where the others are is counted for all of them at once, and not more
//! often than they are told.
//!
//! With a Redis the numbers hold for all gateways together: lines stay where they are, and whoever comes to the head of one
//! takes a seat that all know of. While it is away, each gateway has its share.

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
use tokio_util::sync::CancellationToken;

use super::{
    OverLimit, Spender,
    seats::{Seat, Seats},
};
use crate::{config::LimitsConfig, ephemeral::Redis, store::SessionStore, telemetry::metrics::RUNS_WAITING};

/// A user may have this part of the line at most, so that one alone cannot fill it.
const USERS_IN_LINE: usize = 8;
/// How often those who wait are told where they are, at the most.
const POSITION_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether the seats of others are known.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The line. By default nothing is limited.
#[derive(Debug, Default)]
pub struct Line {
    bounds: RwLock<Bounds>,
    state: Mutex<State>,
    seats: Option<Arc<Seats>>,
}

/// The most runs at once, 0 = no limit, and the most that wait.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    runs: usize,
    per_user: usize,
    waiting: usize,
    /// How many gateways share them: 1 where each knows of the others' answers.
    gateways: usize,
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
        Self { bounds: RwLock::new(Bounds::new(config)), state: Mutex::default(), seats: None }
    }

    /// The same, where the answers of all gateways count that have this `redis`.
    #[must_use]
    pub fn together(self, redis: Arc<Redis>) -> Self {
        Self { seats: Some(Seats::over(redis)), ..self }
    }

    /// Keeps the seats of answers that are being written here, until `stop`. While those of others are not known, there are
    /// as many here as a gateway's share is among those of this `store`.
    pub async fn keep(self: Arc<Self>, store: Arc<dyn SessionStore>, stop: CancellationToken) {
        let Some(seats) = &self.seats else { return };
        let sharing = async {
            loop {
                let gateways = if seats.are_known() { 1 } else { store.lease().nodes };
                if self.bounds.read().gateways != gateways {
                    self.change_bounds(|bounds| Bounds { gateways, ..bounds });
                }
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            () = seats.keep(stop.clone()) => {}
            () = sharing => {}
        }
    }

    /// From now on as `config` says. Answers that are written go on; those that wait move up where there is more room, and
    /// answers that began while nothing was limited are not counted.
    pub fn change(&self, config: &LimitsConfig) {
        self.change_bounds(|bounds| Bounds { gateways: bounds.gateways, ..Bounds::new(config) });
    }

    fn change_bounds(&self, change: impl FnOnce(Bounds) -> Bounds) {
        // Under both: nobody enters by the old bounds and is looked at by the new ones.
        let (mut current, mut state) = (self.bounds.write(), self.state.lock());
        let bounds = change(*current);
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
        Place { line: self.clone(), spender, number, waiter, own: None, of_all: None }
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
        Self { runs: config.runs, per_user: config.runs_per_user, waiting: config.waiting_runs, gateways: 1 }
    }

    const fn are_none(self) -> bool {
        self.runs == 0 && self.per_user == 0
    }

    fn are_reached(self, state: &State) -> bool {
        self.runs > 0 && state.running >= self.share(self.runs)
    }

    /// Whether a user who has so many answers may have one more.
    fn allow(self, running: usize) -> bool {
        self.per_user == 0 || running < self.share(self.per_user)
    }

    /// What of so many is this gateway's; at least one.
    fn share(self, most: usize) -> usize {
        most.checked_div(self.gateways).unwrap_or(most).max(1)
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
    /// Its seats among those of all gateways: of its user, and of all.
    own: Option<Seat>,
    of_all: Option<Seat>,
}

impl Place {
    /// Where it is in line, or was a moment ago; `None` when its turn has come.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.waiter.position()
    }

    /// Takes its seats among those of all gateways, where they are counted; whether there were any. Asked when its turn
    /// has come.
    pub async fn take_seats(&mut self) -> bool {
        let Some((seats, bounds)) = self.shared() else { return true };
        if bounds.per_user > 0 {
            self.own = seats.take(Seats::of(&self.spender), bounds.per_user).await;
        }
        if bounds.runs > 0
            && (bounds.per_user == 0 || self.own.is_some())
            && let Ok(_nobody_waits) = seats.turn.try_lock()
        {
            self.of_all = seats.take(Seats::of_all(), bounds.runs).await;
        }
        (bounds.per_user == 0 || self.own.is_some()) && (bounds.runs == 0 || self.of_all.is_some())
    }

    /// Waits for those that it did not get, in the order in which others here do.
    pub async fn wait_for_seats(&mut self) {
        let Some((seats, bounds)) = self.shared() else { return };
        if bounds.per_user > 0 && self.own.is_none() {
            self.own = Some(seats.wait(Seats::of(&self.spender), bounds.per_user).await);
        }
        if bounds.runs > 0 && self.of_all.is_none() {
            let _turn = seats.turn.lock().await;
            self.of_all = Some(seats.wait(Seats::of_all(), bounds.runs).await);
        }
    }

    fn shared(&self) -> Option<(Arc<Seats>, Bounds)> {
        let bounds = *self.line.bounds.read();
        self.line.seats.clone().filter(|_| self.number.is_some()).map(|seats| (seats, bounds))
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
mod tests;
