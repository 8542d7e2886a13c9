//! Sessions that somebody looks at later: so that nobody need look at all of them, now and then, to find a few.
//!
//! A session stands in a list at most once, whatever happens in it meanwhile. Whoever takes it out looks at how things
//! are by then, and may note it again. Uses moments only; knows no clock.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
};

use parking_lot::Mutex;

use super::moment::Moment;

/// Below so many, those that do not exist any more may stay.
const FEW: usize = 1024;

/// A list, the earliest first.
#[derive(Debug)]
pub(crate) struct Later<T> {
    heap: Mutex<Heap<T>>,
    /// Whether a session stands in this list.
    noted: fn(&T) -> &AtomicBool,
}

#[derive(Debug)]
struct Heap<T> {
    notes: BinaryHeap<Note<T>>,
    /// With so many, it is time to look for those that do not exist any more.
    many: usize,
}

#[derive(Debug)]
struct Note<T> {
    at: Moment,
    session: Weak<T>,
}

impl<T> Later<T> {
    pub(super) fn new(noted: fn(&T) -> &AtomicBool) -> Self {
        Self { heap: Mutex::new(Heap { notes: BinaryHeap::new(), many: FEW }), noted }
    }

    /// Has the session looked at, at `at`, or earlier where it is noted already.
    pub(crate) fn note(&self, at: Moment, session: &Arc<T>) {
        if (self.noted)(session).swap(true, AcqRel) {
            return;
        }
        let mut heap = self.heap.lock();
        if heap.notes.len() >= heap.many {
            heap.notes.retain(|note| note.session.strong_count() > 0);
            heap.many = FEW.max(2 * heap.notes.len());
        }
        heap.notes.push(Note { at, session: Arc::downgrade(session) });
    }

    /// Takes the earliest that is noted for `until` or before. What happens in it from now on can note it again, so that
    /// nothing is missed between this and a look at it.
    pub(crate) fn take(&self, until: Moment) -> Option<(Moment, Arc<T>)> {
        loop {
            let Note { at, session } = {
                let mut heap = self.heap.lock();
                heap.notes.peek().filter(|note| note.at <= until)?;
                heap.notes.pop()?
            };
            if let Some(session) = session.upgrade() {
                (self.noted)(&session).swap(false, AcqRel);
                return Some((at, session));
            }
        }
    }
}

#[cfg(test)]
impl<T> Later<T> {
    /// How many notes there are, of sessions that do not exist any more too.
    pub(crate) fn len(&self) -> usize {
        self.heap.lock().notes.len()
    }
}

/// The earliest is the greatest, because the heap has that on top.
impl<T> Ord for Note<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<T> PartialOrd for Note<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Note<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Eq for Note<T> {}
