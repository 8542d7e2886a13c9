//! How many of something there are and may be. Pure.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A number of seats that can change while some are taken.
#[derive(Debug)]
pub struct Capacity {
    most: AtomicUsize,
    taken: AtomicUsize,
}

impl Capacity {
    /// At most so many; 0 = no limit.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most: AtomicUsize::new(most), taken: AtomicUsize::new(0) }
    }

    /// How many there may be; 0 = no limit.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// From now on at most so many; 0 = no limit. Those that are taken stay so.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// A seat, if there is one.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Option<Seat> {
        let most = self.most();
        let one_more = |taken| (most == 0 || taken < most).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        Some(Seat(self.clone()))
    }
}

/// A seat, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Capacity>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_come_back_and_their_number_can_change() {
        let capacity = Arc::new(Capacity::new(1));
        let one = capacity.take();
        assert!(one.is_some() && capacity.take().is_none() && capacity.taken() == 1);
        capacity.set_most(2);
        let two = capacity.take();
        assert!(two.is_some() && capacity.take().is_none());
        capacity.set_most(1);
        drop(one);
        assert!(capacity.take().is_none(), "the other one is still there");
        drop(two);
        assert!(capacity.take().is_some());
        capacity.set_most(0);
        assert!((0..100).map(|_| capacity.take()).collect::<Vec<_>>().iter().all(Option::is_some));
    }
}
