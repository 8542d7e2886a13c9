//! Documents that come, and what is kept of them.

use serde_json::json;

use super::*;

pub(super) async fn the_same_key_is_a_version_and_the_same_content_is_nothing_new(store: &dyn DocumentStore) {
    let first = ready(store, &north(), "a", "b1").await;
    assert_eq!((first.state, first.indexed_version, &*first.title), (DocumentState::Ready, Some(1), "A title"));
    assert_eq!((first.newest.pages, first.newest.chunks, first.newest.warnings.len()), (Some(2), Some(3), 1));
    let again = NewVersion { metadata: Some(json!({"a": 1})), ..new("a", "b1") };
    let Accepted::Unchanged { document: same, .. } = store.accept(&north(), again).await.expect("stored") else {
        panic!("not the same")
    };
    assert_eq!((same.id.clone(), same.metadata), (first.id.clone(), Some(json!({"a": 1}))));
    let (second, job) = queued(store, &north(), new("a", "b2")).await;
    assert_eq!((&second.id, second.newest.version, second.indexed_version), (&first.id, 2, Some(1)));
    let Accepted::Joined(_, joined) = store.accept(&north(), new("a", "b2")).await.expect("stored") else {
        panic!("not joined")
    };
    assert_eq!(joined.id, job.id);
}

pub(super) async fn a_repeated_request_is_known_and_another_content_is_a_conflict(store: &dyn DocumentStore) {
    let request = |blob| NewVersion { request: MessageId::parse("r1").ok(), ..new("a", blob) };
    let (document, job) = queued(store, &north(), request("b1")).await;
    queued(store, &north(), new("a", "b2")).await;
    let Accepted::Joined(known, _) = store.accept(&north(), request("b1")).await.expect("stored") else {
        panic!("not known")
    };
    assert_eq!(known.id, document.id);
    assert_eq!(store.accept(&north(), request("b3")).await.expect("stored"), Accepted::Conflict);
    let other = NewVersion { request: MessageId::parse("r1").ok(), ..new("other", "b1") };
    assert_eq!(store.accept(&north(), other).await.expect("stored"), Accepted::Conflict);
    let (elsewhere, _) = queued(store, &Tenant::new("south"), request("b1")).await;
    assert_ne!(elsewhere.id, document.id);
    assert!(store.job(&north(), &job.id).await.expect("read").is_some());
}

