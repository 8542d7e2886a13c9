//! The process ends at any moment of the work, and the next one goes on with it.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;
use crate::harness::Seed;

/// Every document answers with one version of it, whole and once, or with none; everything else is over.
async fn verify(user: &User) {
    let pending = async || {
        let mut pending = 0;
        for state in ["queued", "running"] {
            pending += user.get(&format!("/jobs?state={state}")).await.1["jobs"].as_array().unwrap().len();
        }
        pending
    };
    timeout(LONG, async {
        while pending().await > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("everything ends");
    let (_, listed) = user.get("/documents?limit=200").await;
    let documents = listed["documents"].as_array().unwrap();
    let mut chunks = 0;
    for document in documents {
        let id = document["document"].as_str().unwrap();
        assert!(["ready", "failed"].contains(&document["status"].as_str().unwrap()), "{document}");
        if document["indexed_version"].is_null() {
            continue;
        }
        let text = user.get(&format!("/documents/{id}/text")).await.1;
        let word = text.as_str().unwrap().split("about ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        assert_eq!(user.found(&word, "text", "default").await, [id], "{word} of {document}");
        if document["version"] == document["indexed_version"] {
            chunks += document["chunks"].as_u64().unwrap();
        } else {
            let mut n = 0;
            while user.get(&format!("/documents/{id}/passages/{n}")).await.0 == 200 {
                n += 1;
            }
            chunks += n;
        }
    }
    let (_, collections) = user.get("/collections").await;
    assert_eq!(collections["collections"][0]["index"]["chunks"], chunks, "nothing doubled, nothing lost: {listed}");
}

/// `RIVULET_TEST_KILLS` says how often; 12 times when it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_stage_ends_in_done_failed_or_cancelled_and_doubles_nothing() {
    let kills = std::env::var("RIVULET_TEST_KILLS").map_or(12, |kills| kills.parse().expect("RIVULET_TEST_KILLS"));
    let seed = Seed::new();
    let mut rng = SmallRng::seed_from_u64(seed.0);
    let mut gateway = setup().start().await;
    let mut deleted: Vec<String> = Vec::new();
    let mut words: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..kills {
        let user = User::of(&gateway);
        crate::knowledge::until_loaded(&gateway).await;
        for _ in 0..2 {
            let name = format!("{}.md", rng.random_range(0..4));
            let word = format!("word{round}x{}", rng.random_range(0..1_000_000));
            let (status, accepted) = user.upload(&name, &long_text(&word, rng.random_range(1..40))).await;
            assert_eq!(status, 202, "{accepted}");
            words.insert(accepted["document"].as_str().unwrap().to_owned(), word);
        }
        if rng.random_bool(0.3) {
            let (id, word) = words.pop_first().unwrap();
            assert_eq!(user.call(Method::DELETE, &format!("/documents/{id}")).await.0 / 100, 2);
            deleted.push(word);
        }
        sleep(Duration::from_millis(rng.random_range(0..2500))).await;
        gateway = gateway.kill().await.start().await;
    }
    let user = User::of(&gateway);
    crate::knowledge::until_loaded(&gateway).await;
    verify(&user).await;
    for word in &deleted {
        assert!(!user.finds(word).await, "{word} was deleted");
    }
    for state in ["done", "failed", "cancelled"] {
        let (_, jobs) = user.get(&format!("/jobs?state={state}&limit=200")).await;
        for job in jobs["jobs"].as_array().unwrap() {
            assert!(job["done"].as_u64() <= job["total"].as_u64(), "{job}");
        }
    }
    // A start puts right what is not as it should be.
    let setup = gateway.kill().await;
    std::fs::remove_dir_all(setup.data.path().join("data/lancedb")).unwrap();
    let gateway = setup.start().await;
    crate::knowledge::until_loaded(&gateway).await;
    let user = User::of(&gateway);
    until("everything to be indexed again", async || {
        user.get("/jobs?state=done").await.1["jobs"].as_array().unwrap().len() > 1
    })
    .await;
    verify(&user).await;
    let document = user.add("last.md", &long_text("lastword", 3)).await;
    assert_eq!(user.found("lastword", "hybrid", "default").await, std::slice::from_ref(&document));
    std::fs::remove_dir_all(gateway.setup().data.path().join("data/lancedb")).unwrap();
    assert!(
        user.call(Method::DELETE, &format!("/documents/{document}")).await.0 / 100 == 2,
        "the index is gone by hand"
    );
}
