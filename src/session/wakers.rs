//! Who waits for more in a session. Uses nothing of ours.

use std::{sync::Arc, task::Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// Those who wait for more in a session: the log grew, somebody came, it is over.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Mutex<Vec<Arc<AtomicWaker>>>);

/// One of them, until [`Wakers::leave`].
#[derive(Debug)]
pub(crate) struct Waiting(Arc<AtomicWaker>);

impl Wakers {
    /// One more who may wait.
    pub(crate) fn enter(&self) -> Waiting {
        let waiting = Arc::default();
        let mut all = self.0.lock();
        all.reserve_exact(1); // Nearly always one, and there are many sessions.
        all.push(Arc::clone(&waiting));
        Waiting(waiting)
    }

    /// Forgets one.
    pub(crate) fn leave(&self, Waiting(own): &Waiting) {
        self.0.lock().retain(|other| !Arc::ptr_eq(own, other));
    }

    /// Wakes all of them.
    pub(crate) fn wake(&self) {
        for waiting in self.0.lock().iter() {
            waiting.wake();
        }
    }
}

impl Waiting {
    /// Has `waker` woken by the next [`Wakers::wake`]. To miss nothing, look after this and not before.
    pub(crate) fn wait(&self, waker: &Waker) {
        self.0.register(waker);
    }
}
