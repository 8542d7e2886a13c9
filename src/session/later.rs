//! Sessions that somebody looks at later: so that nobody need look at all of them, now and then, to find a few.
//!
//! A session stands in a list at most once, whatever happens in it meanwhile. Whoever takes it out looks at how things
//! are by then, and may note it again. Uses the session's `Shared` and moments; knows no clock.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
        },
    },
};

use parking_lot::Mutex;

use super::{
    Shared,
    log::{Moment, RETENTION},
};

/// Below so many, those that do not exist any more may stay.
const FEW: usize = 1024;

/// The lists that sessions are noted in.
#[derive(Debug)]
pub struct Lists {
    /// Nobody watches them and they do nothing: noted when that began, or earlier.
    pub(crate) unused: Later,
    /// Something in their logs is to be forgotten: noted for when that is old enough.
    pub(crate) aging: Later,
}

impl Default for Lists {
    fn default() -> Self {
        Self { unused: Later::new(|session| &session.unused), aging: Later::new(|session| &session.aging) }
    }
}

/// A list, the earliest first.
#[derive(Debug)]
pub(crate) struct Later {
    heap: Mutex<Heap>,
    /// Whether a session stands in this list.
    noted: fn(&Shared) -> &AtomicBool,
}

#[derive(Debug)]
struct Heap {
    notes: BinaryHeap<Note>,
    /// With so many, it is time to look for those that do not exist any more.
    many: usize,
}

#[derive(Debug)]
struct Note {
    at: Moment,
    session: Weak<Shared>,
}

impl Later {
    fn new(noted: fn(&Shared) -> &AtomicBool) -> Self {
        Self { heap: Mutex::new(Heap { notes: BinaryHeap::new(), many: FEW }), noted }
    }

    /// Has the session looked at, at `at`, or earlier where it is noted already.
    pub(crate) fn note(&self, at: Moment, session: &Arc<Shared>) {
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
    pub(crate) fn take(&self, until: Moment) -> Option<(Moment, Arc<Shared>)> {
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

impl Shared {
    /// Whether somebody watches, or something happens.
    pub(crate) fn is_in_use(&self) -> bool {
        self.viewers.load(Acquire) > 0 || self.busy.load(SeqCst)
    }

    /// Nobody watches any more, or nothing happens.
    pub(crate) fn note_unused(self: &Arc<Self>) {
        self.lists.unused.note(self.touched.load(Relaxed), self);
    }

    /// What is in the log is to be forgotten some time.
    pub(crate) fn note_aging(self: &Arc<Self>) {
        let oldest = self.log.lock().oldest();
        if let Some(oldest) = oldest {
            self.lists.aging.note(oldest + RETENTION, self);
        }
    }
}

#[cfg(test)]
impl Later {
    /// How many notes there are, of sessions that do not exist any more too.
    pub(crate) fn len(&self) -> usize {
        self.heap.lock().notes.len()
    }
}

/// The earliest is the greatest, because the heap has that on top.
impl Ord for Note {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Note {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Note {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Note {}
