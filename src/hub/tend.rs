//! What goes on while the gateway runs, for all sessions, and how it ends. Two loops, with few timers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Hub;
use crate::{
    chat::Timestamp,
    session::{BACK_WITHIN, Closed, SessionHandle},
    store::MAX_EXPIRED,
};

/// How long interrupted answers have to be committed at the end.
pub const INTERRUPT_GRACE: Duration = Duration::from_secs(3);
/// How often it is looked, at the end, who has nothing to finish any more.
const FREE_EVERY: Duration = Duration::from_millis(100);
/// So many sessions come back in a second to other gateways.
const BACK_A_SECOND: u32 = 2_000;
/// How often it is looked who has been unused for long, at the least and at the most.
const IDLE_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How often expired sessions are looked for, at the least and at the most; in between, four times in their life.
const EXPIRY_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Hub {
    /// Looks after running answers, lets idle sessions go and deletes expired ones, until `stop`. Few timers for all of
    /// them.
    pub async fn tend(self: Arc<Self>, stop: CancellationToken) {
        stop.run_until_cancelled(async { tokio::join!(self.tend_runs(), self.tend_sessions()) }).await;
    }

    async fn tend_sessions(&self) {
        let mut idle = interval((self.policy.idle / 4).clamp(IDLE_EVERY.0, IDLE_EVERY.1));
        let mut expiry = interval((self.policy.ttl / 4).clamp(EXPIRY_EVERY.0, EXPIRY_EVERY.1));
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut life = self.deps.store.lease().life;
        loop {
            tokio::select! {
                _ = idle.tick() => {
                    self.follow(&mut life);
                    self.free_unwatched();
                    self.passivate().await;
                    self.trim().await;
                }
                _ = expiry.tick() => {
                    self.expire().await;
                    self.deps.runner.artifacts.sweep().await;
                }
            }
        }
    }

    /// Ends what was taken before others took this gateway for dead: they may have it. Who watches comes back soon, to
    /// whoever has it then.
    fn follow(&self, life: &mut u64) {
        let now = self.deps.store.lease().life;
        if std::mem::replace(life, now) == now {
            return;
        }
        let handles = self.handles();
        warn!(sessions = handles.len(), "others took this gateway for dead: its sessions are theirs");
        for handle in handles {
            handle.interrupt(); // It cannot be stored, and ends with that.
            self.forget(handle.id(), Closed::Moved);
        }
    }

    /// Refuses new messages, lets running answers finish until `deadline` from now, interrupts the rest, and ends
    /// all sessions.
    pub async fn drain(&self, deadline: Duration) {
        self.deps.draining.store(true, Ordering::SeqCst);
        let back_within = self.back_within();
        for handle in self.handles() {
            handle.drain(back_within);
        }
        if timeout(deadline, self.free()).await.is_err() {
            warn!(sessions = self.busy(), "answers are interrupted by the shutdown");
            self.deps.interrupting.store(true, Ordering::Release);
            self.handles().iter().for_each(SessionHandle::interrupt);
            if timeout(INTERRUPT_GRACE, self.free()).await.is_err() {
                error!(sessions = self.busy(), "interrupted answers could not all be stored");
            }
        }
        for handle in self.handles() {
            handle.close(Closed::Shutdown);
        }
        self.sessions.clear();
        self.tasks.close();
    }

    /// Lets others have the sessions, each as soon as there is nothing to finish in it, until none is left.
    async fn free(&self) {
        let mut every = interval(FREE_EVERY);
        while !self.is_empty() {
            every.tick().await;
            for handle in self.handles() {
                if handle.is_mirror() {
                    self.forget(handle.id(), Closed::Shutdown);
                } else if !handle.is_busy() {
                    handle.leave(); // Who has nothing to wait for can come back elsewhere.
                }
            }
        }
    }

    /// Within what time those who watch are to come back. Where other gateways are they need not wait until this one has
    /// started again, and only must not come faster than the others can take them.
    #[must_use]
    pub fn back_within(&self) -> Duration {
        if self.reaches_others() == Some(true) && self.deps.store.lease().nodes > 1 {
            BACK_WITHIN.min(Duration::from_secs(self.len() as u64) / BACK_A_SECOND)
        } else {
            BACK_WITHIN
        }
    }

    fn busy(&self) -> usize {
        self.handles().iter().filter(|handle| handle.is_busy()).count()
    }

    async fn expire(&self) {
        let cutoff = Timestamp(
            Timestamp::now().0.saturating_sub(u64::try_from(self.policy.ttl.as_millis()).unwrap_or(u64::MAX)),
        );
        loop {
            match self.deps.store.delete_expired(cutoff, MAX_EXPIRED).await {
                Ok(ids) => {
                    for id in &ids {
                        self.forget(id, Closed::Deleted);
                    }
                    if ids.len() < MAX_EXPIRED {
                        return;
                    }
                    info!(sessions = ids.len(), "deleted expired sessions");
                }
                Err(error) => {
                    error!(%error, "expired sessions could not be deleted");
                    return;
                }
            }
        }
    }
}
