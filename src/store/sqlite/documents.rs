//! Documents and the work on them. Every statement that a caller reaches names the tenant. One process has the file, so fences
//! say nothing here.

use async_trait::async_trait;
use rusqlite::Connection;

use super::SqliteStore;
use crate::{
    chat::{DocumentId, JobId, Timestamp},
    store::{
        Fence, MAX_PAGE, StoreError,
        columns::millis,
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
mod outcome;
mod read;
mod row;
mod shared;
mod upkeep;

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn accept(&self, tenant: &Tenant, new: NewVersion) -> Result<Accepted, StoreError> {
        let tenant = tenant.clone();
        self.write("accept_document", move |connection| accept::accept(connection, &tenant, &new)).await
    }

    async fn document(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("document", move |connection| read::document(connection, &tenant, &id)).await
    }

    async fn documents(
        &self,
        tenant: &Tenant,
        filter: DocumentFilter,
        before: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Option<Page<DocumentRecord>>, StoreError> {
        let (tenant, before, limit) = (tenant.clone(), before.cloned(), limit.min(MAX_PAGE));
        let page = move |connection: &Connection| read::page(connection, &tenant, &filter, before.as_ref(), limit);
        self.read("documents", page).await
    }

    async fn versions(&self, tenant: &Tenant, id: &DocumentId) -> Result<Option<Vec<VersionRecord>>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("versions", move |connection| read::versions(connection, &tenant, &id)).await
    }

    async fn delete_document(
        &self,
        tenant: &Tenant,
        id: &DocumentId,
        erase: bool,
        at: Timestamp,
    ) -> Result<Option<Deleted>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("delete_document", move |connection| accept::delete(connection, &tenant, &id, erase, at)).await
    }

    async fn collections(&self, tenant: &Tenant) -> Result<Vec<CollectionRecord>, StoreError> {
        let tenant = tenant.clone();
        self.read("collections", move |connection| collections::list(connection, &tenant)).await
    }

    async fn create_collection(&self, tenant: &Tenant, name: &str, at: Timestamp) -> Result<Made, StoreError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.write("create_collection", move |connection| collections::make(connection, &tenant, &name, at)).await
    }

    async fn delete_collection(
        &self,
        tenant: &Tenant,
        name: &str,
        at: Timestamp,
    ) -> Result<Option<Deleted>, StoreError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.write("delete_collection", move |connection| collections::delete(connection, &tenant, &name, at)).await
    }

    async fn set_readers(
        &self,
        tenant: &Tenant,
        name: &str,
        readers: Vec<Tenant>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        let set = move |connection: &Connection| collections::set_readers(connection, &tenant, &name, &readers, at);
        self.write("set_readers", set).await
    }

    async fn is_shared(&self, reader: &Tenant, place: &Place) -> Result<bool, StoreError> {
        let (reader, place) = (reader.clone(), place.clone());
        self.read("is_shared", move |connection| shared::is_shared(connection, &reader, &place)).await
    }

    async fn shared(&self, reader: &Tenant) -> Result<Vec<SharedRecord>, StoreError> {
        let reader = reader.clone();
        self.read("shared", move |connection| shared::list(connection, &reader)).await
    }

    async fn shared_document(&self, reader: &Tenant, id: &DocumentId) -> Result<Option<DocumentRecord>, StoreError> {
        let (reader, id) = (reader.clone(), id.clone());
        self.read("shared_document", move |connection| shared::document(connection, &reader, &id)).await
    }

    async fn shared_documents(
        &self,
        reader: &Tenant,
        place: &Place,
        filter: DocumentFilter,
        before: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Option<Page<DocumentRecord>>, StoreError> {
        let (reader, place, before, limit) = (reader.clone(), place.clone(), before.cloned(), limit.min(MAX_PAGE));
        let page =
            move |connection: &Connection| shared::page(connection, &reader, &place, &filter, before.as_ref(), limit);
        self.read("shared_documents", page).await
    }

    async fn job(&self, tenant: &Tenant, id: &JobId) -> Result<Option<JobRecord>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.read("job", move |connection| jobs::job(connection, &tenant, &id)).await
    }

    async fn jobs(
        &self,
        tenant: &Tenant,
        state: Option<JobState>,
        before: Option<&JobId>,
        limit: usize,
    ) -> Result<Option<Page<JobRecord>>, StoreError> {
        let (tenant, before, limit) = (tenant.clone(), before.cloned(), limit.min(MAX_PAGE));
        self.read("jobs", move |connection| jobs::page(connection, &tenant, state, before.as_ref(), limit)).await
    }

    async fn cancel_job(&self, tenant: &Tenant, id: &JobId, at: Timestamp) -> Result<Option<JobRecord>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("cancel_job", move |connection| jobs::cancel(connection, &tenant, &id, at)).await
    }

    async fn retry_job(&self, tenant: &Tenant, id: &JobId, at: Timestamp) -> Result<Option<JobRecord>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("retry_job", move |connection| jobs::retry(connection, &tenant, &id, at)).await
    }

    async fn release(&self, tenant: &Tenant, id: &DocumentId, at: Timestamp) -> Result<Option<JobRecord>, StoreError> {
        let (tenant, id) = (tenant.clone(), id.clone());
        self.write("release_document", move |connection| jobs::release(connection, &tenant, &id, at)).await
    }

    async fn claim(
        &self,
        _fence: Fence,
        lane: Lane,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<Option<Claimed>, StoreError> {
        // Nothing to do is the usual case, and need not cost a commit.
        if !self.read("claim", move |connection| outcome::is_anything_due(connection, lane, now)).await? {
            return Ok(None);
        }
        self.write("claim", move |connection| outcome::claim(connection, lane, now, lease)).await
    }

    async fn renew(
        &self,
        _fence: Fence,
        job: &JobId,
        progress: Progress,
        now: Timestamp,
        lease: Timestamp,
    ) -> Result<bool, StoreError> {
        let job = job.clone();
        self.write("renew", move |connection| outcome::renew(connection, &job, progress, (now, lease))).await
    }

    async fn end(
        &self,
        _fence: Fence,
        job: &JobId,
        progress: Progress,
        outcome: Outcome,
        at: Timestamp,
    ) -> Result<Option<JobRecord>, StoreError> {
        let job = job.clone();
        self.write("end_job", move |connection| {
            outcome::note(connection, &job, progress)?;
            outcome::end(connection, &job, &outcome, at)
        })
        .await
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
        let (within, after, limit) = (within.cloned(), after.cloned(), limit.min(MAX_PAGE));
        let expected =
            move |connection: &Connection| upkeep::expected(connection, within.as_ref(), after.as_ref(), limit);
        self.read("expected", expected).await
    }

    async fn reindex(&self, document: &DocumentId, at: Timestamp) -> Result<(), StoreError> {
        let document = document.clone();
        self.write("reindex", move |connection| upkeep::reindex(connection, &document, at)).await
    }

    async fn files(&self, job: &JobRecord) -> Result<Vec<String>, StoreError> {
        let job = job.clone();
        self.read("files", move |connection| upkeep::files(connection, &job)).await
    }

    async fn unused(&self, tenant: &Tenant, names: Vec<String>) -> Result<Vec<String>, StoreError> {
        let tenant = tenant.clone();
        self.read("unused", move |connection| upkeep::unused(connection, &tenant, names)).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.read("tenants", upkeep::tenants).await
    }

    async fn unerased(&self, cutoff: Timestamp) -> Result<Vec<Place>, StoreError> {
        self.read("unerased", move |connection| upkeep::unerased(connection, cutoff)).await
    }

    async fn erased(&self, _fence: Fence, tenant: &Tenant, name: &str, at: Timestamp) -> Result<(), StoreError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.write("erased", move |connection| upkeep::erased(connection, &tenant, &name, at)).await?;
        // Pages as they were before are in the log until it is cut; not within a transaction.
        self.readers.run(upkeep::cut_log).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        self.read("census", upkeep::census).await
    }

    async fn forget_jobs(&self, _fence: Fence, cutoff: Timestamp) -> Result<(), StoreError> {
        self.write("forget_jobs", move |connection| upkeep::forget_jobs(connection, millis(cutoff))).await
    }
}
