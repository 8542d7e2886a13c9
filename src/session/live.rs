//! The runs in progress of all sessions, for whoever looks after all of them now and then.
//!
//! So nobody need look at every session to find those that write, and no run needs a timer of its own. A run is in the
//! list from its beginning to its end, whichever way it ends. Owns the list; uses `store`, `chat` and the session's log.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    chat::{MessageId, SessionId},
    session::{Shared, log::Saved},
    store::Piece,
};

/// The runs in progress.
#[derive(Debug, Default)]
pub struct LiveRuns {
    runs: Mutex<HashMap<u64, Arc<LiveRun>>>,
    begun: AtomicU64,
}

/// A run in progress, and how much of its text is stored.
#[derive(Debug)]
pub struct LiveRun {
    shared: Arc<Shared>,
    answer: MessageId,
    saved: Mutex<Saved>,
}

/// A place in the list; given up when it is dropped.
pub(crate) struct Listed {
    list: Arc<LiveRuns>,
    place: u64,
}

impl LiveRuns {
    /// Those of this moment.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<LiveRun>> {
        self.runs.lock().values().cloned().collect()
    }

    pub(crate) fn enter(self: &Arc<Self>, shared: Arc<Shared>, answer: MessageId) -> Listed {
        let place = self.begun.fetch_add(1, Ordering::Relaxed);
        let run = LiveRun { shared, answer, saved: Mutex::default() };
        self.runs.lock().insert(place, Arc::new(run));
        Listed { list: self.clone(), place }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.runs.lock().remove(&self.place);
    }
}

impl LiveRun {
    /// The session that it runs in.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.shared.id
    }

    /// Whether nobody has watched the session for as long as `most`.
    #[must_use]
    pub fn is_unwatched(&self, most: Duration) -> bool {
        if self.shared.viewers.load(Ordering::Acquire) > 0 {
            return false;
        }
        let unwatched = self.shared.clock.now().saturating_sub(self.shared.touched.load(Ordering::Relaxed));
        u128::from(unwatched) >= most.as_micros()
    }

    /// What was written since the last checkpoint, and what is saved when that is stored.
    #[must_use]
    pub fn unsaved(&self) -> Option<(Piece, Saved)> {
        let mut saved = *self.saved.lock();
        let log = self.shared.log.lock();
        let (at, text) = log.unsaved(&self.answer, &mut saved)?;
        let (session, answer) = (self.shared.id.clone(), self.answer.clone());
        Some((Piece { session, answer, at, text: text.to_owned() }, saved))
    }

    /// Notes what is stored now.
    pub fn note_saved(&self, saved: Saved) {
        *self.saved.lock() = saved;
    }
}
