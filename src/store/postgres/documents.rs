//! Documents and the work on them. Every statement that a caller reaches names the tenant.
//!
//! Who writes about a tenant's documents locks the tenant's row first, so that what was read is still so when it is written,
//! and counts are true, on all gateways. What is written about work is compared with who works (`lead.rs`).

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::Type;

use super::{PostgresStore, connect::Link, rows::get};
use crate::{
    chat::{DocumentId, JobId, Timestamp},
    store::{
        Fence, MAX_PAGE, StoreError,
        documents::{
            Accepted, Census, Claimed, CollectionRecord, Deleted, DocumentFilter, DocumentRecord, DocumentStore,
            JobRecord, JobState, Known, Lane, Made, NewVersion, Outcome, Page, Place, Progress, SharedRecord, Tenant,
            VersionRecord,
        },
    },
};

mod accept;
mod collections;
mod jobs;
mod lead;
mod lock;
mod outcome;
mod read;
mod row;
mod shared;
#[cfg(test)]
mod tests;
mod upkeep;

/// What is written about work is in line behind.
const OF_WORK: &str = "work on documents";

/// What is written about a tenant's documents is in line behind.
fn of(tenant: &Tenant) -> (&'static str, &str) {
    ("documents", tenant.as_str())
}

impl PostgresStore {
    /// Where the index and the files of the documents lie: `found` is what stands there, and is noted when nothing is yet.
    /// What is noted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn place_of_documents(&self, found: &str) -> Result<String, StoreError> {
        let found = found.to_owned();
        let work = move |link: Arc<Link>| {
            let found = found.clone();
            async move {
                let sql = "UPDATE work SET place = coalesce(place, $1) WHERE id = 1 RETURNING place";
                Ok(get(&link.client.query_typed_one(sql, &[(&found, Type::TEXT)]).await?, 0)?)
            }
        };
        self.write("place_of_documents", OF_WORK, work).await
    }

    /// The same, whatever was noted before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn move_documents(&self, found: &str) -> Result<(), StoreError> {
        let found = found.to_owned();
        let work = move |link: Arc<Link>| {
            let found = found.clone();
            async move {
                link.client.execute_typed("UPDATE work SET place = $1 WHERE id = 1", &[(&found, Type::TEXT)]).await?;
                Ok(())
            }
        };
        self.write("place_of_documents", OF_WORK, work).await
    }

    /// What is noted of where the index and the files of the documents lie, if anything is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn known_place_of_documents(&self) -> Result<Option<String>, StoreError> {
        let read = |link: Arc<Link>| async move {
            Ok(get(&link.client.query_typed_one("SELECT place FROM work WHERE id = 1", &[]).await?, 0)?)
        };
        self.read("place_of_documents", read).await
    }
}

#[async_trait]
impl DocumentStore for PostgresStore {
    fn has_others(&self) -> bool {
        true
    }

    async fn lead(&self, node: &str, held: Option<Fence>) -> Result<Option<Fence>, StoreError> {
        // Not in line behind what people write: that must not hold up a renewal.
        self.read("lead", |link| lead::lead(link, node.to_owned(), held)).await
    }

    async fn step_down(&self, fence: Fence) -> Result<(), StoreError> {
        self.write("step_down", OF_WORK, move |link| lead::step_down(link, fence)).await
    }

    async fn accept(&self, tenant: &Tenant, new: NewVersion) -> Result<Accepted, StoreError> {
        let (own, new) = (tenant.clone(), Arc::new(new));
        self.write("accept_document", &of(tenant), move |link| accept::accept(link, own.clone(), new.clone())).await
    }

