//! Who works: takes work on, keeps it while it is at it, and tells how it ended. Whatever happens, work ends in the store
//! or is somebody else's when its lease is over.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::{Documents, ended::Ended, live::Live, term::Term};
use crate::{
    chat::{JobId, Timestamp},
    store::{
        StoreError,
        documents::{Claimed, Fault, JobKind, JobRecord, Lane, Outcome, Progress},
    },
};

/// Documents that are worked on at the same time: while some wait for the model, others are read and written.
pub(super) const WORKERS: usize = 8;
/// How often it is said that somebody is still at it.
const BEAT: Duration = Duration::from_secs(1);
/// After how long without that somebody else may take it on, in seconds.
const LEASE_S: u64 = 10;
/// How long a worker rests that was not called: what is tried again later calls nobody.
const REST: Duration = Duration::from_secs(1);
/// How long something that did not work is left alone, in seconds.
const AGAIN_S: u64 = 5;

impl Documents {
    /// Works on what is due in a lane, for a term.
    pub(super) async fn work(&self, lane: Lane, term: &Term) {
        while !term.over.is_cancelled() {
            let now = Timestamp::now();
            let claimed = self.store.claim(term.fence, lane, now, now.plus_seconds(LEASE_S)).await;
            if let Ok(Some(claimed)) = claimed {
                self.take_on(claimed, term).await;
                // Others may have waited for this to end.
                self.removing.notify_one();
                self.indexing.notify_one();
                continue;
            }
            if let Err(error) = claimed {
                tracing::warn!(%error, "no work can be taken on");
            }
            tokio::select! {
                () = term.over.cancelled() => return,
                () = self.wake(lane).notified() => {}
                () = sleep(REST) => {}
            }
        }
    }

    async fn take_on(&self, claimed: Claimed, term: &Term) {
        let (job, told) = (claimed.job.clone(), CancellationToken::new());
        self.running.lock().insert(job.id.clone(), told.clone());
        let live = Live::new(&self.board, job.clone());
        let outcome = match job.kind {
            JobKind::Index => self.index(claimed, &live, &told, term).await,
            JobKind::Delete | JobKind::Drop => {
                tokio::select! {
                    outcome = self.remove(&job, term) => outcome,
                    () = self.keep(&live, term) => Outcome::Released,
                }
            }
        };
        self.running.lock().remove(&job.id);
        let Some(ended) = self.ended(&job.id, live.progress(), outcome, term).await else { return };
        if let Some(fault) = &ended.fault {
            tracing::info!(job = %ended.id, state = ended.state.as_str(), code = %fault.code, "work on a document ended");
        }
        self.board.publish(&ended);
        self.after(&ended).await;
    }

    /// Up to where it is written it may end at any moment; from there on it goes to its end.
    async fn index(&self, claimed: Claimed, live: &Live<'_>, told: &CancellationToken, term: &Term) -> Outcome {
        let preparing = AssertUnwindSafe(self.prepare(&claimed, live)).catch_unwind();
        let prepared = tokio::select! {
            biased;
            () = told.cancelled() => return Outcome::Cancelled,
            () = term.over.cancelled() => return Outcome::Released,
            prepared = preparing => prepared,
            () = self.keep(live, term) => return Outcome::Cancelled,
        };
        let writing = async {
            let prepared =
                prepared.unwrap_or_else(|_| Err(Ended::Failed(Fault::new("internal", "it could not be read"))))?;
            self.write(&claimed, prepared, live, (told.clone(), term.clone())).await
        };
        let written = tokio::select! {
            written = AssertUnwindSafe(writing).catch_unwind() => written,
            never = self.keep_on(live, term) => match never {},
        };
        let panicked = || Err(Ended::Failed(Fault::new("internal", "it could not be indexed")));
        match written.unwrap_or_else(|_| panicked()) {
            Ok(indexed) => Outcome::Indexed(Box::new(indexed)),
            Err(Ended::Failed(fault)) => Outcome::Failed(fault),
            Err(Ended::Quarantined(flags)) => Outcome::Quarantined(flags),
            Err(Ended::Cancelled) => Outcome::Cancelled,
            Err(Ended::Again(fault)) => {
                tracing::warn!(job = %claimed.job.id, code = %fault.code, detail = %fault.detail, "work is tried again");
                Outcome::Again(fault, Timestamp::now().plus_seconds(AGAIN_S))
            }
        }
    }

    /// Says every second that somebody is at it; returns when it should end.
    async fn keep(&self, live: &Live<'_>, term: &Term) {
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let now = Timestamp::now();
            match self.store.renew(term.fence, &live.id, live.progress(), now, now.plus_seconds(LEASE_S)).await {
                Ok(true) => {}
                Ok(false) | Err(StoreError::Fenced) => return,
                Err(error) => tracing::warn!(job = %live.id, %error, "how far it is cannot be noted"),
            }
        }
    }

    /// The same for what cannot end any more.
    async fn keep_on(&self, live: &Live<'_>, term: &Term) -> std::convert::Infallible {
        loop {
            self.keep(live, term).await;
            sleep(BEAT).await;
        }
    }

    /// Tells the store, as often as it takes: it is the store that everybody goes by.
    async fn ended(&self, job: &JobId, progress: Progress, outcome: Outcome, term: &Term) -> Option<JobRecord> {
        loop {
            match self.store.end(term.fence, job, progress, outcome.clone(), Timestamp::now()).await {
                Ok(ended) => return ended,
                Err(error) if term.over.is_cancelled() || matches!(error, StoreError::Fenced) => {
                    tracing::warn!(%job, %error, "how it ended is not noted; whoever works next begins it anew");
                    return None;
                }
                Err(error) => tracing::warn!(%job, %error, "how it ended cannot be noted yet"),
            }
            tokio::select! {
                () = sleep(BEAT) => {}
                () = term.over.cancelled() => {}
            }
        }
    }
}

/// Works for a term: several at documents, and one at what is to go.
pub(super) async fn work_all(documents: &Documents, term: &Term) {
    let indexing = (0..WORKERS).map(|_| documents.work(Lane::Index, term));
    tokio::join!(futures_util::future::join_all(indexing), documents.work(Lane::Remove, term));
}
