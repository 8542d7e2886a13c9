//! A session in two places: the side of the gateway that has it, and that of one which shows it.
//!
//! A [`Follower`] reads a session's log for a copy at another gateway; a [`Mirror`] is such a copy. Both tell the other who
//! watches there. Uses the log and its neighbours.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    task::Waker,
    time::Duration,
};

use futures_channel::mpsc;

use super::{
    actor::{self, Deps},
    command::{Closed, Command},
    log::{Change, Copied, OutOfStep, There},
    shared::{Place, Shared, Underway},
    wakers::Waiting,
};
use crate::{chat::SessionId, store::Fence};

/// A reader of a session's log for those who watch at another gateway.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    waiting: Waiting,
    copied: Copied,
    /// Who watches there.
    there: There,
    /// Who the others are, as it was told last.
    told: Option<There>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, at: Option<&str>, revision: u64, there: There) -> Self {
        let waiting = shared.wakers.enter();
        let copied = shared.log.lock().copied(at, revision);
        let mut follower = Self { shared, waiting, copied, there: There::default(), told: None };
        follower.set_there(there);
        follower
    }

    /// Notes who watches there.
    pub fn set_there(&mut self, there: There) {
        let before = std::mem::replace(&mut self.there, there);
        self.shared.viewers_elsewhere.fetch_add(there.viewers, Ordering::AcqRel);
        self.shared.viewers_elsewhere.fetch_sub(before.viewers, Ordering::AcqRel);
        self.shared.typing_elsewhere.fetch_add(there.typing, Ordering::AcqRel);
        self.shared.typing_elsewhere.fetch_sub(before.typing, Ordering::AcqRel);
        if before != there {
            self.shared.touch();
            self.shared.wakers.wake();
        }
    }

    /// Has `waker` woken when there may be more to tell. To miss nothing, look after this and not before.
    pub fn wake(&self, waker: &Waker) {
        self.waiting.wait(waker);
    }

    /// Tells what the copy lacks, until `tell` returns false or nothing is left. Texts have at most `max_bytes`.
    pub fn tell(&mut self, max_bytes: usize, tell: impl FnMut(Change) -> bool) {
        let now = self.shared.clock.now();
        self.shared.log.lock().tell_copy(&mut self.copied, max_bytes, now, tell);
    }

    /// Who the others are, when that is news.
    pub fn others(&mut self) -> Option<There> {
        let others = self.others_now();
        (self.told.replace(others) != Some(others)).then_some(others)
    }

    /// Whether that is news.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.told != Some(self.others_now())
    }

    fn others_now(&self) -> There {
        let all = self.shared.there();
        let elsewhere = There {
            viewers: self.shared.viewers_elsewhere.load(Ordering::Acquire),
            typing: self.shared.typing_elsewhere.load(Ordering::Acquire),
        };
        There {
            viewers: (all.viewers + elsewhere.viewers).saturating_sub(self.there.viewers),
            typing: (all.typing + elsewhere.typing).saturating_sub(self.there.typing),
        }
    }

    /// How the session ended here, once all was told.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        let cause = self.shared.closed.get().copied()?;
        if !self.shared.log.lock().is_copied(&self.copied) {
            return None;
        }
        let leaves = self.shared.leaves.load(Ordering::Acquire);
        Some(if leaves { Ended::Free(self.shared.fence()) } else { Ended::Closed(cause) })
    }

    /// Whether the session had better be where the copy is: only there somebody watches it, and it has been idle here, and
    /// here at all, for so long as not to go to and fro.
    #[must_use]
    pub fn is_out_of_place(&self, stay: Duration) -> bool {
        let Place::Here(_, since) = *self.shared.place.lock() else { return false };
        let all = self.shared.viewers_elsewhere.load(Ordering::Acquire);
        let is_only_there = self.there.viewers > 0 && all == self.there.viewers && !self.shared.is_watched_here();
        let here_for = Duration::from_micros(self.shared.clock.now().saturating_sub(since));
        is_only_there && here_for >= stay && !self.shared.busy.load(Ordering::SeqCst)
    }

    /// Which session it is.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.shared.id
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.set_there(There::default());
        self.shared.wakers.leave(&self.waiting);
        self.shared.note_unused();
    }
}

