//! Who works: of all processes that have the store, the one that has its lease. It works for a term, and what it writes about
//! work carries the term's fence. A term is over when somebody else has the lease, or when nobody could say for a while that
//! it is still kept: then what is under way ends, and nothing more goes into the index.

use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use metrics::gauge;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Documents, term::Term, worker};
use crate::{store::Fence, telemetry::metrics::CLUSTER_WORKS};

/// How often the lease is renewed, and asked for by those who do not have it.
const EVERY: Duration = Duration::from_secs(2);
/// How long the store may take to give up the lease at the end.
const FAREWELL: Duration = Duration::from_secs(1);

impl Documents {
    /// Works whenever it is this process that should, until `ending`.
    pub(super) async fn work_in_turns(&self, ending: &CancellationToken) {
        while let Some((fence, since)) = ending.run_until_cancelled(self.elected()).await {
            let renewed = self.store.has_others().then_some(since);
            let term = Term::new(fence, ending.child_token(), renewed);
            self.leads(true);
            tokio::select! {
                () = self.work_for(&term) => {}
                never = self.stay(&term) => match never {},
            }
            self.leads(false);
            let stepping = timeout(FAREWELL, self.store.step_down(fence)).await;
            if !matches!(stepping, Ok(Ok(()))) {
                tracing::debug!("others work on documents when the lease of this process is over");
            }
        }
    }

    fn leads(&self, is_leading: bool) {
        self.is_leading.store(is_leading, Ordering::Relaxed);
        gauge!(CLUSTER_WORKS).set(f64::from(u8::from(is_leading)));
    }

    /// Waits until it is this process that works; since when it is.
    async fn elected(&self) -> (Fence, Instant) {
        let mut is_told = false;
        loop {
            let asked = Instant::now();
            match self.store.lead(&self.node, None).await {
                Ok(Some(fence)) => {
                    if self.store.has_others() {
                        tracing::info!("this gateway works on documents from now on");
                    }
                    return (fence, asked);
                }
                Ok(None) => is_told = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(%error, "who works on documents is not known");
                    }
                }
            }
            sleep(EVERY).await;
        }
    }

    /// First sees to it that the index has what it should have.
    async fn work_for(&self, term: &Term) {
        if term.over.run_until_cancelled(self.settle(term)).await.is_some() {
            tokio::join!(worker::work_all(self, term), term.over.run_until_cancelled(self.look_after(term)));
        }
    }

    /// Keeps the lease for as long as somebody works, also to the end of what is being written.
    async fn stay(&self, term: &Term) -> Infallible {
        if !self.store.has_others() {
            return std::future::pending().await;
        }
        loop {
            sleep(EVERY).await;
            let sent = Instant::now();
            // An answer that comes late says nothing about now.
            let kept = timeout(EVERY, self.store.lead(&self.node, Some(term.fence))).await;
            match kept {
                Ok(Ok(Some(_))) => term.renewed(sent),
                Ok(Ok(None)) => {
                    if !term.over.is_cancelled() {
                        tracing::warn!("another gateway works on documents by now");
                    }
                    term.over.cancel();
                }
                Ok(Err(error)) => tracing::warn!(%error, "the lease of work on documents was not renewed"),
                Err(_) => tracing::warn!("the lease of work on documents was not renewed in time"),
            }
            if !term.is_certain() {
                term.over.cancel();
            }
        }
    }
}
