//! Documents by name and not by path: accepted, worked on in the background, replaced, deleted.
//!
//! The store says what should be, the files are the content, and the index is made from both. A document is acknowledged
//! once its bytes and its row are durable; the rest is work that is taken on, kept and ended through the store, so that it
//! goes on after any end of the process. Uses `store`, and of `knowledge` the model, the index and what reads documents.
//!
//! What is deleted is dead from the commit on: `tombstones` hides it from searches and from work that is about to write.
//! Work on a document is told to end before other work on it is taken on, so nothing overtakes anything.

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{board::Board, commits::Commits};
use super::{Collection, Knowledge, KnowledgeError, chunk::MAX_CHUNKS};
use crate::{
    chat::{DocumentId, JobId, MessageId, Timestamp},
    config::KnowledgeConfig,
    store::{
        DocumentStore, StoreError,
        blobs::Blobs,
        documents::{JobRecord, Lane, Target, Tenant},
    },
};

mod accept;
mod board;
mod commits;
mod compare;
mod deleting;
mod ended;
mod follow;
mod health;
mod lead;
mod live;
mod reading;
mod reconcile;
mod remove;
mod report;
mod stages;
mod term;
mod upkeep;
mod verify;
mod worker;

pub use report::{Health, IndexHealth};
pub use verify::{Finding, Mend, Verified, Wrong, verify};

/// Bounds of what is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most bytes of a document.
    pub bytes: u64,
    /// The most documents of a tenant.
    pub documents: u64,
    /// How long bytes of what was deleted may be left.
    pub erase: Duration,
}

impl Bounds {
    /// As `knowledge.*` says.
    #[must_use]
    pub fn of(config: &KnowledgeConfig) -> Self {
        Self {
            bytes: config.upload_bytes,
            documents: config.documents,
            erase: Duration::from_secs(config.erase_h * 3600),
        }
    }
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// The files.
    #[error("a file of the knowledge base: {0}")]
    Files(#[from] io::Error),
}

/// Content that came in, and what was said about it.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Of which document it is.
    pub target: Target,
    /// The file's name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The title that is to stand for it.
    pub title: Option<String>,
    /// What is shown of where it comes from.
    pub uri: Option<String>,
    /// What the client wants to remember.
    pub metadata: Option<Value>,
    /// By which a repetition is known.
    pub request: Option<MessageId>,
}

/// All documents of all tenants, and the work on them.
pub struct Documents {
    store: Arc<dyn DocumentStore>,
    blobs: Blobs,
    knowledge: Arc<Knowledge>,
    bounds: Bounds,
    /// What this process is called where it takes its turn at the work, and whether it has it.
    node: String,
    is_leading: AtomicBool,
    board: Board,
    commits: Commits,
    /// Room for the chunks of the documents under way.
    chunks: Semaphore,
    /// What is told to end by its token.
    running: Mutex<HashMap<JobId, CancellationToken>>,
    indexing: Notify,
    removing: Notify,
    /// Collections that were written to since their indices were brought up to date.
    unrefreshed: Mutex<HashSet<Collection>>,
    /// Collections whose index could not be compared with what it should have.
    uncompared: Mutex<HashSet<Collection>>,
    /// The version of each collection that was looked at last.
    looked_at: Mutex<HashMap<Collection, u64>>,
    /// When what a collection lacked was indexed again.
    mended: Mutex<HashMap<Collection, Instant>>,
    health: Mutex<Option<Health>>,
    /// Files of what is gone from the index, until the store has let go of it, too.
    forsaken: Mutex<HashMap<JobId, Vec<String>>>,
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Documents {
    /// What `store` and `blobs` have. From here on nothing finds what was deleted, also before [`run`](Self::run).
    ///
    /// # Errors
    /// When the store does not tell what was deleted, or the files of an earlier process cannot be looked through.
    pub async fn open(
        store: Arc<dyn DocumentStore>,
        knowledge: Arc<Knowledge>,
        blobs: Blobs,
        bounds: Bounds,
    ) -> Result<Self, DocumentsError> {
        blobs.clear_parts().await?;
        knowledge.hide(store.deleted().await?)?;
        Ok(Self {
            store,
            blobs,
            knowledge,
            bounds,
            node: uuid::Uuid::new_v4().simple().to_string(),
            is_leading: AtomicBool::new(false),
            board: Board::default(),
            commits: Commits::default(),
            chunks: Semaphore::new(MAX_CHUNKS),
            running: Mutex::default(),
            indexing: Notify::new(),
            removing: Notify::new(),
            unrefreshed: Mutex::default(),
            uncompared: Mutex::default(),
            looked_at: Mutex::default(),
            mended: Mutex::default(),
            health: Mutex::default(),
            forsaken: Mutex::default(),
        })
    }

    /// What is stored.
    #[must_use]
    pub fn store(&self) -> &dyn DocumentStore {
        &*self.store
    }

    pub(super) fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Whether it is this process that works on documents; of several gateways on one store, one does.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.is_leading.load(Ordering::Relaxed)
    }

    /// What is accepted.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Ends work. What waits is cancelled at once, what is under way within a second. `None` when there is none such.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn cancel(&self, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, DocumentsError> {
        let cancelled = self.store.cancel_job(tenant, id, Timestamp::now()).await?;
        if let Some(job) = &cancelled {
            self.board.publish(job);
            self.tell_to_end(tenant, std::slice::from_ref(id)).await;
        }
        Ok(cancelled)
    }

    /// New work in place of one that failed or was cancelled; `None` when there is nothing to do again.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn retry(&self, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, DocumentsError> {
        let begun = self.store.retry_job(tenant, id, Timestamp::now()).await?;
        if begun.is_some() {
            self.indexing.notify_one();
        }
        Ok(begun)
    }

    /// Lets a document that is held back; `None` when none is.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn release(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<JobRecord>, DocumentsError> {
        let begun = self.store.release(tenant, id, Timestamp::now()).await?;
        if begun.is_some() {
            self.indexing.notify_one();
        }
        Ok(begun)
    }

    /// Work that was under way ends by itself; of the rest those who watch it are told.
    async fn tell_to_end(&self, tenant: &Tenant, jobs: &[JobId]) {
        {
            let running = self.running.lock();
            for token in jobs.iter().filter_map(|job| running.get(job)) {
                token.cancel();
            }
        }
        for id in jobs.iter().filter(|id| self.board.has(id)) {
            match self.store.job(tenant, id).await {
                Ok(Some(job)) => self.board.publish(&job),
                Ok(None) => {}
                Err(error) => tracing::warn!(job = %id, %error, "those who watch it do not learn that it has ended"),
            }
        }
    }

    fn wake(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Index => &self.indexing,
            Lane::Remove => &self.removing,
        }
    }
}
