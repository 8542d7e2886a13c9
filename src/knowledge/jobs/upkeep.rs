//! The background: workers, indices, files that nobody needs, work that nobody asks about any more.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::{Documents, DocumentsError, health::LOOK, reconcile::Reconciled, term::Term};
use crate::{chat::Timestamp, knowledge::Collection};

/// How often indices are looked after, and at most brought up to date: what they do not cover is found all the same,
/// more slowly.
const REFRESH: Duration = Duration::from_secs(5);
/// How often files are looked through.
const SWEEP: Duration = Duration::from_secs(3600);
/// How long work that has ended can be asked about, in seconds.
const REMEMBER_S: u64 = 7 * 24 * 3600;
/// How long the start waits before it asks a store again that did not tell.
const AGAIN: Duration = Duration::from_secs(5);

impl Documents {
    /// Works until `ending` when it is this process that should, and follows those who do.
    pub async fn run(self: Arc<Self>, ending: CancellationToken) {
        Self::unseen();
        tokio::join!(self.work_in_turns(&ending), self.follow(&ending));
    }

    /// What cannot be compared is compared when it can be: nobody waits for it.
    pub(super) async fn settle(&self, term: &Term) {
        loop {
            match self.reconcile(term).await {
                Ok(found) => {
                    let Reconciled { orphans, missing, textless, unread: _ } = found;
                    if orphans + missing + textless > 0 {
                        tracing::warn!(
                            orphans,
                            missing,
                            textless,
                            "the index was not as it should be, and is being mended"
                        );
                    }
                    break;
                }
                Err(error) => tracing::warn!(%error, "the index cannot be compared with what it should have"),
            }
            sleep(AGAIN).await;
        }
    }

    pub(super) async fn look_after(&self, term: &Term) {
        let [mut look, mut refresh, mut sweep] = [LOOK, REFRESH, SWEEP].map(interval);
        for every in [&mut look, &mut refresh, &mut sweep] {
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                _ = look.tick() => {
                    if let Err(error) = self.look_over(Some(term)).await {
                        tracing::warn!(%error, "the knowledge base cannot be looked at");
                    }
                }
                _ = refresh.tick() => {
                    self.refresh_all().await;
                    if let Err(error) = self.erase_due(term).await {
                        tracing::warn!(%error, "bytes of what was deleted are left, and it is tried again");
                    }
                }
                _ = sweep.tick() => {
                    if let Err(error) = self.sweep(term).await {
                        tracing::warn!(%error, "the files of the knowledge base were not tidied up");
                    }
                }
            }
        }
    }

    /// After a write: at once when that was not done lately, or else by [`look_after`](Self::look_after) for all at once.
    pub(super) async fn refresh_after_write(&self, collection: &Collection) {
        let is_due = { self.unrefreshed.lock().insert(collection.clone()) };
        if is_due {
            self.refresh(collection).await;
        }
    }

    async fn refresh_all(&self) {
        let waiting: Vec<Collection> = self.unrefreshed.lock().iter().cloned().collect();
        for collection in waiting {
            self.unrefreshed.lock().remove(&collection);
            self.refresh(&collection).await;
        }
    }

    async fn refresh(&self, collection: &Collection) {
        if self.knowledge.tombstones().is_closed(collection) {
            return;
        }
        if let Err(error) = self.knowledge.index().refresh(collection).await {
            tracing::warn!(%error, %collection, "the indices are not up to date, and it is tried again");
            self.unrefreshed.lock().insert(collection.clone());
        }
    }

    /// Erases what was deleted long enough ago, or is to be erased at once.
    async fn erase_due(&self, term: &Term) -> Result<(), DocumentsError> {
        let now = Timestamp::now();
        let longest = u64::try_from(self.bounds.erase.as_millis()).unwrap_or(u64::MAX);
        for (tenant, name) in self.store.unerased(Timestamp(now.0.saturating_sub(longest))).await? {
            let collection = Collection::of(tenant.clone(), &name)?;
            self.knowledge.index().erase(&collection).await?;
            self.store.erased(term.fence, &tenant, &name, now).await?;
            tracing::info!(%collection, "what was deleted is erased");
        }
        Ok(())
    }

    /// Removes files that nothing refers to, and forgets work that ended long ago.
    async fn sweep(&self, term: &Term) -> Result<(), DocumentsError> {
        let now = Timestamp::now();
        self.store.forget_jobs(term.fence, Timestamp(now.0.saturating_sub(REMEMBER_S * 1000))).await?;
        for tenant in self.store.tenants().await? {
            let orphans = self.blobs.orphans(&tenant).await?;
            if orphans.is_empty() {
                continue;
            }
            let removed = self.blobs.remove(&tenant, self.store.unused(&tenant, orphans)).await?;
            if removed > 0 {
                tracing::info!(files = removed, "files that nothing refers to are gone");
            }
        }
        Ok(())
    }
}
