//! What is done about once a second for all running answers: what was added to them is saved, and those that nobody
//! watches are stopped.
//!
//! One task for all of them, with one write of bounded size under way at a time. When the store is slow, what comes
//! meanwhile is part of a later write, and the queue before the store has room for what people send.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::yield_now,
    time::{MissedTickBehavior, interval},
};
use tracing::warn;

use super::Hub;
use crate::{
    session::{live::LiveRun, log::Saved},
    store::{Piece, StoreError},
};

/// How often running answers are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The most answers that are looked at for one write.
const BATCH: usize = 256;
/// So many bytes of text in one write, and what more the last of its answers has: all of that answer at most.
const BATCH_BYTES: usize = 256 << 10;

/// One write: pieces, and what is saved of which run when they are stored.
#[derive(Default)]
struct Batch {
    pieces: Vec<Piece>,
    saved: Vec<(Arc<LiveRun>, Saved)>,
}

impl Hub {
    /// Saves what is added to running answers, and stops those that nobody has watched for long; for ever.
    pub(super) async fn tend_runs(&self) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Err(error) = self.look_after_runs().await {
                // Answers go on: a second later all of it is tried again, and their ends have the whole text.
                warn!(%error, "what was added to running answers was not stored");
            }
        }
    }

    async fn look_after_runs(&self) -> Result<(), StoreError> {
        let mut runs = self.deps.live.all().into_iter().peekable();
        while runs.peek().is_some() {
            let Batch { pieces, saved } = self.next_batch(&mut runs);
            if pieces.is_empty() {
                yield_now().await; // Others have their turn before the next ones are looked at.
                continue;
            }
            self.deps.store.checkpoint(pieces).await?;
            for (run, saved) in saved {
                run.note_saved(saved);
            }
        }
        Ok(())
    }

    fn next_batch(&self, runs: &mut impl Iterator<Item = Arc<LiveRun>>) -> Batch {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        for run in runs.take(BATCH) {
            if self.policy.abandon.is_some_and(|most| run.is_unwatched(most)) {
                self.abandon(&run);
            }
            if let Some((piece, saved)) = run.unsaved() {
                bytes += piece.text.len();
                batch.pieces.push(piece);
                batch.saved.push((run, saved));
            }
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        batch
    }

    /// Has the session stop what nobody waits for.
    fn abandon(&self, run: &LiveRun) {
        if let Some(slot) = self.sessions.get(run.session())
            && let Some(session) = slot.session.get()
        {
            session.abandon();
        }
    }
}
