//! What somebody who looks after all sessions sees of one: who, how many, how long; never what was said. Uses `chat` and
//! its neighbours.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{moment::Moment, shared::Shared};
use crate::chat::{Owner, Phase, RunId, SessionId};

/// How much goes on in a session. Read without any lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Activity {
    /// Whether an answer is being written, waits, or is being committed.
    pub busy: bool,
    /// How many watch.
    pub viewers: usize,
    /// When somebody last used it.
    pub touched: Moment,
}

/// A session in memory, from outside.
#[derive(Debug, Clone)]
pub struct SessionReport {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub owner: Option<Owner>,
    /// How many watch.
    pub viewers: usize,
    /// How long nobody has used it.
    pub unused: Duration,
    /// The answer that is being written.
    pub run: Option<RunReport>,
}

/// A run, from outside.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// Which.
    pub run: RunId,
    /// Who answers, as far as it is known.
    pub model: Arc<str>,
    /// What it does.
    pub phase: Phase,
    /// Since when it runs; `None` when that is forgotten.
    pub age: Option<Duration>,
    /// The UTF-16 code units of its text so far.
    pub written: u64,
}

pub(super) fn activity(shared: &Shared) -> Activity {
    Activity {
        busy: shared.busy.load(Ordering::Relaxed),
        viewers: shared.viewers.load(Ordering::Relaxed),
        touched: shared.touched.load(Ordering::Relaxed),
    }
}

pub(super) fn report(shared: &Shared) -> SessionReport {
    let now = shared.clock.now();
    let ago = |then: Moment| Duration::from_micros(now.saturating_sub(then));
    let progress = shared.log.lock().progress();
    let run = progress.map(|progress| RunReport {
        run: progress.run,
        model: progress.model,
        phase: progress.phase,
        age: progress.since.map(ago),
        written: progress.written,
    });
    let Activity { viewers, touched, .. } = activity(shared);
    SessionReport { id: shared.id.clone(), owner: shared.owner.clone(), viewers, unused: ago(touched), run }
}
