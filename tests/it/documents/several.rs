//! Several gateways with one database and one folder: all take documents in and find them, one works on them.

use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::{
    harness::{Postgres, SHARED},
    knowledge::until_loaded,
};

/// So long at the most after one who works was killed another one does.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(9);

/// Paragraphs that take some seconds.
const LENGTHY: usize = 4000;

/// Gateways that share documents.
struct Several {
    database: String,
    place: TempDir,
}

impl Several {
    fn on(database: String) -> Self {
        Self { database, place: TempDir::new().unwrap() }
    }

    async fn new() -> Self {
        Self::on(SHARED.fresh().await)
    }

    fn setup(&self) -> Setup {
        setup().set("DATABASE_URL", &self.database).set("RIVULET_KNOWLEDGE_URI", self.place.path().to_str().unwrap())
    }

    /// One that works, and another one.
    async fn two(&self) -> (TestGateway, TestGateway) {
        let worker = self.setup().start().await;
        until("one that works", async || works(&worker).await).await;
        let other = self.setup().start().await;
        for gateway in [&worker, &other] {
            until_loaded(gateway).await;
        }
        assert!(!works(&other).await);
        (worker, other)
    }

    /// Rows, files and index fit together, as a command beside the gateways sees them.
    async fn verify(&self) {
        let verified = self.setup().output(&["knowledge", "verify"]).await;
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

pub(super) async fn works(gateway: &TestGateway) -> bool {
    gateway.metric("cluster_works_on_documents").await > 0.5
}

/// Whether a word is found, by one search: others may be of another version while it changes.
pub(super) async fn sees(user: &User, word: &str) -> bool {
    !user.found(word, "text", "default").await.is_empty()
}

/// Waits until work is so far that a part of its chunks has vectors, and no further.
async fn until_in_the_middle(user: &User, job: &str) {
    until("work in the middle", async || {
        let (_, job) = user.get(&format!("/jobs/{job}")).await;
        assert_ne!(job["state"], "done", "it was too quick to be interrupted");
        job["state"] == "running" && job["done"].as_u64() > Some(0) && job["done"].as_u64() < job["total"].as_u64()
    })
    .await;
}

#[tokio::test]
async fn any_gateway_takes_documents_in_and_all_find_them() {
    let several = Several::new().await;
    let (worker, other) = several.two().await;
    let (at_worker, at_other) = (User::of(&worker), User::of(&other));

    // What is handed in where nobody works is watched there to its end, and found everywhere.
    let id = at_other.add("a.md", "# A\n\nThe zanzibar policy ends on Friday.").await;
    for user in [&at_worker, &at_other] {
        until("the document", async || sees(user, "zanzibar").await).await;
        assert_eq!(user.get(&format!("/documents/{id}")).await.1["status"], "ready");
        assert!(user.get(&format!("/documents/{id}/text")).await.1.as_str().unwrap().contains("zanzibar"));
    }
    // A newer version, handed in where somebody works.
    at_worker.add("a.md", "# A\n\nThe yucatan policy ends on Monday.").await;
    for user in [&at_worker, &at_other] {
        until("the newer version", async || sees(user, "yucatan").await && !sees(user, "zanzibar").await).await;
    }
    // The same again is nothing new, wherever it comes.
    let (status, same) = at_other.upload("a.md", "# A\n\nThe yucatan policy ends on Monday.").await;
    assert_eq!((status, &same["version"]), (200, &json!(2)), "{same}");

    // Deleted where nobody works: there at once, elsewhere within seconds.
    assert_eq!(at_other.call(Method::DELETE, &format!("/documents/{id}")).await.0 / 100, 2);
    assert!(!at_other.finds("yucatan").await);
    until("the deletion", async || !sees(&at_worker, "yucatan").await).await;

    // A collection that is deleted and made anew under its name.
    let within = |text: &str| form(&[("collection", None, b"shop"), ("file", Some("b.md"), text.as_bytes())]);
    for (round, word) in ["quagmire", "hibiscus"].into_iter().enumerate() {
        let sent = [&at_other, &at_worker][round].send(Method::POST, "/documents", within(&format!("About {word}.")));
        let (status, accepted) = sent.await;
        assert_eq!(status, 202, "{accepted}");
        assert_eq!(at_worker.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
        for user in [&at_worker, &at_other] {
            until(word, async || !user.found(word, "text", "shop").await.is_empty()).await;
        }
        assert_eq!(at_other.call(Method::DELETE, "/collections/shop").await.0 / 100, 2);
        for user in [&at_worker, &at_other] {
            until("an empty collection", async || user.found(word, "text", "shop").await.is_empty()).await;
            let gone = async || !user.get("/collections").await.1.to_string().contains("shop");
            until("the end of the collection", gone).await;
        }
    }

    // Commands beside them: nobody need have their data folder.
    let file = several.place.path().with_extension("md");
    std::fs::write(&file, "# Rules\n\nThe xylophone rule is old.").unwrap();
    let ingested = several.setup().output(&["ingest", file.to_str().unwrap()]).await;
    std::fs::remove_file(&file).unwrap();
    assert!(ingested.status.success(), "{}", String::from_utf8_lossy(&ingested.stderr));
    until("what was ingested", async || sees(&at_other, "xylophone").await).await;
    let checked = several.setup().output(&["check"]).await;
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(told.contains("documents are kept there, too"), "{told}");
    several.verify().await;

    // Who is shut down leaves the work to others at once.
    let mut worker = worker;
    worker.signal("TERM").await;
    assert_eq!(worker.exit_code().await, Some(0));
    until("another one that works", async || works(&other).await).await;
    at_other.add("c.md", "The ultramarine door.").await;
    assert!(at_other.finds("ultramarine").await);
}

#[tokio::test]
async fn when_the_one_who_works_is_killed_another_one_ends_what_it_had_begun() {
    let several = Several::new().await;
    let (worker, other) = several.two().await;
    let user = User::of(&other);
    let (_, accepted) = user.upload("long.md", long_text("zanzibar", LENGTHY)).await;
    let job = accepted["job"].as_str().unwrap().to_owned();
    until_in_the_middle(&user, &job).await;
    let killed = Instant::now();
    drop(worker.kill().await);
    until("another one that works", async || works(&other).await).await;
    assert!(killed.elapsed() < TAKEN_WITHIN, "{:?}", killed.elapsed());
    let ended = user.ended(&job).await;
    assert_eq!((&ended["state"], &ended["attempts"]), (&json!("done"), &json!(2)), "{ended}");
    assert!(user.finds("zanzibar").await);
    several.verify().await;
}

#[tokio::test]
async fn one_who_was_stopped_and_wakes_up_changes_nothing() {
    let several = Several::new().await;
    let (worker, other) = several.two().await;
    let user = User::of(&other);
    let (_, accepted) = user.upload("long.md", long_text("zanzibar", LENGTHY)).await;
    let job = accepted["job"].as_str().unwrap().to_owned();
    until_in_the_middle(&user, &job).await;
    worker.signal("STOP").await;
    until("another one that works", async || works(&other).await).await;
    assert_eq!(user.ended(&job).await["state"], "done");
    // What the sleeper had begun is of the past by now.
    let id = user.add("long.md", long_text("yucatan", 3)).await;
    assert!(user.finds("yucatan").await && !user.finds("zanzibar").await);
    let (_, before) = user.get(&format!("/documents/{id}")).await;

    worker.signal("CONT").await;
    until("one that does not work", async || !works(&worker).await).await;
    let woken = User::of(&worker);
    until("what was done meanwhile", async || sees(&woken, "yucatan").await && !sees(&woken, "zanzibar").await).await;
    assert_eq!(user.get(&format!("/documents/{id}")).await.1, before);
    assert_eq!(user.get(&format!("/jobs/{job}")).await.1["attempts"], 2);
    assert!(user.finds("yucatan").await && !user.finds("zanzibar").await);
    several.verify().await;
    // It takes documents in as before, and works when it is its turn.
    woken.add("b.md", "The ultramarine door.").await;
    drop(other.kill().await);
    until("its turn", async || works(&worker).await).await;
    woken.add("c.md", "The xylophone rule.").await;
    several.verify().await;
}

#[tokio::test]
async fn while_the_database_is_away_documents_are_found_and_work_waits() {
    let mut postgres = Postgres::start(&[]);
    let several = Several::on(postgres.fresh().await);
    let (worker, other) = several.two().await;
    let (at_worker, at_other) = (User::of(&worker), User::of(&other));
    at_other.add("a.md", "The zanzibar policy.").await;
    until("the document", async || sees(&at_worker, "zanzibar").await && sees(&at_other, "zanzibar").await).await;
    let (_, accepted) = at_other.upload("long.md", long_text("yucatan", LENGTHY)).await;
    let job = accepted["job"].as_str().unwrap().to_owned();
    until_in_the_middle(&at_other, &job).await;

    postgres.kill();
    for user in [&at_worker, &at_other] {
        let (status, refused) = user.upload("b.md", "The xylophone rule.").await;
        assert_eq!((status, &refused["code"]), (503, &json!("storage_unavailable")), "{refused}");
        assert!(user.finds("zanzibar").await, "questions go on");
    }
    // Longer than a lease.
    until("nobody that works", async || !works(&worker).await && !works(&other).await).await;
    assert!(at_worker.finds("zanzibar").await && at_other.finds("zanzibar").await);

    postgres.start_again();
    assert_eq!(at_other.ended(&job).await["state"], "done");
    at_worker.add("b.md", "The xylophone rule.").await;
    until("all of it", async || sees(&at_other, "yucatan").await && sees(&at_other, "xylophone").await).await;
    several.verify().await;
}

#[tokio::test]
async fn a_gateway_with_another_folder_is_noticed() {
    let several = Several::new().await;
    let worker = several.setup().start().await;
    let elsewhere = TempDir::new().unwrap();
    let stray = several.setup().set("RIVULET_KNOWLEDGE_URI", elsewhere.path().to_str().unwrap());
    let refused = stray.output(&["serve"]).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("knowledge.uri"), "{told}");
    let checked = stray.output(&["check"]).await;
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.status.success() && told.contains("is not where the documents"), "{told}");
    // Without documents it is one of them.
    let without = stray.clone().set("RIVULET_KNOWLEDGE_ENABLED", "false").start().await;
    assert_eq!(without.get("/ready").await.0, 200);
    drop((worker, without));

    // The folder is lost: somebody says so.
    let adopted = stray.output(&["knowledge", "adopt"]).await;
    assert!(adopted.status.success(), "{}", String::from_utf8_lossy(&adopted.stderr));
    let gateway = stray.start().await;
    until_loaded(&gateway).await;
    User::of(&gateway).add("a.md", "The zanzibar policy.").await;
    assert!(User::of(&gateway).finds("zanzibar").await);
}