pub(super) async fn what_is_anothers_is_not_there(store: &dyn DocumentStore) {
    let document = ready(store, &north(), "a", "b1").await;
    let job = document.job.clone().expect("work");
    let south = Tenant::new("south");
    assert_eq!(store.document(&south, &document.id).await.expect("read"), None);
    assert_eq!(store.versions(&south, &document.id).await.expect("read"), None);
    assert_eq!(store.delete_document(&south, &document.id, false, Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.job(&south, &job.id).await.expect("read"), None);
    assert_eq!(store.cancel_job(&south, &job.id, Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.retry_job(&south, &job.id, Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.delete_collection(&south, "default", Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.collections(&south).await.expect("read"), []);
    assert_eq!(store.documents(&south, DocumentFilter::default(), Some(&document.id), 9).await.expect("read"), None);
    assert_eq!(store.jobs(&south, None, Some(&job.id), 9).await.expect("read"), None);
    assert!(store.jobs(&south, None, None, 9).await.expect("read").expect("a page").items.is_empty());
    let target = NewVersion { target: Target::Document(document.id.clone()), ..new("a", "b2") };
    assert_eq!(store.accept(&south, target).await.expect("read"), Accepted::NotFound);
    assert_eq!(store.unused(&south, vec!["b1".to_owned()]).await.expect("read"), ["b1"]);
}

pub(super) async fn documents_are_bounded_and_paged(store: &dyn DocumentStore) {
    let most = |key: &str| NewVersion { most: 5, ..new(key, "b1") };
    for n in 0..5 {
        queued(store, &north(), most(&n.to_string())).await;
    }
    assert_eq!(store.accept(&north(), most("more")).await.expect("stored"), Accepted::TooManyDocuments);
    let page = async |before: Option<DocumentId>| {
        let page = store.documents(&north(), DocumentFilter::default(), before.as_ref(), 2).await;
        page.expect("read").expect("a page")
    };
    let (mut before, mut keys) = (None, Vec::new());
    loop {
        let found = page(before).await;
        keys.extend(found.items.iter().map(|document| document.key.clone()));
        before = found.items.last().map(|document| document.id.clone());
        if !found.more {
            break;
        }
    }
    assert_eq!(keys, ["4", "3", "2", "1", "0"]);
    let state = Some(DocumentState::Ready);
    let none = store.documents(&north(), DocumentFilter { state, ..DocumentFilter::default() }, None, 9).await;
    assert!(none.expect("read").expect("a page").items.is_empty());
    let queued = store.jobs(&north(), Some(JobState::Queued), None, 3).await.expect("read").expect("a page");
    assert_eq!((queued.items.len(), queued.more), (3, true));
    store.forget_jobs(Fence::FIRST, Timestamp(u64::MAX)).await.expect("stored");
    assert!(!store.jobs(&north(), None, None, 9).await.expect("read").expect("a page").items.is_empty());
}

pub(super) async fn files_are_used_as_long_as_a_version_refers_to_them(store: &dyn DocumentStore) {
    let (a, b) = (ready(store, &north(), "a", "b1").await, ready(store, &north(), "b", "b1").await);
    let names = || vec!["b1".to_owned(), "b2".to_owned(), text_name(&a.id, 1), text_name(&a.id, 2)];
    let unused = async || store.unused(&north(), names()).await.expect("read");
    assert_eq!(unused().await, ["b2".to_owned(), text_name(&a.id, 2)]);
    for document in [&a, &b] {
        store.delete_document(&north(), &document.id, false, Timestamp(1)).await.expect("read").expect("there");
        let claimed = claim(store, Lane::Remove).await.expect("due");
        end(store, &claimed.job, Outcome::Removed).await;
    }
    assert_eq!(unused().await.len(), 4);
    assert_eq!(store.tenants().await.expect("read"), [north()]);
}

/// The same, placed under a name of its own.
fn placed(key: &str, blob: &str, place: &str) -> NewVersion {
    let new = new(key, blob);
    NewVersion { content: Content { file: format!("{blob}-{place}"), ..new.content }, ..new }
}

pub(super) async fn content_lies_where_it_was_placed_last(store: &dyn DocumentStore) {
    let file = async |document: &DocumentRecord| {
        let found = store.document(&north(), &document.id).await.expect("read").expect("there");
        let versions = store.versions(&north(), &document.id).await.expect("read").expect("there");
        assert_eq!(found.newest, versions[0]);
        found.newest.file
    };
    let unused = async |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        store.unused(&north(), names).await.expect("read")
    };
    let (document, job) = queued(store, &north(), placed("a", "b1", "x")).await;
    assert_eq!(file(&document).await, "b1-x");
    assert_eq!(unused(&["b1", "b1-x", "b1-y"]).await, ["b1", "b1-y"]);
    // Somebody works with the one that is there.
    let joined = store.accept(&north(), placed("a", "b1", "y")).await.expect("stored");
    assert!(matches!(joined, Accepted::Joined(..)));
    assert_eq!(joined.left_over(Some("b1-y".to_owned())), ["b1-y"]);
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!((&claimed.job.id, claimed.version.expect("a version").file.as_str()), (&job.id, "b1-x"));
    end(store, &claimed.job, indexed(1)).await;
    // Nobody does: the one that is there may be damaged.
    let unchanged = store.accept(&north(), placed("a", "b1", "y")).await.expect("stored");
    assert!(matches!(unchanged, Accepted::Unchanged { .. }));
    assert_eq!(unchanged.left_over(Some("b1-y".to_owned())), ["b1-x"]);
    assert_eq!((file(&document).await.as_str(), unused(&["b1-x", "b1-y"]).await), ("b1-y", vec!["b1-x".to_owned()]));

    queued(store, &north(), placed("a", "b2", "x")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    end(store, &claimed.job, Outcome::Failed(Fault::new("damaged", "its content is gone"))).await;
    let again = store.accept(&north(), placed("a", "b2", "y")).await.expect("stored");
    assert!(matches!(again, Accepted::Queued { .. }));
    assert_eq!(again.left_over(Some("b2-y".to_owned())), ["b2-x"]);
    assert_eq!(file(&document).await, "b2-y");
    let refused = store.accept(&north(), NewVersion { most: 1, ..placed("b", "b3", "x") }).await.expect("stored");
    assert_eq!(
        (&refused, refused.left_over(Some("b3-x".to_owned()))),
        (&Accepted::TooManyDocuments, vec!["b3-x".to_owned()])
    );

    let deleted =
        store.delete_document(&north(), &document.id, false, Timestamp(1)).await.expect("read").expect("there");
    let mut files = store.files(&deleted.job).await.expect("read");
    files.sort();
    let mut theirs = ["b1-y".to_owned(), "b2-y".to_owned(), text_name(&document.id, 1), text_name(&document.id, 2)];
    theirs.sort();
    assert_eq!(files, theirs);
}

pub(super) async fn a_file_that_is_kept_is_taken_from_a_version_or_not_at_all(store: &dyn DocumentStore) {
    let kept = |key: &str, blob: &str, place: &str| NewVersion { is_kept: true, ..placed(key, blob, place) };
    assert_eq!(store.accept(&north(), kept("a", "b1", "x")).await.expect("stored"), Accepted::NotFound);
    let (document, _) = queued(store, &north(), placed("a", "b1", "x")).await;
    queued(store, &north(), placed("a", "b2", "x")).await;
    assert_eq!(store.accept(&north(), kept("a", "b1", "y")).await.expect("stored"), Accepted::NotFound);
    assert_eq!(store.accept(&north(), kept("other", "b1", "x")).await.expect("stored"), Accepted::NotFound);
    let target = Target::Document(document.id.clone());
    let (again, _) = queued(store, &north(), NewVersion { target, ..kept("a", "b1", "x") }).await;
    assert_eq!((again.newest.version, again.newest.file.as_str()), (3, "b1-x"));
}

pub(super) async fn versions_are_kept_in_bounds(store: &dyn DocumentStore) {
    let document = ready(store, &north(), "a", "b0").await;
    for n in 1..10 {
        queued(store, &north(), new("a", &format!("b{n}"))).await;
    }
    let kept = store.versions(&north(), &document.id).await.expect("read").expect("there");
    let kept: Vec<_> = kept.iter().map(|version| version.version).collect();
    assert_eq!(kept, [10, 9, 8, 7, 6, 1], "and the one that answers");
}
