//! What the knowledge base should hold: documents, their versions, collections, and the work on them.
//!
//! The store says what should be; the content lies in [`blobs`](super::blobs), and the index is made from both. Every row
//! has a tenant, and every method that a caller reaches is told one: what is another tenant's is not there. A collection can
//! be shared, and what its readers see of it has methods of its own; all the others are for its owner.

use std::fmt;

use async_trait::async_trait;
use serde_json::Value;

use super::{Fence, StoreError};
use crate::chat::{DocumentId, JobId, MessageId, Timestamp};

mod collections;
#[cfg(test)]
pub(super) mod contract;
mod records;
mod tenant;
mod work;

pub use collections::{
    CollectionRecord, DEFAULT_COLLECTION, MAX_COLLECTIONS, MAX_READERS, MAX_SHARED, Made, Place, SharedRecord,
};
pub use records::{DocumentRecord, DocumentState, Fault, JobKind, JobRecord, JobState, Progress, Stage, VersionRecord};
pub use tenant::Tenant;
pub use work::{Claimed, Indexed, Lane, Outcome, WORK_LEASE};

/// The versions of a document that are kept, the one that answers besides.
pub const KEPT_VERSIONS: u32 = 5;
/// How often a piece of work is tried; a process that died over it counts.
pub const MAX_ATTEMPTS: u32 = 3;

/// What a version of a document is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The file's name, without any folder; its ending says what it is.
    pub name: String,
    /// The title that was given; `None`: the one that the text has.
    pub title: Option<String>,
    /// What is shown of where it comes from; `None`: the document's key.
    pub uri: Option<String>,
    /// What it is, as a media type.
    pub media_type: String,
    /// The hash of the bytes.
    pub blob: String,
    /// The name under which they lie: the hash in a folder, and in an object storage one that no other placement has.
    pub file: String,
    /// How many bytes.
    pub bytes: u64,
}

/// Which document a version is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one that its source calls so, or a new one.
    Key {
        /// The collection; made when there is none of this name.
        collection: String,
        /// What the source calls it.
        key: String,
    },
    /// One that is there.
    Document(DocumentId),
}

/// Content that came in, and lies on the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// Of which document.
    pub target: Target,
    /// What it says.
    pub content: Content,
    /// Whether its file is one that a version of the document has already, and nobody has put there for this. When no version
    /// has it any more there is nothing to accept.
    pub is_kept: bool,
    /// What the client wants to remember, in place of what it remembered before; `None` leaves it.
    pub metadata: Option<Value>,
    /// By which a repetition of the same request is known.
    pub request: Option<MessageId>,
    /// The most documents that the tenant may have.
    pub most: u64,
    /// Now.
    pub at: Timestamp,
}

/// What became of a [`NewVersion`].
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// It is stored, and waits for its turn.
    Queued {
        /// The document as it is now.
        document: Box<DocumentRecord>,
        /// The work on it.
        job: Box<JobRecord>,
        /// Work on what it replaces: what waited has ended, what is under way is told to end.
        superseded: Vec<JobId>,
        /// The names of the files of versions that have left: they go, unless something else refers to them.
        dropped: Vec<String>,
    },
    /// The same content is waiting or being worked on already.
    Joined(Box<DocumentRecord>, Box<JobRecord>),
    /// The same content answers already.
    Unchanged {
        /// The document as it is.
        document: Box<DocumentRecord>,
        /// The name of the file that its newest version had before this one: it goes, unless something else refers to it.
        dropped: Vec<String>,
    },
    /// The request is known, with other content.
    Conflict,
    /// There is no such document, or no version of it has the file.
    NotFound,
    /// The collection is being deleted.
    Deleting,
    /// The tenant has as many documents as it may have.
    TooManyDocuments,
    /// The tenant has [`MAX_COLLECTIONS`].
    TooManyCollections,
}

impl Accepted {
    /// The names of files of the tenant that are to go unless something refers to them. `placed` was put there for this.
    #[must_use]
    pub fn left_over(&self, placed: Option<String>) -> Vec<String> {
        let (document, dropped) = match self {
            Self::Queued { document, dropped, .. } | Self::Unchanged { document, dropped } => {
                (Some(document), &**dropped)
            }
            Self::Joined(document, _) => (Some(document), &[][..]),
            _ => (None, &[][..]),
        };
        let is_taken = |file: &String| document.is_some_and(|document| document.newest.file == *file);
        dropped.iter().cloned().chain(placed.filter(|placed| !is_taken(placed))).collect()
    }
}

/// A page of something, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether there is more.
    pub more: bool,
}

