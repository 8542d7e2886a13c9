//! What is done about once a second for all running answers: their text is saved, and those that nobody wants are
//! stopped.
//!
//! One task for all of them, with one write under way at a time: when the store is slow, what comes meanwhile becomes
//! part of the next write, and the queue before the store has room for what people send.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::Hub;
use crate::{session::live::LiveRun, store::StoreError};

/// How often running answers are looked at.
const EVERY: Duration = Duration::from_secs(1);

impl Hub {
    /// Saves what running answers have come to, and stops those that nobody has watched for long; for ever.
    pub(super) async fn tend_runs(&self) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            for run in self.deps.live.all() {
                if self.policy.abandon.is_some_and(|most| run.is_unwatched(most)) {
                    self.abandon(&run);
                } else if let Err(error) = self.save(&run).await {
                    // The answer goes on: its end is stored again, and reported if that fails too.
                    warn!(session = %run.session(), %error, "a checkpoint was not stored");
                }
            }
        }
    }

    /// Has the session stop what nobody waits for.
    fn abandon(&self, run: &LiveRun) {
        if let Some(slot) = self.sessions.get(run.session())
            && let Some(session) = slot.session.get()
        {
            session.abandon();
        }
    }

    async fn save(&self, run: &LiveRun) -> Result<(), StoreError> {
        let Some((text, saved)) = run.unsaved() else { return Ok(()) };
        self.deps.store.checkpoint(run.session(), run.answer(), text).await?;
        run.note_saved(saved);
        Ok(())
    }
}
