//! Work on documents: taken on, kept, ended.

use super::*;

pub(super) async fn work_is_taken_on_once_kept_and_ended(store: &dyn DocumentStore) {
    let (document, job) = queued(store, &north(), new("a", "b1")).await;
    assert_eq!(claim(store, Lane::Remove).await, None);
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!((&claimed.job.id, claimed.job.state, claimed.job.attempts), (&job.id, JobState::Running, 1));
    assert_eq!(
        (claimed.version.map(|version| version.blob), claimed.key.as_deref()),
        (Some("b1".to_owned()), Some("a"))
    );
    assert_eq!(claim(store, Lane::Index).await, None);
    let progress = Progress { revision: 9, stage: Some(Stage::Embed), done: 2, total: 3 };
    assert!(store.renew(Fence::FIRST, &job.id, progress, Timestamp(2500), Timestamp(6000)).await.expect("kept"));
    assert_eq!(store.job(&north(), &job.id).await.expect("read").expect("there").progress, progress);
    let shown = store.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!(shown.state, DocumentState::Indexing);
    let ended =
        store.end(Fence::FIRST, &job.id, progress, indexed(1), Timestamp(3000)).await.expect("stored").expect("ended");
    assert_eq!((ended.state, ended.progress.done, ended.progress.revision), (JobState::Done, 3, 10));
    assert_eq!(
        store.end(Fence::FIRST, &job.id, progress, Outcome::Cancelled, Timestamp(3000)).await.expect("told"),
        None
    );
    assert!(!store.renew(Fence::FIRST, &job.id, progress, Timestamp(1), Timestamp(1)).await.expect("told"));
}

