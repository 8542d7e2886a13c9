//! What only this store does: several gateways with the same documents.

use futures_util::future::join_all;

use super::*;
use crate::store::{
    documents::{
        DEFAULT_COLLECTION,
        contract::{indexed, new, north, queued},
    },
    postgres::tests::server::{SHARED, execute},
};

async fn two() -> (PostgresStore, PostgresStore, String) {
    let url = SHARED.fresh().await;
    (PostgresStore::open(&url).await.expect("opens"), PostgresStore::open(&url).await.expect("opens"), url)
}

const NOW: Timestamp = Timestamp(2000);
const LATER: Timestamp = Timestamp(9000);

fn is_fenced<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Fenced))
}

#[tokio::test]
async fn one_works_until_its_lease_is_over_and_changes_nothing_afterwards() {
    let (one, other, url) = two().await;
    let first = one.lead("one", None).await.expect("told").expect("nobody works");
    assert_eq!(other.lead("other", None).await.expect("told"), None);
    assert_eq!(one.lead("one", Some(first)).await.expect("told"), Some(first));
    let (document, job) = queued(&other, &north(), new("a", "b1")).await;
    let claimed = one.claim(first, Lane::Index, NOW, LATER).await.expect("told").expect("due");
    assert_eq!(claimed.job.id, job.id);
    assert_eq!(one.lead("one", None).await.expect("told"), None, "nobody has it twice");

    execute(&url, "UPDATE work SET expires_at = clock_timestamp() - interval '1 s'").await;
    assert_eq!(one.lead("one", Some(first)).await.expect("told"), Some(first), "nobody has taken it");
    execute(&url, "UPDATE work SET expires_at = clock_timestamp() - interval '1 s'").await;
    let second = other.lead("other", None).await.expect("told").expect("it is over");
    assert!(second > first);
    assert_eq!(one.lead("one", Some(first)).await.expect("told"), None);

    // It wakes up.
    let progress = claimed.job.progress;
    assert!(is_fenced(&one.renew(first, &job.id, progress, NOW, LATER).await));
    assert!(is_fenced(&one.end(first, &job.id, progress, indexed(1), NOW).await));
    queued(&other, &north(), new("b", "b2")).await;
    assert!(is_fenced(&one.claim(first, Lane::Index, NOW, LATER).await));
    assert!(is_fenced(&one.erased(first, &north(), DEFAULT_COLLECTION, NOW).await));
    assert!(is_fenced(&one.forget_jobs(first, NOW).await));
    assert_eq!(one.job(&north(), &job.id).await.expect("read").expect("there"), claimed.job, "as it was");

    // What it had taken on is taken on again, whatever the lease of the work says.
    let again = other.claim(second, Lane::Index, NOW, LATER).await.expect("told").expect("due");
    assert_eq!((&again.job.id, again.job.attempts), (&job.id, 2));
    assert!(is_fenced(&one.end(first, &job.id, progress, Outcome::Cancelled, NOW).await));
    let ended = other.end(second, &job.id, again.job.progress, indexed(1), NOW).await.expect("stored");
    assert_eq!(ended.expect("under way").state, JobState::Done);
    let shown = one.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!((shown.indexed_version, shown.title.as_str()), (Some(1), "A title"));

    one.step_down(first).await.expect("it has nothing to give up");
    assert_eq!(one.lead("one", None).await.expect("told"), None);
    other.step_down(second).await.expect("stored");
    assert!(one.lead("one", None).await.expect("told").is_some_and(|third| third > second));
}

#[tokio::test]
async fn of_many_who_want_to_work_one_does() {
    let (one, other, _url) = two().await;
    let names: Vec<String> = (0..16).map(|n| n.to_string()).collect();
    let asking = names.iter().enumerate().map(|(n, name)| if n % 2 == 0 { &one } else { &other }.lead(name, None));
    let led = join_all(asking).await;
    assert_eq!(led.iter().filter(|led| matches!(led, Ok(Some(_)))).count(), 1, "{led:?}");
    assert_eq!(led.iter().filter(|led| matches!(led, Ok(None))).count(), 15, "{led:?}");
}

#[tokio::test]
async fn the_same_document_at_many_gateways_at_once_is_one() {
    let (one, other, _url) = two().await;
    let tenant = north();
    let handing = (0..16).map(|n| if n % 2 == 0 { &one } else { &other }.accept(&tenant, new("a", "b1")));
    let handed = join_all(handing).await;
    let queued = handed.iter().filter(|handed| matches!(handed, Ok(Accepted::Queued { .. }))).count();
    let joined = handed.iter().filter(|handed| matches!(handed, Ok(Accepted::Joined(..)))).count();
    assert_eq!((queued, joined), (1, 15), "{handed:?}");
    // Bounds hold for all of them together.
    let most = |key: String| NewVersion { most: 5, ..new(&key, "b1") };
    let handing = (0..16).map(|n| if n % 2 == 0 { &one } else { &other }.accept(&tenant, most(format!("k{n}"))));
    let handed = join_all(handing).await;
    assert_eq!(handed.iter().filter(|handed| matches!(handed, Ok(Accepted::Queued { .. }))).count(), 4, "{handed:?}");
}

#[tokio::test]
async fn documents_lie_in_one_place() {
    let (one, other, _url) = two().await;
    let [here, there] = [0; 2].map(|_| tempfile::tempdir().expect("a folder"));
    let open = async |store, folder: &tempfile::TempDir| {
        crate::store::place::open(store, folder.path().to_str().expect("UTF-8"), folder.path()).await
    };
    // Of gateways with one folder that start together each finds the other's.
    let opened = join_all([&one, &other, &one, &other].map(|store| open(store, &here))).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
    let refused = open(&other, &there).await.expect_err("another folder");
    assert!(refused.to_string().contains("knowledge.uri"), "{refused}");
    assert_eq!(std::fs::read_dir(there.path()).expect("read").count(), 0, "nothing is left");
    crate::store::place::adopt(&other, there.path().to_str().expect("UTF-8"), there.path()).await.expect("said");
    open(&one, &there).await.expect("theirs by now");
    open(&one, &here).await.expect_err("not any more");
}
