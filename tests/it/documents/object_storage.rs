//! The index in an object storage that speaks S3, with a server of its own from `tests/s3`.

use super::*;
use crate::harness::Storage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_lives_in_an_object_storage_and_survives_its_absence() {
    let storage = Storage::start().await;
    let mut way = storage.way().await;
    let gateway = way.setup(setup(), "some/prefix").start().await;
    let user = User::of(&gateway);
    let one = user.add("one.md", "# One\n\nThe avocet wades.").await;
    let two = user.add("two.md", "# Two\n\nThe avocet has company: a dunlin.").await;
    assert!(user.finds("dunlin").await);
    assert_eq!(user.found("avocet", "hybrid", "default").await.len(), 2);
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{two}?erase=true")).await.0 / 100, 2);
    assert!(!user.finds("dunlin").await);
    assert!(!gateway.setup().data.path().join("data/lancedb").exists(), "nothing of it is here");

    let gateway = gateway.kill().await.start().await;
    let user = User::of(&gateway);
    crate::knowledge::until_loaded(&gateway).await;
    assert_eq!(user.found("avocet", "hybrid", "default").await, [one]);
    assert!(!user.finds("dunlin").await);
    let verified = gateway.setup().output(&["knowledge", "verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));

    way.cut().await;
    let state = async |status: &str| gateway.get("/health").await.1["status"] == status;
    let until_state = async |status: &str| {
        let waiting = async {
            while !state(status).await {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {status}"));
    };
    until_state("degraded").await;
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("What does the avocet do?").await.status(), "complete");
    assert_eq!(gateway.get("/ready").await.0, 200);
    way.open();
    until_state("ok").await;
    assert_eq!(user.found("avocet", "text", "default").await.len(), 1);
    user.add("three.md", "# Three\n\nThe knot flies.").await;
    assert!(user.finds("knot").await);
}