/// Which documents are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentFilter {
    /// Of this collection only.
    pub collection: Option<String>,
    /// In this state only.
    pub state: Option<DocumentState>,
    /// Known by this key only.
    pub key: Option<String>,
}

/// Something that was deleted: nothing may find it any more, and `job` removes what is left of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deleted {
    /// The work.
    pub job: JobRecord,
    /// Work on it: what waited has ended, what is under way is told to end.
    pub cancelled: Vec<JobId>,
}

/// A document that is deleted, and may still be in the index; or one that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its tenant.
    pub tenant: Tenant,
    /// Its collection.
    pub collection: String,
    /// Its id.
    pub document: DocumentId,
    /// The hash of its rows in the index; `None`: it should have none.
    pub doc_hash: Option<String>,
}

/// How many there are of what, of all tenants together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Documents by state: every state, in their order.
    pub documents: Vec<(DocumentState, u64)>,
    /// Work that waits.
    pub queued: u64,
    /// Work that somebody is at.
    pub running: u64,
}

/// The name of a file with content that nobody else places, even if it is the same.
#[must_use]
pub fn fresh_name(hash: &str) -> String {
    format!("{hash}-{}", uuid::Uuid::new_v4().simple())
}

/// The hash of what is in the file with content of this name.
#[must_use]
pub fn hash_of(name: &str) -> &str {
    name.split_once('-').map_or(name, |(hash, _)| hash)
}

/// The name of the file with the text of a version.
#[must_use]
pub fn text_name(document: &DocumentId, version: u32) -> String {
    format!("{document}.{version}")
}

