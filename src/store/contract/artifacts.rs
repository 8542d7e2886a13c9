//! Files that tools have made.

use super::*;
use crate::store::artifacts::{KeptArtifact, MAX_ARTIFACT_BYTES};

/// What has to do with sessions and what has to do with files, of one store.
pub(super) trait Both: SessionStore + ArtifactStore {}
impl<S: SessionStore + ArtifactStore> Both for S {}

fn artifact_id(id: &str) -> ArtifactId {
    ArtifactId::parse(id).expect("an id")
}

fn artifact(id: &str, created_at: u64) -> KeptArtifact {
    let content: Arc<[u8]> = [0, 255, 128, b'\n'].into();
    KeptArtifact {
        artifact: Artifact {
            artifact: artifact_id(id),
            kind: ArtifactKind::Table,
            title: "Zeilen \u{1f4b0}.csv".to_owned(),
            media: "text/csv".to_owned(),
            bytes: content.len() as u64,
        },
        content,
        created_at: Timestamp(created_at),
    }
}

fn of(owner: Option<&str>, id: &str) -> SessionRecord {
    SessionRecord { owner: owner.map(Owner::new), ..record(id, 1000) }
}

/// Which of these there are, for an owner.
async fn there<'a>(store: &dyn Both, owner: Option<&str>, ids: &[&'a str]) -> Vec<&'a str> {
    let owner = owner.map(Owner::new);
    let mut there = Vec::new();
    for id in ids {
        if store.artifact(owner.as_ref(), &artifact_id(id)).await.expect("read").is_some() {
            there.push(*id);
        }
    }
    there
}

pub(super) async fn artifacts_are_their_owners_and_go_with_the_session(store: Arc<impl Both>) {
    for (owner, id) in [(Some("acme/ann"), "anns"), (None, "nobodys")] {
        store.create_session(of(owner, id)).await.expect("stored");
        store.keep_artifact(&session_id(id), artifact(&format!("f-{id}"), 5), 9).await.expect("kept");
    }
    let found = store.artifact(Some(&Owner::new("acme/ann")), &artifact_id("f-anns")).await.expect("read");
    assert_eq!(found, Some(artifact("f-anns", 5)));
    let all = ["f-anns", "f-nobodys", "f-unknown"];
    assert_eq!(there(&*store, Some("acme/ann"), &all).await, ["f-anns"]);
    assert_eq!(there(&*store, None, &all).await, ["f-nobodys"]);
    assert!(there(&*store, Some("acme/ben"), &all).await.is_empty());
    assert!(there(&*store, Some("other/ann"), &all).await.is_empty());

    let nowhere = store.keep_artifact(&session_id("gone"), artifact("f", 5), 9).await;
    assert!(matches!(nowhere, Err(StoreError::NoSession)), "{nowhere:?}");
    let content: Arc<[u8]> = vec![1; MAX_ARTIFACT_BYTES + 1].into();
    let long = store.keep_artifact(&session_id("anns"), KeptArtifact { content, ..artifact("f", 5) }, 9).await;
    assert!(matches!(long, Err(StoreError::Unavailable(_))), "{long:?}");
    let content: Arc<[u8]> = vec![1; MAX_ARTIFACT_BYTES].into();
    let longest = KeptArtifact { content: content.clone(), ..artifact("f-longest", 5) };
    store.keep_artifact(&session_id("anns"), longest, 9).await.expect("kept");
    let found = store.artifact(Some(&Owner::new("acme/ann")), &artifact_id("f-longest")).await.expect("read");
    assert_eq!(found.expect("there").content, content);

    assert!(store.delete_session(&session_id("anns")).await.expect("deleted"));
    assert!(there(&*store, Some("acme/ann"), &["f-anns", "f-longest"]).await.is_empty());
    assert_eq!(there(&*store, None, &all).await, ["f-nobodys"]);
    let expired = store.delete_expired(Timestamp(2000), 9).await.expect("deleted");
    assert_eq!(expired, [session_id("nobodys")]);
    assert!(there(&*store, None, &all).await.is_empty());
}

pub(super) async fn the_newest_artifacts_of_an_owner_stay(store: Arc<impl Both>) {
    for (owner, id) in
        [(Some("acme/ann"), "a1"), (Some("acme/ann"), "a2"), (Some("acme/ben"), "b"), (None, "n1"), (None, "n2")]
    {
        store.create_session(of(owner, id)).await.expect("stored");
    }
    // All of one moment: what came later is newer.
    for (session, id) in [("a1", "1"), ("b", "b"), ("a2", "2"), ("n1", "n"), ("n2", "m"), ("a1", "3"), ("a2", "4")] {
        store.keep_artifact(&session_id(session), artifact(id, 5), 3).await.expect("kept");
    }
    assert_eq!(there(&*store, Some("acme/ann"), &["1", "2", "3", "4"]).await, ["2", "3", "4"]);
    assert_eq!(there(&*store, Some("acme/ben"), &["b"]).await, ["b"]);
    for id in ["n3", "n4", "n5"] {
        store.keep_artifact(&session_id("n1"), artifact(id, 5), 3).await.expect("kept");
    }
    assert_eq!(
        there(&*store, None, &["n", "m", "n3", "n4", "n5"]).await,
        ["m", "n3", "n4", "n5"],
        "those of a session"
    );
}

pub(super) async fn old_artifacts_go(store: Arc<impl Both>) {
    store.create_session(of(None, "s")).await.expect("stored");
    for (id, at) in [("1", 10), ("2", 20), ("3", 30), ("4", 40)] {
        store.keep_artifact(&session_id("s"), artifact(id, at), 9).await.expect("kept");
    }
    assert_eq!(store.delete_old_artifacts(Timestamp(30), 1).await.expect("deleted"), 1);
    assert_eq!(there(&*store, None, &["1", "2", "3", "4"]).await, ["2", "3", "4"], "the oldest first");
    assert_eq!(store.delete_old_artifacts(Timestamp(30), usize::MAX).await.expect("deleted"), 1);
    assert_eq!(store.delete_old_artifacts(Timestamp(30), 9).await.expect("deleted"), 0);
    assert_eq!(there(&*store, None, &["1", "2", "3", "4"]).await, ["3", "4"]);
}