    async fn document(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, StoreError> {
        self.read("document", |link| async move { read::document(&link, tenant, id).await }).await
    }

    async fn documents(
        &self,
        tenant: &Tenant,
        filter: DocumentFilter,
        before: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Option<Page<DocumentRecord>>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let page = |link| read::page(link, tenant.clone(), filter.clone(), before.cloned(), limit);
        self.read("documents", page).await
    }

    async fn versions(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<Vec<VersionRecord>>, StoreError> {
        self.read("versions", |link| read::versions(link, tenant.clone(), id.clone())).await
    }

    async fn delete_document(
        &self,
        tenant: &Tenant,
        id: &DocumentId,
        erase: bool,
        at: Timestamp,
    ) -> Result<Option<Deleted>, StoreError> {
        let (own, id) = (tenant.clone(), id.clone());
        let delete = move |link| accept::delete(link, own.clone(), id.clone(), erase, at);
        self.write("delete_document", &of(tenant), delete).await
    }

    async fn collections(&self, tenant: &Tenant) -> Result<Vec<CollectionRecord>, StoreError> {
        self.read("collections", |link| collections::list(link, tenant.clone())).await
    }

    async fn create_collection(&self, tenant: &Tenant, name: &str, at: Timestamp) -> Result<Made, StoreError> {
        let (own, name) = (tenant.clone(), name.to_owned());
        let create = move |link| collections::create(link, own.clone(), name.clone(), at);
        self.write("create_collection", &of(tenant), create).await
    }

    async fn delete_collection(
        &self,
        tenant: &Tenant,
        name: &str,
        at: Timestamp,
    ) -> Result<Option<Deleted>, StoreError> {
        let (own, name) = (tenant.clone(), name.to_owned());
        let delete = move |link| collections::delete(link, own.clone(), name.clone(), at);
        self.write("delete_collection", &of(tenant), delete).await
    }

    async fn set_readers(
        &self,
        tenant: &Tenant,
        name: &str,
        readers: Vec<Tenant>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (own, name, readers) = (tenant.clone(), name.to_owned(), Arc::new(readers));
        let set = move |link| collections::set_readers(link, own.clone(), name.clone(), readers.clone(), at);
        self.write("set_readers", &of(tenant), set).await
    }

    async fn is_shared(&self, reader: &Tenant, place: &Place) -> Result<bool, StoreError> {
        self.read("is_shared", |link| shared::is_shared(link, reader.clone(), place.clone())).await
    }

    async fn shared(&self, reader: &Tenant) -> Result<Vec<SharedRecord>, StoreError> {
        self.read("shared", |link| shared::list(link, reader.clone())).await
    }

    async fn shared_document(&self, reader: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, StoreError> {
        self.read("shared_document", |link| shared::document(link, reader.clone(), id.clone())).await
    }

    async fn shared_documents(
        &self,
        reader: &Tenant,
        place: &Place,
        filter: DocumentFilter,
        before: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Option<Page<DocumentRecord>>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let page = |link| shared::page(link, reader.clone(), place.clone(), filter.clone(), before.cloned(), limit);
        self.read("shared_documents", page).await
    }

    async fn job(&self, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        self.read("job", |link| async move { jobs::job(&link, tenant, id).await }).await
    }

    async fn jobs(
        &self,
        tenant: &Tenant,
        state: Option<JobState>,
        before: Option<&JobId>,
        limit: usize,
    ) -> Result<Option<Page<JobRecord>>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        self.read("jobs", |link| jobs::page(link, tenant.clone(), state, before.cloned(), limit)).await
    }

    async fn cancel_job(&self, tenant: &Tenant, id: &JobId, at: Timestamp) -> Result<Option<JobRecord>, StoreError> {
        let (own, id) = (tenant.clone(), id.clone());
        self.write("cancel_job", &of(tenant), move |link| jobs::cancel(link, own.clone(), id.clone(), at)).await
    }

    async fn retry_job(&self, tenant: &Tenant, id: &JobId, at: Timestamp) -> Result<Option<JobRecord>, StoreError> {
        let (own, id) = (tenant.clone(), id.clone());
        self.write("retry_job", &of(tenant), move |link| jobs::retry(link, own.clone(), id.clone(), at)).await
    }

    async fn release(&self, tenant: &Tenant, id: &DocumentId, at: Timestamp) -> Result<Option<JobRecord>, StoreError> {
        let (own, id) = (tenant.clone(), id.clone());
        let release = move |link| jobs::release(link, own.clone(), id.clone(), at);
        self.write("release_document", &of(tenant), release).await
    }

    async fn claim(
        &self,
        fence: Fence,
        lane: Lane,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Claimed>, StoreError> {
        // Nothing to do is the usual case, and need not cost a commit.
        if !self.read("claim", |link| outcome::is_anything_due(link, fence, lane, now)).await? {
            return Ok(None);
        }
        self.write("claim", OF_WORK, move |link| outcome::claim(link, fence, lane, now, lease)).await
    }

    async fn renew(
        &self,
        fence: Fence,
        job: &JobId,
        progress: Progress,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<bool, StoreError> {
        let job = job.clone();
        let renew = move |link| outcome::renew(link, fence, job.clone(), progress, (now, lease));
        self.write("renew", OF_WORK, renew).await
    }

    async fn end(
        &self,
        fence: Fence,
        job: &JobId,
        progress: Progress,
        outcome: Outcome,
        at: Timestamp,
    ) -> Result<Option<JobRecord>, StoreError> {
        let (job, outcome) = (job.clone(), Arc::new(outcome));
        let end = move |link| outcome::end(link, fence, job.clone(), progress, outcome.clone(), at);
        self.write("end_job", OF_WORK, end).await
    }

    async fn deleted(&self) -> Result<(Vec<Known>, Vec<Place>), StoreError> {
        self.read("deleted", upkeep::deleted).await
    }

    async fn expected(
        &self,
        within: Option<&Place>,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<Known>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        self.read("expected", |link| upkeep::expected(link, within.cloned(), after.cloned(), limit)).await
    }

    async fn reindex(&self, document: &DocumentId, at: Timestamp) -> Result<(), StoreError> {
        let document = document.clone();
        self.write("reindex", OF_WORK, move |link| upkeep::reindex(link, document.clone(), at)).await
    }

    async fn files(&self, job: &JobRecord) -> Result<Vec<String>, StoreError> {
        self.read("files", |link| upkeep::files(link, job.clone())).await
    }

    async fn unused(&self, tenant: &Tenant, names: Vec<String>) -> Result<Vec<String>, StoreError> {
        self.read("unused", |link| upkeep::unused(link, tenant.clone(), names.clone())).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read("tenants", upkeep::tenants).await
    }

    async fn unerased(&self, cutoff: Timestamp) -> Result<Vec<Place>, StoreError> {
        self.read("unerased", |link| upkeep::unerased(link, cutoff)).await
    }

    async fn erased(&self, fence: Fence, tenant: &Tenant, name: &str, at: Timestamp) -> Result<(), StoreError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.write("erased", OF_WORK, move |link| upkeep::erased(link, fence, tenant.clone(), name.clone(), at)).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        self.read("census", upkeep::census).await
    }

    async fn forget_jobs(&self, fence: Fence, cutoff: Timestamp) -> Result<(), StoreError> {
        self.write("forget_jobs", OF_WORK, move |link| upkeep::forget_jobs(link, fence, cutoff)).await
    }
}
