//! What is deleted.

use super::*;

pub(super) async fn what_is_deleted_is_gone_for_callers_until_it_is_removed(store: &dyn DocumentStore) {
    let document = ready(store, &north(), "a", "b1").await;
    let deleted =
        store.delete_document(&north(), &document.id, false, Timestamp(1)).await.expect("read").expect("there");
    assert_eq!(store.document(&north(), &document.id).await.expect("read"), None);
    assert_eq!(store.versions(&north(), &document.id).await.expect("read"), None);
    assert_eq!(store.delete_document(&north(), &document.id, false, Timestamp(1)).await.expect("read"), None);
    assert_eq!(store.cancel_job(&north(), &deleted.job.id, Timestamp(1)).await.expect("read"), None);
    let (documents, collections) = store.deleted().await.expect("read");
    assert_eq!((documents[0].document.clone(), collections.len()), (document.id.clone(), 0));
    // Its key is free at once.
    let (other, job) = queued(store, &north(), new("a", "b1")).await;
    assert_ne!(other.id, document.id);
    let claimed = claim(store, Lane::Remove).await.expect("due");
    assert_eq!(store.files(&claimed.job).await.expect("read"), [text_name(&document.id, 1), "b1".to_owned()]);
    end(store, &claimed.job, Outcome::Removed).await;
    assert_eq!(store.deleted().await.expect("read").0, []);
    assert!(store.job(&north(), &job.id).await.expect("read").is_some());
}

pub(super) async fn nothing_brings_a_deleted_document_back(store: &dyn DocumentStore) {
    let (document, _) = queued(store, &north(), new("a", "b1")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    store.delete_document(&north(), &document.id, false, Timestamp(1)).await.expect("read").expect("there");
    assert_eq!(end(store, &claimed.job, indexed(1)).await.state, JobState::Cancelled, "it comes too late");
    assert_eq!(store.document(&north(), &document.id).await.expect("read"), None);
    assert_eq!(store.retry_job(&north(), &claimed.job.id, Timestamp(1)).await.expect("read"), None);
    store.reindex(&document.id, Timestamp(1)).await.expect("stored");
    assert_eq!(claim(store, Lane::Index).await, None);
    assert_eq!(store.expected(None, None, 9).await.expect("read"), []);
}

pub(super) async fn a_collection_is_deleted_with_its_documents(store: &dyn DocumentStore) {
    let within = |name: &str, key: &str| NewVersion {
        target: Target::Key { collection: name.to_owned(), key: key.to_owned() },
        ..new(key, "b1")
    };
    assert_eq!(store.create_collection(&north(), "shop", Timestamp(1)).await.expect("stored"), Made::New);
    assert_eq!(store.create_collection(&north(), "shop", Timestamp(1)).await.expect("stored"), Made::Exists);
    let (inside, _) = queued(store, &north(), within("shop", "a")).await;
    let (outside, _) = queued(store, &north(), within("other", "a")).await;
    let listed = store.collections(&north()).await.expect("read");
    let listed: Vec<_> = listed.iter().map(|own| (&*own.name, own.documents, own.pending)).collect();
    assert_eq!(listed, [("other", 1, 1), ("shop", 1, 1)]);
    store.delete_collection(&north(), "shop", Timestamp(1)).await.expect("stored").expect("there");
    assert_eq!(store.document(&north(), &inside.id).await.expect("read"), None);
    assert_eq!(store.accept(&north(), within("shop", "b")).await.expect("stored"), Accepted::Deleting);
    assert_eq!(store.deleted().await.expect("read").1, [(north(), "shop".to_owned())]);
    let claimed = claim(store, Lane::Remove).await.expect("due");
    end(store, &claimed.job, Outcome::Removed).await;
    assert_eq!(store.deleted().await.expect("read"), (vec![], vec![]));
    assert!(store.document(&north(), &outside.id).await.expect("read").is_some());
    queued(store, &north(), within("shop", "b")).await;
    for n in 2..MAX_COLLECTIONS {
        store.create_collection(&north(), &n.to_string(), Timestamp(1)).await.expect("stored");
    }
    assert_eq!(store.create_collection(&north(), "more", Timestamp(1)).await.expect("stored"), Made::TooMany);
    assert_eq!(store.accept(&north(), within("more", "a")).await.expect("stored"), Accepted::TooManyCollections);
    queued(store, &north(), within(DEFAULT_COLLECTION, "a")).await;
}

pub(super) async fn what_was_deleted_is_erased_once_it_is_removed(store: &dyn DocumentStore) {
    let place = (north(), DEFAULT_COLLECTION.to_owned());
    for (key, erase, due) in [("a", false, 70), ("b", true, 0)] {
        let document = ready(store, &north(), key, "b1").await;
        store.delete_document(&north(), &document.id, erase, Timestamp(70)).await.expect("read").expect("there");
        assert_eq!(store.unerased(Timestamp(99)).await.expect("read"), [], "it may be in the index");
        let claimed = claim(store, Lane::Remove).await.expect("due");
        end(store, &claimed.job, Outcome::Removed).await;
        assert_eq!(store.unerased(Timestamp(due)).await.expect("read"), std::slice::from_ref(&place));
        assert_eq!(store.unerased(Timestamp(69)).await.expect("read").len(), usize::from(erase));
        store.erased(Fence::FIRST, &north(), DEFAULT_COLLECTION, Timestamp(70)).await.expect("stored");
        store.erased(Fence::FIRST, &north(), DEFAULT_COLLECTION, Timestamp(71)).await.expect("stored");
        assert_eq!(store.unerased(Timestamp(99)).await.expect("read"), []);
    }
}