pub(super) async fn work_whose_lease_is_over_is_anybodys_and_has_so_many_attempts(store: &dyn DocumentStore) {
    let (_, job) = queued(store, &north(), new("a", "b1")).await;
    for attempt in 1..=MAX_ATTEMPTS {
        let (now, lease) = (Timestamp(10_000 * u64::from(attempt)), Timestamp(10_000 * u64::from(attempt) + 1));
        let claimed = store.claim(Fence::FIRST, Lane::Index, now, lease).await.expect("told").expect("due");
        assert_eq!(claimed.job.attempts, attempt);
    }
    assert_eq!(store.claim(Fence::FIRST, Lane::Index, Timestamp(90_000), Timestamp(90_001)).await.expect("told"), None);
    let ended = store.job(&north(), &job.id).await.expect("read").expect("there");
    assert_eq!((ended.state, ended.fault.map(|fault| fault.code)), (JobState::Failed, Some("interrupted".to_owned())));
    // What it was released from was no attempt, and what is to be tried later waits.
    let (_, job) = queued(store, &north(), new("b", "b1")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    end(store, &claimed.job, Outcome::Released).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!((&claimed.job.id, claimed.job.attempts), (&job.id, 1));
    end(store, &claimed.job, Outcome::Again(Fault::new("storage_full", "x"), Timestamp(8000))).await;
    assert_eq!(claim(store, Lane::Index).await, None);
    let later =
        store.claim(Fence::FIRST, Lane::Index, Timestamp(8000), Timestamp(9000)).await.expect("told").expect("due");
    assert_eq!(later.job.attempts, 2);
}

pub(super) async fn newer_content_ends_the_work_on_older_content(store: &dyn DocumentStore) {
    let (document, first) = queued(store, &north(), new("a", "b1")).await;
    let (_, second) = queued(store, &north(), new("a", "b2")).await;
    assert_eq!(store.job(&north(), &first.id).await.expect("read").expect("there").state, JobState::Cancelled);
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!((&claimed.job.id, claimed.job.version), (&second.id, Some(2)));
    let accepted = store.accept(&north(), new("a", "b3")).await.expect("stored");
    let Accepted::Queued { superseded, job, .. } = accepted else { panic!("{accepted:?}") };
    assert_eq!(superseded, std::slice::from_ref(&second.id));
    assert!(
        !store.renew(Fence::FIRST, &second.id, Progress::default(), Timestamp(1), Timestamp(9000)).await.expect("told")
    );
    assert_eq!(claim(store, Lane::Index).await, None, "the other one is still at it");
    end(store, &claimed.job, Outcome::Cancelled).await;
    let shown = store.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!((shown.state, shown.newest.version), (DocumentState::Queued, 3));
    assert_eq!(claim(store, Lane::Index).await.expect("due").job.id, job.id);
}

pub(super) async fn no_two_work_on_one_document(store: &dyn DocumentStore) {
    let (document, _) = queued(store, &north(), new("a", "b1")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    let deleted =
        store.delete_document(&north(), &document.id, false, Timestamp(1)).await.expect("read").expect("there");
    assert_eq!(deleted.cancelled, std::slice::from_ref(&claimed.job.id));
    assert_eq!(claim(store, Lane::Remove).await, None);
    end(store, &claimed.job, Outcome::Cancelled).await;
    assert_eq!(claim(store, Lane::Remove).await.expect("due").job.id, deleted.job.id);
}

pub(super) async fn the_tenant_with_less_work_under_way_comes_first(store: &dyn DocumentStore) {
    for key in ["a", "b", "c"] {
        queued(store, &north(), new(key, "b1")).await;
    }
    queued(store, &Tenant::new("south"), new("a", "b1")).await;
    let mut order = Vec::new();
    while let Some(claimed) = claim(store, Lane::Index).await {
        order.push(claimed.job.tenant.as_str().to_owned());
    }
    assert_eq!(order, ["north", "south", "north", "north"]);
}

pub(super) async fn a_failed_update_leaves_the_version_that_answers(store: &dyn DocumentStore) {
    let document = ready(store, &north(), "a", "b1").await;
    queued(store, &north(), new("a", "b2")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    let failed = end(store, &claimed.job, Outcome::Failed(Fault::new("damaged", "it is"))).await;
    assert_eq!(failed.state, JobState::Failed);
    let shown = store.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!((shown.state, shown.indexed_version, shown.newest.version), (DocumentState::Failed, Some(1), 2));
    assert_eq!(shown.fault, Some(Fault::new("damaged", "it is")));
    for (name, count) in [(DEFAULT_COLLECTION, 1), ("other", 0)] {
        let within = (north(), name.to_owned());
        assert_eq!(store.expected(Some(&within), None, 9).await.expect("read").len(), count);
    }
    let expected = store.expected(None, None, 9).await.expect("read");
    assert_eq!(expected[0].doc_hash.as_deref(), Some("v1-hash"));
    // Only what answered is indexed again when the index has lost it.
    store.reindex(&document.id, Timestamp(1)).await.expect("stored");
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!(claimed.job.version, Some(1));
    end(store, &claimed.job, indexed(1)).await;
    let shown = store.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!((shown.state, shown.indexed_version), (DocumentState::Failed, Some(1)));
    // The same content again is another attempt.
    let (_, job) = queued(store, &north(), new("a", "b2")).await;
    assert_eq!(job.version, Some(2));
}

pub(super) async fn cancelled_work_can_be_begun_again(store: &dyn DocumentStore) {
    let (document, job) = queued(store, &north(), new("a", "b1")).await;
    assert_eq!(store.retry_job(&north(), &job.id, Timestamp(1)).await.expect("stored"), None);
    let cancelled = store.cancel_job(&north(), &job.id, Timestamp(1)).await.expect("stored").expect("there");
    assert_eq!(cancelled.state, JobState::Cancelled);
    let shown = store.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!(
        (shown.state, shown.fault.map(|fault| fault.code)),
        (DocumentState::Failed, Some("cancelled".to_owned()))
    );
    let again = store.retry_job(&north(), &job.id, Timestamp(1)).await.expect("stored").expect("begun");
    assert_ne!(again.id, job.id);
    assert_eq!(store.retry_job(&north(), &job.id, Timestamp(1)).await.expect("stored"), None, "only the last one");
    let claimed = claim(store, Lane::Index).await.expect("due");
    let told = store.cancel_job(&north(), &again.id, Timestamp(1)).await.expect("stored").expect("there");
    assert_eq!((told.state, told.cancelling), (JobState::Running, true));
    let released = end(store, &claimed.job, Outcome::Released).await;
    assert_eq!(released.state, JobState::Cancelled, "it was to end in any case");
}

pub(super) async fn progress_never_falls_back(store: &dyn DocumentStore) {
    let (_, job) = queued(store, &north(), new("a", "b1")).await;
    claim(store, Lane::Index).await.expect("due");
    let at = |done, total| Progress { revision: 5, stage: Some(Stage::Embed), done, total };
    for (told, kept) in [(at(3, 9), (3, 9)), (at(1, 9), (3, 9)), (at(99, 9), (9, 9)), (at(0, 0), (9, 9))] {
        assert!(store.renew(Fence::FIRST, &job.id, told, Timestamp(1), Timestamp(9000)).await.expect("kept"));
        let progress = store.job(&north(), &job.id).await.expect("read").expect("there").progress;
        assert_eq!((progress.done, progress.total), kept);
    }
}

pub(super) async fn what_is_held_back_is_let_once_for_its_content(store: &dyn DocumentStore) {
    let (document, _) = queued(store, &north(), new("a", "b1")).await;
    assert_eq!(store.release(&north(), &document.id, Timestamp(1)).await.expect("told"), None, "it is not held back");
    let claimed = claim(store, Lane::Index).await.expect("due");
    let ended = end(store, &claimed.job, Outcome::Quarantined(vec!["“obey”".to_owned()])).await;
    let fault = ended.fault.expect("a fault");
    assert_eq!((ended.state, fault.code.as_str()), (JobState::Failed, "quarantined"));
    assert!(!fault.detail.contains("obey"), "the work outlives the document and quotes nothing of it");
    let held = store.document(&north(), &document.id).await.expect("read").expect("there");
    assert_eq!((held.state, held.newest.flags), (DocumentState::Quarantined, vec!["“obey”".to_owned()]));
    assert!(matches!(store.accept(&north(), new("a", "b1")).await.expect("stored"), Accepted::Unchanged { .. }));

    assert_eq!(store.release(&Tenant::new("south"), &document.id, Timestamp(1)).await.expect("told"), None);
    let job = store.release(&north(), &document.id, Timestamp(1)).await.expect("stored").expect("it was held back");
    assert_eq!(store.release(&north(), &document.id, Timestamp(1)).await.expect("told"), None, "once");
    let claimed = claim(store, Lane::Index).await.expect("due");
    assert_eq!(claimed.job.id, job.id);
    assert!(claimed.version.expect("a version").is_released);
    end(store, &claimed.job, indexed(1)).await;

    // Another content is looked at; what was let is let again.
    for (blob, is_released) in [("b2", false), ("b1", true)] {
        queued(store, &north(), new("a", blob)).await;
        let claimed = claim(store, Lane::Index).await.expect("due");
        assert_eq!(claimed.version.expect("a version").is_released, is_released, "{blob}");
        end(store, &claimed.job, indexed(claimed.job.version.expect("one"))).await;
    }
}

pub(super) async fn what_there_is_is_counted(store: &dyn DocumentStore) {
    let count = async |wanted: DocumentState| {
        let census = store.census().await.expect("read");
        let found = census.documents.iter().find(|(state, _)| *state == wanted);
        (found.expect("every state is told").1, census.queued, census.running)
    };
    assert_eq!(count(DocumentState::Ready).await, (0, 0, 0));
    ready(store, &north(), "a", "b1").await;
    queued(store, &north(), new("b", "b2")).await;
    queued(store, &Tenant::new("south"), new("c", "b3")).await;
    let claimed = claim(store, Lane::Index).await.expect("due");
    for state in [DocumentState::Ready, DocumentState::Queued, DocumentState::Indexing] {
        assert_eq!(count(state).await, (1, 1, 1), "{state:?}");
    }
    end(store, &claimed.job, Outcome::Failed(Fault::new("damaged", "x"))).await;
    assert_eq!(count(DocumentState::Failed).await, (1, 1, 0));
}
