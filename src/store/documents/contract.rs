//! What every [`DocumentStore`] has to do, tried on each of them.

use super::*;
use crate::store::{
    postgres::{PostgresStore, tests::server::SHARED},
    sqlite::SqliteStore,
};

mod acceptance;
mod deletion;
mod sharing;
mod work;

use self::{acceptance::*, deletion::*, sharing::*, work::*};

/// Runs every test of the contract against one way of making a store.
macro_rules! contract {
    ($name:ident, $store:expr, [$($test:ident),* $(,)?]) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (store, _keep) = $store.await;
                    assert_eq!(store.lead("this one", None).await.expect("told"), Some(Fence::FIRST));
                    super::$test(&store).await;
                }
            )*
        }
    };
}

macro_rules! contracts {
    ($tests:tt) => {
        contract!(sqlite, async { sqlite_store() }, $tests);
        contract!(postgres, postgres_store(), $tests);
    };
}

contracts!([
    the_same_key_is_a_version_and_the_same_content_is_nothing_new,
    a_repeated_request_is_known_and_another_content_is_a_conflict,
    what_is_anothers_is_not_there,
    work_is_taken_on_once_kept_and_ended,
    work_whose_lease_is_over_is_anybodys_and_has_so_many_attempts,
    newer_content_ends_the_work_on_older_content,
    no_two_work_on_one_document,
    the_tenant_with_less_work_under_way_comes_first,
    what_is_deleted_is_gone_for_callers_until_it_is_removed,
    nothing_brings_a_deleted_document_back,
    a_collection_is_deleted_with_its_documents,
    a_failed_update_leaves_the_version_that_answers,
    what_is_held_back_is_let_once_for_its_content,
    cancelled_work_can_be_begun_again,
    documents_are_bounded_and_paged,
    progress_never_falls_back,
    files_are_used_as_long_as_a_version_refers_to_them,
    content_lies_where_it_was_placed_last,
    a_file_that_is_kept_is_taken_from_a_version_or_not_at_all,
    versions_are_kept_in_bounds,
    what_was_deleted_is_erased_once_it_is_removed,
    what_there_is_is_counted,
    what_is_shared_is_read_and_not_changed,
    readers_see_what_answers_and_no_more,
    what_is_not_shared_any_more_is_not_there,
    readers_are_told_of_so_many_collections,
]);

async fn postgres_store() -> (PostgresStore, ()) {
    (PostgresStore::open(&SHARED.fresh().await).await.expect("opens"), ())
}

fn sqlite_store() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (SqliteStore::open(folder.path().join("rivulet.db")).expect("opens"), folder)
}

pub(in crate::store) fn north() -> Tenant {
    Tenant::new("north")
}

pub(in crate::store) fn new(key: &str, blob: &str) -> NewVersion {
    NewVersion {
        target: Target::Key { collection: DEFAULT_COLLECTION.to_owned(), key: key.to_owned() },
        content: Content {
            uri: None,
            name: format!("{key}.md"),
            title: None,
            media_type: "text/markdown".to_owned(),
            blob: blob.to_owned(),
            file: blob.to_owned(),
            bytes: 7,
        },
        is_kept: false,
        metadata: None,
        request: None,
        most: 100,
        at: Timestamp(1000),
    }
}

pub(in crate::store) async fn queued(
    store: &dyn DocumentStore,
    tenant: &Tenant,
    new: NewVersion,
) -> (DocumentRecord, JobRecord) {
    match store.accept(tenant, new).await.expect("stored") {
        Accepted::Queued { document, job, .. } => (*document, *job),
        other => panic!("{other:?}"),
    }
}

async fn claim(store: &dyn DocumentStore, lane: Lane) -> Option<Claimed> {
    store.claim(Fence::FIRST, lane, Timestamp(2000), Timestamp(5000)).await.expect("told")
}

pub(in crate::store) fn indexed(version: u32) -> Outcome {
    Outcome::Indexed(Box::new(Indexed {
        title: "A title".to_owned(),
        doc_hash: format!("v{version}-hash"),
        encoding: Some("utf-8".to_owned()),
        warnings: vec!["something".to_owned()],
        flags: Vec::new(),
        pages: Some(2),
        chunks: 3,
    }))
}

async fn end(store: &dyn DocumentStore, job: &JobRecord, outcome: Outcome) -> JobRecord {
    let ended = store.end(Fence::FIRST, &job.id, job.progress, outcome, Timestamp(3000)).await.expect("stored");
    ended.expect("it was under way")
}

/// Uploads and indexes.
async fn ready(store: &dyn DocumentStore, tenant: &Tenant, key: &str, blob: &str) -> DocumentRecord {
    let (document, job) = queued(store, tenant, new(key, blob)).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!(claimed.job.id, job.id);
    end(store, &claimed.job, indexed(document.newest.version)).await;
    store.document(tenant, &document.id).await.expect("read").expect("there")
}
