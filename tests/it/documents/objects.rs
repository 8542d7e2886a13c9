//! Several gateways with one database and one object storage, and no folder that they share: all take documents in and find
//! them, wherever these came in.

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use super::{
    several::{TAKEN_WITHIN, sees, works},
    *,
};
use crate::{
    harness::{SHARED, Storage, Way},
    knowledge::until_loaded,
};

const PREFIX: &str = "some/prefix";
/// Longer than a storage is waited for.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(40);

/// Gateways that share documents, each with a data folder of its own.
struct Objects {
    database: String,
    storage: Storage,
}

impl Objects {
    async fn on(storage: Storage) -> Self {
        Self { database: SHARED.fresh().await, storage }
    }

    async fn new() -> Self {
        Self::on(Storage::start().await).await
    }

    fn setup(&self, way: &Way) -> Setup {
        way.setup(setup(), PREFIX).set("DATABASE_URL", &self.database)
    }

    /// One that works, and another one.
    async fn two(&self, ways: [&Way; 2]) -> (TestGateway, TestGateway) {
        let worker = self.setup(ways[0]).start().await;
        until("one that works", async || works(&worker).await).await;
        let other = self.setup(ways[1]).start().await;
        for gateway in [&worker, &other] {
            until_loaded(gateway).await;
        }
        (worker, other)
    }

    async fn contents(&self) -> Vec<String> {
        self.storage.objects(&format!("{PREFIX}/blobs/")).await
    }

    async fn texts(&self) -> Vec<String> {
        self.storage.objects(&format!("{PREFIX}/texts/")).await
    }

    /// Rows, objects and index fit together, as a command beside the gateways sees them.
    async fn verify(&self, way: &Way) {
        let verified = self.setup(way).output(&["knowledge", "verify"]).await;
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }
}

