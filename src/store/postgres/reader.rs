//! How the database is read: statements side by side on a few connections that everybody shares.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use super::{
    connect::{Database, Link, described, unavailable},
    writer::Failure,
};
use crate::store::StoreError;

/// Connections that read. A long answer holds up those behind it on the same one.
const READERS: usize = 4;
/// Reads that may be under way. Beyond it the caller is told at once.
const MOST: usize = 1024;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connections that read.
pub(super) struct Readers {
    database: Database,
    links: [Mutex<Option<Arc<Link>>>; READERS],
    next: AtomicUsize,
    room: Semaphore,
}

impl Readers {
    pub(super) fn new(database: &Database) -> Self {
        let links = std::array::from_fn(|_| Mutex::default());
        Self { database: database.clone(), links, next: AtomicUsize::new(0), room: Semaphore::new(MOST) }
    }

    /// Runs `work` on one of the connections; on a new one, when that it was given was over already.
    pub(super) async fn run<T, F, Fut>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Link>) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let full = |_| StoreError::Unavailable(format!("{MOST} reads are under way already"));
        let _room = self.room.try_acquire().map_err(full)?;
        let slot = &self.links[self.next.fetch_add(1, Ordering::Relaxed) % READERS];
        let reading = async {
            let link = self.link(slot).await?;
            match work(link.clone()).await {
                Err(Failure::Lost(_)) if link.is_over() => work(self.link(slot).await?).await,
                done => done,
            }
        };
        match timeout(PATIENCE, reading).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::Refused(error))) => Err(error),
            Ok(Err(Failure::Lost(error))) => Err(StoreError::Unavailable(described(&error))),
            Err(_) => {
                *slot.lock().await = None; // Nobody else need wait for it.
                Err(unavailable("the database does not answer"))
            }
        }
    }

    async fn link(&self, slot: &Mutex<Option<Arc<Link>>>) -> Result<Arc<Link>, StoreError> {
        let mut slot = slot.lock().await;
        if let Some(link) = slot.as_ref().filter(|link| !link.is_over()) {
            return Ok(link.clone());
        }
        let link = Arc::new(self.database.connect().await?);
        *slot = Some(link.clone());
        Ok(link)
    }
}
