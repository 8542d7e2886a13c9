//! What the actor, the viewers and the handles of a session share. Uses `chat`, `store`'s record and its neighbours.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    command::{Closed, Command},
    later::Later,
    log::{Log, RETENTION, There},
    moment::{Clock, Moment},
    wakers::Wakers,
};
use crate::{
    chat::{Owner, SessionId},
    store::{Fence, SessionRecord},
};

/// What the actor and the viewers of a session share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: SessionId,
    pub(crate) owner: Option<Owner>,
    /// The name of who answers in it.
    pub(crate) assistant: String,
    /// Nothing of it is remembered elsewhere, and nothing that was told elsewhere is known in it.
    pub(crate) is_temporary: bool,
    /// Whose it is, as far as this gateway knows.
    pub(crate) place: Mutex<Place>,
    /// What the store is to have of the session with its first message; none once it has.
    pub(crate) unsaved: Mutex<Option<Box<SessionRecord>>>,
    pub(crate) log: Mutex<Log>,
    /// The viewers, to be woken after the log grew or the session closed.
    pub(crate) wakers: Wakers,
    /// The gateway is about to end: within what time those who watch are to come back.
    pub(crate) goes_away: OnceLock<Duration>,
    /// A run, a waiting message or a commit in flight: the session must stay in memory.
    pub(crate) busy: AtomicBool,
    /// When somebody last used the session.
    pub(crate) touched: AtomicU64,
    /// How many viewers there are, and how many of them type.
    pub(crate) viewers: AtomicUsize,
    pub(crate) typing: AtomicUsize,
    /// The same of those who are at other gateways.
    pub(crate) viewers_elsewhere: AtomicUsize,
    pub(crate) typing_elsewhere: AtomicUsize,
    /// How many pieces of text came in all.
    pub(crate) pieces: AtomicU64,
    pub(crate) closed: OnceLock<Closed>,
    /// Nothing is written to it any more, and another gateway is to go on with its log.
    pub(crate) leaves: AtomicBool,
    pub(crate) clock: Clock,
    /// Where it is noted when nobody uses it any more, and when there is something to forget.
    pub(crate) lists: Arc<Lists>,
    /// Whether it is noted there.
    pub(crate) unused: AtomicBool,
    pub(crate) aging: AtomicBool,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Here: by what this gateway may write to it, and since when.
    Here(Fence, Moment),
    /// At another gateway; whether what is shown here of it is current, as far as is known.
    Elsewhere { is_current: bool },
}

/// A command on its way to the actor. It counts as a holder of the session, so that this stays in memory meanwhile.
pub(crate) struct Underway {
    pub(crate) command: Command,
    _session: Arc<Shared>,
}

impl Underway {
    pub(super) fn to(session: &Arc<Shared>, command: Command) -> Self {
        Self { command, _session: session.clone() }
    }
}

/// The lists that sessions are noted in.
#[derive(Debug)]
pub struct Lists {
    /// Nobody watches them and they do nothing: noted when that began, or earlier.
    pub(crate) unused: Later<Shared>,
    /// Something in their logs is to be forgotten: noted for when that is old enough.
    pub(crate) aging: Later<Shared>,
}

impl Default for Lists {
    fn default() -> Self {
        Self { unused: Later::new(|session| &session.unused), aging: Later::new(|session| &session.aging) }
    }
}

impl Shared {
    /// By what this gateway may write to it.
    pub(crate) fn fence(&self) -> Fence {
        match *self.place.lock() {
            Place::Here(fence, _) => fence,
            Place::Elsewhere { .. } => Fence::FIRST, // Nobody writes here.
        }
    }

    /// Whether another gateway has it.
    pub(crate) fn is_mirror(&self) -> bool {
        matches!(*self.place.lock(), Place::Elsewhere { .. })
    }

    pub(crate) fn close(&self, cause: Closed) {
        let _first_cause_stays = self.closed.set(cause);
        self.wakers.wake();
    }

    /// Whether somebody watches, or something happens.
    pub(crate) fn is_in_use(&self) -> bool {
        self.is_watched() || self.busy.load(Ordering::SeqCst)
    }

    /// Whether another gateway is to go on with its log.
    pub(crate) fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Acquire)
    }

    /// For how long nobody has used it; zero while somebody watches.
    pub(crate) fn unused(&self) -> Duration {
        if self.is_watched() {
            return Duration::ZERO;
        }
        Duration::from_micros(self.clock.now().saturating_sub(self.touched.load(Ordering::Relaxed)))
    }

    /// Whether the store has it.
    pub(crate) fn is_stored(&self) -> bool {
        self.unsaved.lock().is_none()
    }

    /// Whether somebody watches, here or at another gateway.
    pub(crate) fn is_watched(&self) -> bool {
        self.viewers.load(Ordering::Acquire) + self.viewers_elsewhere.load(Ordering::Acquire) > 0
    }

    /// Whether somebody watches here.
    pub(crate) fn is_watched_here(&self) -> bool {
        self.viewers.load(Ordering::Acquire) > 0
    }

    /// Who watches here.
    pub(crate) fn there(&self) -> There {
        There { viewers: self.viewers.load(Ordering::Acquire), typing: self.typing.load(Ordering::Acquire) }
    }

    /// Somebody uses it now.
    pub(crate) fn touch(&self) {
        self.touched.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Nobody watches any more, or nothing happens.
    pub(crate) fn note_unused(self: &Arc<Self>) {
        self.lists.unused.note(self.touched.load(Ordering::Relaxed), self);
    }

    /// What is in the log is to be forgotten some time.
    pub(crate) fn note_aging(self: &Arc<Self>) {
        let oldest = self.log.lock().oldest();
        if let Some(oldest) = oldest {
            self.lists.aging.note(oldest + RETENTION, self);
        }
    }
}