async fn original(user: &User, document: &str) -> (u16, Vec<u8>) {
    let answer = user.request(Method::GET, &format!("/documents/{document}/original")).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_at_one_gateway_is_read_and_found_at_all() {
    let objects = Objects::new().await;
    let way = objects.storage.way().await;
    let (worker, other) = objects.two([&way, &way]).await;
    let (at_worker, at_other) = (User::of(&worker), User::of(&other));

    let id = at_other.add("a.md", "# A\n\nThe zanzibar policy ends on Friday.").await;
    for (gateway, user) in [(&worker, &at_worker), (&other, &at_other)] {
        until("the document", async || sees(user, "zanzibar").await).await;
        let (_, text) = user.get(&format!("/documents/{id}/text")).await;
        assert!(text.as_str().unwrap().contains("zanzibar"), "{text}");
        assert_eq!(original(user, &id).await, (200, b"# A\n\nThe zanzibar policy ends on Friday.".to_vec()));
        let mut client = gateway.connect().await;
        client.say("When does the zanzibar policy end?").await;
        assert_eq!(client.until("sources").await["items"][0]["title"], "A");
        assert!(client.answer().await.text.contains("Friday"));
    }
    // A newer version, and back again where the older one did not come in.
    at_worker.add("a.md", "# A\n\nThe yucatan policy ends on Monday.").await;
    until("the newer version", async || sees(&at_other, "yucatan").await).await;
    let (status, back) = at_worker.post(&format!("/documents/{id}/rollback"), json!({"version": 1})).await;
    assert_eq!(status, 202, "{back}");
    at_worker.ended(back["job"].as_str().unwrap()).await;
    until("the older version", async || sees(&at_other, "zanzibar").await && !sees(&at_other, "yucatan").await).await;
    assert_eq!(objects.contents().await.len(), 2, "the third version has the content of the first");

    // What is too long for one request. It is no document; its bytes are kept all the same.
    let long: Vec<u8> = b"%PDF-1.7\n".iter().copied().chain((0..9_u32 << 20).map(|n| (n ^ n >> 9) as u8)).collect();
    let (status, accepted) = at_other.upload("long.pdf", &long).await;
    assert_eq!(status, 202, "{accepted}");
    assert_eq!(at_other.ended(accepted["job"].as_str().unwrap()).await["state"], "failed");
    let (status, read) = original(&at_worker, accepted["document"].as_str().unwrap()).await;
    assert!(status == 200 && read == long, "{status}, {} bytes", read.len());

    // The same again is nothing new, and leaves nothing.
    let (status, same) = at_worker.upload("b.md", "The quagmire rule.").await;
    assert_eq!(status, 202, "{same}");
    at_worker.ended(same["job"].as_str().unwrap()).await;
    let before = objects.contents().await.len();
    for user in [&at_worker, &at_other] {
        let (status, same) = user.upload("b.md", "The quagmire rule.").await;
        assert_eq!((status, &same["unchanged"]), (200, &json!(true)), "{same}");
    }
    let file = worker.setup().data.path().join("c.md");
    std::fs::write(&file, "The xylophone rule.").unwrap();
    for _ in 0..2 {
        let ingested = objects.setup(&way).output(&["ingest", file.to_str().unwrap()]).await;
        assert!(ingested.status.success(), "{}", said(&ingested));
    }
    until("what was ingested", async || sees(&at_other, "xylophone").await).await;
    assert_eq!(objects.contents().await.len(), before + 1);
    objects.verify(&way).await;

    // Commands beside them.
    let checked = objects.setup(&way).output(&["check"]).await;
    assert!(said(&checked).contains(&format!("their files in s3://rivulet-test/{PREFIX}")), "{}", said(&checked));
    let backup = objects.setup(&way).output(&["backup", "/nowhere/b"]).await;
    assert!(!backup.status.success() && said(&backup).contains("in the object storage after it"), "{}", said(&backup));
    let exported = worker.setup().data.path().join("exported");
    let export = objects.setup(&way).output(&["knowledge", "export", exported.to_str().unwrap()]).await;
    assert!(export.status.success() && said(&export).contains("3 documents exported"), "{}", said(&export));

    // Content that is lost comes again with the same bytes.
    let lost = objects.contents().await;
    for object in &lost {
        objects.storage.remove(object).await;
    }
    assert_eq!(original(&at_other, &id).await.0, 404);
    let (status, same) = at_other.upload("a.md", "# A\n\nThe zanzibar policy ends on Friday.").await;
    assert_eq!((status, &same["unchanged"]), (200, &json!(true)), "{same}");
    assert_eq!(original(&at_worker, &id).await.0, 200);

    // Deleted where nobody works: there at once, elsewhere within seconds, and with all that it left.
    for document in at_other.get("/documents").await.1["documents"].as_array().unwrap() {
        let path = format!("/documents/{}", document["document"].as_str().unwrap());
        assert_eq!(at_other.call(Method::DELETE, &path).await.0 / 100, 2);
    }
    assert!(!at_other.finds("zanzibar").await);
    until("the deletion", async || !sees(&at_worker, "zanzibar").await).await;
    until("nothing to be left", async || objects.contents().await.is_empty() && objects.texts().await.is_empty()).await;
    for gateway in [&worker, &other] {
        assert_eq!(files(&gateway.setup(), "/blobs/"), Vec::<PathBuf>::new(), "nothing of it is here");
        assert_eq!(files(&gateway.setup(), "/texts/"), Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_takes_nothing_of_the_same_content_that_comes_meanwhile() {
    const NAMES: [&str; 3] = ["a.md", "b.md", "c.md"];
    let objects = Objects::new().await;
    let way = objects.storage.way().await;
    let (worker, other) = objects.two([&way, &way]).await;
    let users = [User::of(&worker), User::of(&other)];
    for round in 0..8 {
        let coming = NAMES.iter().enumerate().map(async |(n, name)| {
            let (status, accepted) = users[(round + n) % 2].upload(name, "The zanzibar policy.").await;
            assert!([200, 202].contains(&status), "{accepted}");
            accepted["document"].as_str().unwrap().to_owned()
        });
        let came = join_all(coming).await;
        // Each is deleted while the same comes again, at the other one, under its own name and that of a neighbour.
        let both = NAMES.iter().zip(&came).enumerate().map(async |(n, (name, document))| {
            let path = format!("/documents/{document}");
            let deleting = users[(round + n) % 2].call(Method::DELETE, &path);
            let coming = users[(round + n + 1) % 2].upload(name, "The zanzibar policy.");
            let ((deleted, _), (accepted, told)) = tokio::join!(deleting, coming);
            assert!(deleted / 100 == 2 && [200, 202].contains(&accepted), "{deleted}, {told}");
        });
        join_all(both).await;
    }
    let at_rest = async || {
        let (_, jobs) = users[0].get("/jobs").await;
        jobs["jobs"].as_array().unwrap().iter().all(|job| job["state"] != "queued" && job["state"] != "running")
    };
    soon_at_rest(at_rest).await;
    let (_, documents) = users[0].get("/documents").await;
    for document in documents["documents"].as_array().unwrap() {
        assert_eq!(document["status"], "ready", "{document}");
        let read = original(&users[1], document["document"].as_str().unwrap()).await;
        assert_eq!(read, (200, b"The zanzibar policy.".to_vec()));
    }
    let kept = documents["documents"].as_array().unwrap().len();
    until("what nobody needs to be gone", async || {
        (objects.contents().await.len(), objects.texts().await.len()) == (kept, kept)
    })
    .await;
    objects.verify(&way).await;
}

async fn soon_at_rest(at_rest: impl AsyncFn() -> bool) {
    let waiting = async {
        while !at_rest().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, waiting).await.expect("the end of all work");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_placed_by_one_that_was_killed_before_its_row_is_swept_by_the_next() {
    // What is put there is two hours old.
    let objects = Objects::on(Storage::behind(7200).await).await;
    let way = objects.storage.way().await;
    let (worker, other) = objects.two([&way, &way]).await;
    let (at_worker, at_other) = (User::of(&worker), User::of(&other));
    let kept = at_other.add("kept.md", "The zanzibar policy.").await;
    let before = objects.contents().await;

    // No row of a version is written.
    let (holding, connection) = tokio_postgres::connect(&objects.database, NoTls).await.unwrap();
    let mut beside = JoinSet::new();
    beside.spawn(async move { connection.await.unwrap() });
    holding.batch_execute("BEGIN; LOCK TABLE versions IN EXCLUSIVE MODE").await.unwrap();
    let coming = form(&[("file", Some("new.md"), b"The yucatan policy.")]);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let coming = at_worker.request(Method::POST, "/documents").header("content-type", kind).body(coming);
    beside.spawn(async move {
        coming.send().await.expect_err("it is killed");
    });
    until("what is placed", async || objects.contents().await.len() > before.len()).await;
    drop(worker.kill().await);
    holding.batch_execute("ROLLBACK").await.unwrap();
    drop(holding);
    beside.join_all().await;

    let killed = tokio::time::Instant::now();
    until("another one that works", async || works(&other).await).await;
    assert!(killed.elapsed() < TAKEN_WITHIN, "{:?}", killed.elapsed());
    until("the orphan to be gone", async || objects.contents().await == before).await;
    assert_eq!(at_other.get("/documents").await.1["documents"].as_array().unwrap().len(), 1, "it was not acknowledged");
    at_other.add("new.md", "The yucatan policy.").await;
    assert!(at_other.finds("yucatan").await && at_other.finds("zanzibar").await);
    assert_eq!(original(&at_other, &kept).await.0, 200);
    objects.verify(&way).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_storage_is_away_nothing_is_acknowledged_and_work_is_tried_again() {
    let objects = Objects::new().await;
    let (mut near, mut far) = (objects.storage.way().await, objects.storage.way().await);
    let (worker, other) = objects.two([&near, &far]).await;
    let (at_worker, at_other) = (User::of(&worker), User::of(&other));
    let id = at_other.add("a.md", "The zanzibar policy.").await;
    until("the document", async || sees(&at_worker, "zanzibar").await && sees(&at_other, "zanzibar").await).await;

    // Away from the one that works alone: what came in waits.
    near.cut().await;
    let (status, accepted) = at_other.upload("b.md", "The yucatan policy.").await;
    assert_eq!(status, 202, "{accepted}");
    let job = accepted["job"].as_str().unwrap();
    until("work that could not be done", async || {
        at_other.get(&format!("/jobs/{job}")).await.1["error"]["code"] == "storage_unavailable"
    })
    .await;
    near.open();
    assert_eq!(at_other.ended(job).await["state"], "done");
    until("the document", async || sees(&at_other, "yucatan").await).await;

    // Away from the other: it refuses, and says so.
    let refused = async |what: &str| {
        let (status, problem) =
            timeout(GIVEN_UP_WITHIN, at_other.upload("c.md", "The xylophone rule.")).await.expect(what);
        assert_eq!((status, &problem["code"]), (503, &json!("storage_unavailable")), "{what}: {problem}");
        let (status, problem) = timeout(GIVEN_UP_WITHIN, original(&at_other, &id)).await.expect(what);
        assert_eq!(status, 503, "{what}: {}", String::from_utf8_lossy(&problem));
        let mut client = other.connect().await;
        assert_eq!(client.ask("What about zanzibar?").await.status(), "complete");
        assert_eq!(other.get("/ready").await.0, 200);
    };
    far.cut().await;
    refused("nobody listens").await;
    far.freeze().await;
    refused("nobody answers").await;
    assert_eq!(files(&other.setup(), ".part"), Vec::<PathBuf>::new());
    far.cut().await;
    far.open();
    assert_eq!(at_other.get("/documents").await.1["documents"].as_array().unwrap().len(), 2);
    at_other.add("c.md", "The xylophone rule.").await;
    until("the document", async || sees(&at_worker, "xylophone").await).await;
    let healthy = async || other.get("/health").await.1["status"] == "ok";
    soon_at_rest(healthy).await;
    objects.verify(&far).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_start_at_once_have_one_place_and_another_one_is_refused() {
    let objects = Objects::new().await;
    let way = objects.storage.way().await;
    let started = join_all((0..3).map(|_| objects.setup(&way).start())).await;
    assert_eq!(objects.storage.objects(PREFIX).await, [format!("{PREFIX}/rivulet.place")]);
    for gateway in &started {
        assert_eq!(gateway.get("/ready").await.0, 200);
    }
    drop(started);

    for (uri, why) in [
        ("s3://rivulet-test/other", "is not where the documents of the database lie"),
        ("s3://rivulet-test", "is not where the documents of the database lie"),
        ("s3://another-bucket/some/prefix", "cannot be used"),
    ] {
        let stray = objects.setup(&way).set("RIVULET_KNOWLEDGE_URI", uri);
        for command in ["serve", "check"] {
            let refused = stray.output(&[command]).await;
            assert!(!refused.status.success() && said(&refused).contains(why), "{command} {uri}: {}", said(&refused));
        }
    }
    assert_eq!(objects.storage.objects("").await, [format!("{PREFIX}/rivulet.place")], "nothing is left there");

    // Somebody says that what they had is lost.
    let stray = way.setup(setup(), "other").set("DATABASE_URL", &objects.database);
    let adopted = stray.output(&["knowledge", "adopt"]).await;
    assert!(adopted.status.success() && said(&adopted).contains("s3://rivulet-test/other"), "{}", said(&adopted));
    let gateway = stray.start().await;
    until_loaded(&gateway).await;
    User::of(&gateway).add("a.md", "The zanzibar policy.").await;
    assert!(User::of(&gateway).finds("zanzibar").await);
    let refused = objects.setup(&way).output(&["serve"]).await;
    assert!(!refused.status.success() && said(&refused).contains("is not where"), "{}", said(&refused));
}
