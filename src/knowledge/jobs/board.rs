//! Where work is watched: everybody who looks sees its newest state, and nobody has to see each.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    chat::JobId,
    store::documents::{JobRecord, Tenant},
};

/// The work that somebody is at or looks at.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<HashMap<JobId, watch::Sender<JobRecord>>>);

impl Board {
    /// Work, from its state `job` on.
    pub(super) fn watch(&self, job: JobRecord) -> watch::Receiver<JobRecord> {
        let mut all = self.0.lock();
        all.retain(|_, sender| sender.receiver_count() > 0);
        if let Some(sender) = all.get(&job.id) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(job.clone());
        if !job.state.has_ended() {
            all.insert(job.id, sender);
        }
        receiver
    }

    /// Tells everybody who looks, unless they know more already. After its end nobody is told anything more.
    pub(super) fn publish(&self, job: &JobRecord) {
        let mut all = self.0.lock();
        let Some(sender) = all.get(&job.id) else { return };
        sender.send_if_modified(|known| {
            let is_newer = job.progress.revision > known.progress.revision;
            if is_newer {
                known.clone_from(job);
            }
            is_newer
        });
        if job.state.has_ended() {
            all.remove(&job.id);
        }
    }

    /// What somebody is at or looks at, and whose it is.
    pub(super) fn watched(&self) -> Vec<(Tenant, JobId)> {
        let mut all = self.0.lock();
        all.retain(|_, sender| sender.receiver_count() > 0);
        all.iter().map(|(id, sender)| (sender.borrow().tenant.clone(), id.clone())).collect()
    }

    /// There is no such work any more.
    pub(super) fn forget(&self, id: &JobId) {
        self.0.lock().remove(id);
    }

    /// Whether somebody is at it or looks at it.
    pub(super) fn has(&self, id: &JobId) -> bool {
        self.0.lock().contains_key(id)
    }

    /// The newest of what is stored and what is told.
    pub(super) fn newest(&self, stored: JobRecord) -> JobRecord {
        let told = self.0.lock().get(&stored.id).map(|sender| sender.borrow().clone());
        told.filter(|told| told.progress.revision > stored.progress.revision).unwrap_or(stored)
    }
}
