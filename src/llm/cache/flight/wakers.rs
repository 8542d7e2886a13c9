//! Who waits for a flight's source. Uses nothing of ours.

use std::{
    mem,
    sync::Arc,
    task::{Wake, Waker},
};

use parking_lot::Mutex;

/// Who waits for the source, by slot.
#[derive(Default)]
pub(super) struct Wakers(Mutex<Vec<Slot>>);

enum Slot {
    Free,
    /// Awake: it was woken, or did not wait yet.
    Awake,
    Waiting(Waker),
}

impl Wakers {
    pub(super) fn enter(&self) -> usize {
        let mut slots = self.0.lock();
        if let Some(free) = slots.iter().position(|slot| matches!(slot, Slot::Free)) {
            slots[free] = Slot::Awake;
            return free;
        }
        slots.push(Slot::Awake);
        slots.len() - 1
    }

    pub(super) fn leave(&self, slot: usize) {
        let was = mem::replace(&mut self.0.lock()[slot], Slot::Free);
        drop(was); // Outside of the lock: a waker may be the last hold on a task.
    }

    pub(super) fn wait(&self, slot: usize, waker: &Waker) {
        let mut slots = self.0.lock();
        if !matches!(&slots[slot], Slot::Waiting(known) if known.will_wake(waker)) {
            slots[slot] = Slot::Waiting(waker.clone());
        }
    }

    pub(super) fn wake_others(&self, own: usize) {
        self.wake_all_but(Some(own));
    }

    fn wake_all_but(&self, own: Option<usize>) {
        let mut next = 0;
        while let Some(waker) = self.next_waiting(&mut next, own) {
            waker.wake();
        }
    }

    /// Takes the waker of the next one who waits, from slot `next` on.
    fn next_waiting(&self, next: &mut usize, own: Option<usize>) -> Option<Waker> {
        let mut slots = self.0.lock();
        while let Some(slot) = slots.get_mut(*next) {
            let is_own = own == Some(*next);
            *next += 1;
            if !is_own
                && matches!(slot, Slot::Waiting(_))
                && let Slot::Waiting(waker) = mem::replace(slot, Slot::Awake)
            {
                return Some(waker);
            }
        }
        None
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all_but(None);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all_but(None);
    }
}