/// How a session ended for those who copy it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// For those who watch it.
    Closed(Closed),
    /// Only here: whoever takes it as the next one after this fence may go on with its log.
    Free(Fence),
}

/// A session of another gateway, as it is shown here. Does not keep it in memory.
#[derive(Debug, Clone)]
pub struct Mirror(Weak<Shared>);

/// What is wanted of the session, in the order in which it came; over when nobody can want anything any more.
pub(crate) struct Wishes(mpsc::Receiver<Underway>);

impl Mirror {
    pub(super) fn of(shared: &Arc<Shared>, commands: mpsc::Receiver<Underway>) -> (Self, Wishes) {
        (Self(Arc::downgrade(shared)), Wishes(commands))
    }

    /// Repeats what happened; false when nobody shows it any more.
    ///
    /// # Errors
    /// [`OutOfStep`]: all of it is to be told anew.
    pub fn repeat(&self, change: Change) -> Result<bool, OutOfStep> {
        let Some(shared) = self.0.upgrade() else { return Ok(false) };
        let now = shared.clock.now();
        shared.log.lock().repeat(change, now)?;
        shared.wakers.wake();
        shared.note_aging();
        Ok(true)
    }

    /// Where the copy goes on: a cursor, when it has anything, and how many revisions it has heard of. `None` when nobody
    /// shows it any more.
    #[must_use]
    pub fn end(&self) -> Option<(Option<String>, u64)> {
        let shared = self.0.upgrade()?;
        let log = shared.log.lock();
        let (at, revision) = log.copy_end();
        Some(((!log.is_unheard()).then_some(at), revision))
    }

    /// Who watches here; `None` when nobody shows it any more.
    #[must_use]
    pub fn there(&self) -> Option<There> {
        self.0.upgrade().map(|shared| shared.there())
    }

    /// For how long nobody has watched it or wanted anything of it.
    #[must_use]
    pub fn unused(&self) -> Duration {
        let Some(shared) = self.0.upgrade() else { return Duration::MAX };
        if shared.viewers.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let unused = shared.clock.now().saturating_sub(shared.touched.load(Ordering::Relaxed));
        Duration::from_micros(unused)
    }

    /// Notes who watches elsewhere.
    pub fn set_others(&self, others: There) {
        if let Some(shared) = self.0.upgrade() {
            shared.viewers_elsewhere.store(others.viewers, Ordering::Release);
            shared.typing_elsewhere.store(others.typing, Ordering::Release);
            shared.wakers.wake();
        }
    }

    /// Notes whether what is shown here is current, as far as is known.
    pub fn set_current(&self, is_current: bool) {
        if let Some(shared) = self.0.upgrade()
            && let Place::Elsewhere { is_current: noted } = &mut *shared.place.lock()
        {
            *noted = is_current;
        }
    }

    /// Ends it for those who watch it here.
    pub fn close(&self, cause: Closed) {
        if let Some(shared) = self.0.upgrade() {
            shared.close(cause);
        }
    }
}

/// What was only shown here is this gateway's from now on, under this fence; the future that drives it. Who watches notices
/// nothing.
pub(crate) fn inherit(
    shared: Arc<Shared>,
    fence: Fence,
    Wishes(commands): Wishes,
    deps: Arc<Deps>,
) -> impl Future<Output = ()> + Send + use<> {
    for counted in [&shared.viewers_elsewhere, &shared.typing_elsewhere] {
        counted.store(0, Ordering::Release);
    }
    // From then on it is followed, and counted who watches elsewhere.
    *shared.place.lock() = Place::Here(fence, shared.clock.now());
    shared.wakers.wake();
    shared.note_unused();
    actor::run(shared, deps, commands)
}

impl Wishes {
    /// The next one; it keeps the mirror in memory until it is answered.
    pub(crate) async fn next(&mut self) -> Option<Command> {
        futures_util::StreamExt::next(&mut self.0).await.map(|underway| underway.command)
    }
}