/// Documents and the work on them that survive. As with sessions, a method that writes returns after the data is durable,
/// and dropping its future does not undo it.
///
/// Where several gateways have one store, one of them works, and all take documents in. What is written about work carries
/// the [`Fence`] of who works, and answers [`StoreError::Fenced`] when somebody else does by now: nothing was changed then.
#[async_trait]
pub trait DocumentStore: Send + Sync + fmt::Debug + 'static {
    /// Whether other gateways have it, too.
    fn has_others(&self) -> bool {
        false
    }

    /// Makes `node` the one who works, or keeps it so when it has `held` that already; `None` while somebody else is.
    /// Whoever has not been kept for [`WORK_LEASE`] may be replaced. Where one gateway has the store it is always that one.
    async fn lead(&self, _node: &str, _held: Option<Fence>) -> Result<Option<Fence>, StoreError> {
        Ok(Some(Fence::FIRST))
    }

    /// Lets others work at once: nothing more is written under this fence.
    async fn step_down(&self, _fence: Fence) -> Result<(), StoreError> {
        Ok(())
    }

    /// Stores content that came in as a version, with the work on it. Older versions beyond [`KEPT_VERSIONS`] go.
    async fn accept(&self, tenant: &Tenant, new: NewVersion) -> Result<Accepted, StoreError>;

    /// One document; `None` as well when it is deleted.
    async fn document(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, StoreError>;

    /// Documents older than `before`, newest first; `None` when there is no document `before`.
    async fn documents(
        &self,
        tenant: &Tenant,
        filter: DocumentFilter,
        before: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Option<Page<DocumentRecord>>, StoreError>;

    /// The versions of a document that are kept, newest first; `None` when there is no such document.
    async fn versions(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<Vec<VersionRecord>>, StoreError>;

    /// Deletes a document; `None` when there is none. What is left of its bytes is to go at once, or in its time.
    async fn delete_document(
        &self,
        tenant: &Tenant,
        id: &DocumentId,
        erase: bool,
        at: Timestamp,
    ) -> Result<Option<Deleted>, StoreError>;

    /// All collections of a tenant, by name.
    async fn collections(&self, tenant: &Tenant) -> Result<Vec<CollectionRecord>, StoreError>;

    /// Makes a collection.
    async fn create_collection(&self, tenant: &Tenant, name: &str, at: Timestamp) -> Result<Made, StoreError>;

    /// Deletes a collection with all its documents; `None` when there is none.
    async fn delete_collection(
        &self,
        tenant: &Tenant,
        name: &str,
        at: Timestamp,
    ) -> Result<Option<Deleted>, StoreError>;

    /// Lets these tenants read a collection, and no others; whether there is one. [`DEFAULT_COLLECTION`] always is.
    async fn set_readers(
        &self,
        tenant: &Tenant,
        name: &str,
        readers: Vec<Tenant>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Whether a collection is shared with `reader`. One that is being deleted is shared with nobody.
    async fn is_shared(&self, reader: &Tenant, place: &Place) -> Result<bool, StoreError>;

    /// The collections that are shared with `reader`, by tenant and name, the first [`MAX_SHARED`].
    async fn shared(&self, reader: &Tenant) -> Result<Vec<SharedRecord>, StoreError>;

    /// A document that is shared with `reader`, as readers see it: the version that answers in the place of the newest,
    /// and nothing of what its owner remembers, tries or failed to do. `None` as well when no version answers.
    async fn shared_document(&self, reader: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, StoreError>;

    /// The documents of a shared collection as readers see them, like [`documents`](Self::documents). None, unless it is
    /// shared with `reader`. The collection of the filter is not looked at.
    async fn shared_documents(
        &self,
        reader: &Tenant,
        place: &Place,
        filter: DocumentFilter,
        before: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Option<Page<DocumentRecord>>, StoreError>;

    /// One piece of work.
    async fn job(&self, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, StoreError>;

    /// Work older than `before`, newest first; `None` when there is no work `before`.
    async fn jobs(
        &self,
        tenant: &Tenant,
        state: Option<JobState>,
        before: Option<&JobId>,
        limit: usize,
    ) -> Result<Option<Page<JobRecord>>, StoreError>;

    /// Ends work that waits, and lets work under way be told to end; what has ended stays as it is. `None` when there is
    /// none such. The removal of something cannot be cancelled.
    async fn cancel_job(&self, tenant: &Tenant, id: &JobId, at: Timestamp) -> Result<Option<JobRecord>, StoreError>;

    /// New work in place of one that failed or was cancelled, on the newest version of its document. `None` when there is
    /// none such, or nothing to do: what is there then is told by [`job`](Self::job).
    async fn retry_job(&self, tenant: &Tenant, id: &JobId, at: Timestamp) -> Result<Option<JobRecord>, StoreError>;

    /// Lets the newest version of a document that is held back, and content like it from now on. `None` when there is
    /// nothing to let.
    async fn release(&self, tenant: &Tenant, id: &DocumentId, at: Timestamp) -> Result<Option<JobRecord>, StoreError>;

    /// Takes on the work whose turn it is, until `lease`. Work whose lease is over, or that was taken on under an earlier
    /// fence, is anybody's again. Of two tenants the one with less work under way comes first; no two work on one document.
    async fn claim(
        &self,
        fence: Fence,
        lane: Lane,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Claimed>, StoreError>;

    /// Keeps work for longer, and notes how far it is. Whether it goes on: not when it was told to end, or is somebody
    /// else's.
    async fn renew(
        &self,
        fence: Fence,
        job: &JobId,
        progress: Progress,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Ends work that was taken on, as far as it came; `None` when it is not under way any more.
    async fn end(
        &self,
        fence: Fence,
        job: &JobId,
        progress: Progress,
        outcome: Outcome,
        at: Timestamp,
    ) -> Result<Option<JobRecord>, StoreError>;

    /// Documents and collections that were deleted and are not removed yet. A collection has no document's id.
    async fn deleted(&self) -> Result<(Vec<Known>, Vec<Place>), StoreError>;

    /// What the index should hold, or that of one collection, after `after`, at most `limit`, by id.
    async fn expected(
        &self,
        within: Option<&Place>,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<Known>, StoreError>;

    /// New work on a document that should answer and does not, or in another version; work that waits has all its
    /// attempts again.
    async fn reindex(&self, document: &DocumentId, at: Timestamp) -> Result<(), StoreError>;

    /// The names of the files of what `job` is to remove.
    async fn files(&self, job: &JobRecord) -> Result<Vec<String>, StoreError>;

    /// Which of these files nothing refers to, by name: contents by that of their file, texts by [`text_name`].
    async fn unused(&self, tenant: &Tenant, names: Vec<String>) -> Result<Vec<String>, StoreError>;

    /// Everybody who has documents.
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError>;

    /// Collections out of which everything that was deleted is removed, and in which bytes of it may be left since before
    /// `cutoff`.
    async fn unerased(&self, cutoff: Timestamp) -> Result<Vec<Place>, StoreError>;

    /// No byte of what was deleted from a collection before `at` is left in its index; nor is it in the store after this.
    async fn erased(&self, fence: Fence, tenant: &Tenant, name: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Counts what there is.
    async fn census(&self) -> Result<Census, StoreError>;

    /// Forgets work that ended before `cutoff`.
    async fn forget_jobs(&self, fence: Fence, cutoff: Timestamp) -> Result<(), StoreError>;
}
