//! How many answers are written at once, of one user and in all; what is more waits in line, first come, first served.
//!
//! A run takes a [`Place`], waits until that is at its turn, and gives it back by dropping it. Who waits only for another
//! answer of the same user is passed by those of others.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

use super::{Refusal, Spender};
use crate::config::LimitsConfig;

/// A user may have this part of the line at most, so that one alone cannot fill it.
const USERS_IN_LINE: usize = 8;
/// How often those who wait are told where they are, at the most.
const POSITION_EVERY: Duration = Duration::from_millis(500);

/// The line. By default nothing is limited.
#[derive(Debug, Default)]
pub struct Line {
    /// The most runs at once, in all and of one user; 0 = no limit.
    runs: usize,
    runs_per_user: usize,
    /// The most that wait.
    most_waiting: usize,
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    running_of: HashMap<Spender, usize>,
    waiting: VecDeque<(u64, Spender)>,
    next_number: u64,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            runs: config.runs,
            runs_per_user: config.runs_per_user,
            most_waiting: config.waiting_runs,
            state: Mutex::default(),
            moved: Notify::new(),
        }
    }

    /// Whether another run may begin, or wait.
    ///
    /// # Errors
    /// [`Refusal::LineFull`].
    pub fn check(&self, spender: &Spender) -> Result<(), Refusal> {
        if self.is_unlimited() {
            return Ok(());
        }
        let state = self.state.lock();
        let runs = state.running_of.get(spender).copied().unwrap_or(0);
        if !self.is_full(&state) && (self.runs_per_user == 0 || runs < self.runs_per_user) {
            return Ok(()); // It need not wait.
        }
        let waits = state.waiting.iter().filter(|(_, other)| other == spender).count();
        let is_one_of_many = spender.0.is_some();
        let is_full = state.waiting.len() >= self.most_waiting
            || (is_one_of_many && waits >= self.most_waiting.div_ceil(USERS_IN_LINE));
        if is_full { Err(Refusal::LineFull) } else { Ok(()) }
    }

    /// Takes a place at the end of the line. Who asked [`check`](Self::check) before is let in, whoever came in between.
    #[must_use]
    pub fn enter(self: &Arc<Self>, spender: Spender) -> Place {
        let mut number = 0;
        if !self.is_unlimited() {
            let mut state = self.state.lock();
            number = state.next_number;
            state.next_number += 1;
            state.waiting.push_back((number, spender.clone()));
            self.advance(&mut state);
        }
        Place { line: self.clone(), spender, number }
    }

    const fn is_unlimited(&self) -> bool {
        self.runs == 0 && self.runs_per_user == 0
    }

    /// Lets everybody run who may.
    fn advance(&self, state: &mut State) {
        let mut at = 0;
        while at < state.waiting.len() && !self.is_full(state) {
            let spender = &state.waiting[at].1;
            if self.runs_per_user > 0 && state.running_of.get(spender).copied().unwrap_or(0) >= self.runs_per_user {
                at += 1;
                continue;
            }
            if let Some((_, spender)) = state.waiting.remove(at) {
                state.running += 1;
                *state.running_of.entry(spender).or_default() += 1;
            }
        }
    }

    const fn is_full(&self, state: &State) -> bool {
        self.runs > 0 && state.running >= self.runs
    }

    /// Where the place of this number is in line, from 1: how many have to run before, itself included. `None` when
    /// its turn has come.
    fn position(&self, number: u64) -> Option<usize> {
        let state = self.state.lock();
        let at = state.waiting.iter().position(|(waiting, _)| *waiting == number)?;
        let spender = &state.waiting[at].1;
        let is_full = self.is_full(&state);
        Some(state.waiting.iter().take(at).filter(|(_, before)| is_full || before == spender).count() + 1)
    }
}

/// A place in the line, and then among those that run. Given back when dropped.
#[derive(Debug)]
pub struct Place {
    line: Arc<Line>,
    spender: Spender,
    number: u64,
}

impl Place {
    /// Where it is in line now; `None` when its turn has come.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        if self.line.is_unlimited() { None } else { self.line.position(self.number) }
    }

    /// Waits until its turn has come: `None`. Or until it is somewhere else than at `position`, and tells where; but
    /// not within half a second, for in a long line everybody moves all the time.
    pub async fn moved_from(&self, position: usize) -> Option<usize> {
        let mut told = pin!(sleep(POSITION_EVERY));
        let mut may_tell = false;
        loop {
            let moved = self.line.moved.notified(); // Before it looks, so that no move is missed.
            match self.position() {
                None => return None,
                Some(now) if may_tell && now != position => return Some(now),
                Some(_) => {}
            }
            tokio::select! {
                () = moved => {}
                () = &mut told, if !may_tell => may_tell = true,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.line.is_unlimited() {
            return;
        }
        let mut state = self.line.state.lock();
        match state.waiting.iter().position(|(number, _)| *number == self.number) {
            Some(at) => drop(state.waiting.remove(at)),
            None => {
                state.running -= 1;
                if let Some(running) = state.running_of.get_mut(&self.spender) {
                    *running -= 1;
                    if *running == 0 {
                        state.running_of.remove(&self.spender);
                    }
                }
            }
        }
        self.line.advance(&mut state);
        drop(state);
        self.line.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::Owner;

    fn line(runs: usize, runs_per_user: usize) -> Arc<Line> {
        Arc::new(Line::new(&LimitsConfig { runs, runs_per_user, waiting_runs: 2, ..LimitsConfig::default() }))
    }

    fn user(name: &str) -> Spender {
        Spender::new(Some(&Owner::new(name)))
    }

    #[test]
    fn the_line_moves_up_in_order() {
        let line = line(1, 0);
        let first = line.enter(user("a"));
        let (second, third) = (line.enter(user("a")), line.enter(user("b")));
        assert_eq!((first.position(), second.position(), third.position()), (None, Some(1), Some(2)));
        assert_eq!(line.check(&user("c")), Err(Refusal::LineFull));
        drop(second);
        assert_eq!((third.position(), line.check(&user("c"))), (Some(1), Ok(())));
        assert_eq!(line.check(&user("b")), Err(Refusal::LineFull), "b has its part of the line");
        drop(first);
        assert_eq!(third.position(), None);
    }

    #[test]
    fn who_waits_for_himself_is_passed_by_others() {
        let line = line(3, 1);
        let first = line.enter(user("a"));
        let waits = line.enter(user("a"));
        let waits_too = line.enter(user("a"));
        let other = line.enter(user("b"));
        let positions = [&first, &waits, &waits_too, &other].map(Place::position);
        assert_eq!(positions, [None, Some(1), Some(2), None]);
        let third = line.enter(user("c"));
        assert_eq!((third.position(), line.enter(user("d")).position()), (None, Some(3)), "the gateway is full");
        drop(first);
        assert_eq!((waits.position(), waits_too.position()), (None, Some(1)));
    }

    #[test]
    fn who_need_not_wait_comes_in_however_long_the_line_is() {
        let line = line(0, 1);
        let _all: Vec<_> = (0..3).map(|_| line.enter(user("a"))).collect();
        assert_eq!(line.check(&user("a")), Err(Refusal::LineFull));
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
