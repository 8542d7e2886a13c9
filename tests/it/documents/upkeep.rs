//! The knowledge base looked after: what is not as it should be is found and mended, what was deleted leaves the disk, and
//! every row comes into the word index.

use std::process::Output;

use super::*;

/// Runs `rivulet knowledge …`.
async fn knowledge(setup: &Setup, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = setup.output(&[&["knowledge"], arguments].concat()).await;
    (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

/// What `verify` finds: key or document, what is wrong, and what mends it.
async fn verify(setup: &Setup) -> Vec<(String, String, String)> {
    let output = setup.output(&["knowledge", "verify", "--json"]).await;
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(output.status.success(), findings.is_empty(), "{found}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut findings: Vec<_> = findings
        .iter()
        .map(|one| {
            let key = if one["key"].is_null() { &one["document"] } else { &one["key"] };
            (text(key), text(&one["wrong"]), text(&one["mended_by"]))
        })
        .collect();
    findings.sort();
    findings
}

fn wrong(key: &str, wrong: &str, mended_by: &str) -> (String, String, String) {
    (key.to_owned(), wrong.to_owned(), mended_by.to_owned())
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_found_and_a_start_mends_what_it_can() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let one = user.add("one.md", "# One\n\nThe dunnock sings.").await;
    user.add("one.md", "# One\n\nThe dunnock sings, louder.").await;
    let gone = user.add("gone.md", "# Gone\n\nThe wheatear has left.").await;
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{gone}")).await.0, 204);
    let (is_fine, told) = knowledge(&gateway.setup(), &["verify"]).await;
    assert!(is_fine && told.contains("1 collections, 1 documents in 2 versions, 1 chunks: 0 not"), "{told}");

    // A store that is older than the index: it does not know the second document.
    let setup = gateway.kill().await;
    let older = |name: &str| (setup.data.path().join("data").join(name), setup.data.path().join(name));
    let gateway = setup.clone().start().await;
    let database = older("rivulet.db");
    assert_eq!(User::of(&gateway).get("/documents").await.0, 200);
    let mut gateway = gateway;
    gateway.signal("TERM").await;
    assert_eq!(gateway.exit_code().await, Some(0));
    std::fs::copy(&database.0, &database.1).unwrap();
    let gateway = setup.clone().start().await;
    let two = User::of(&gateway).add("two.md", "# Two\n\nThe whinchat is new.").await;
    let setup = gateway.kill().await;
    for beside in ["rivulet.db-wal", "rivulet.db-shm"] {
        let _there_or_not = std::fs::remove_file(older(beside).0);
    }
    std::fs::copy(&database.1, &database.0).unwrap();
    let text = format!("{two}.1");
    assert_eq!(
        verify(&setup).await,
        [wrong(&two, "not_expected", "start"), wrong(&text, "file_unused", "start")].sorted()
    );

    // The index is gone, and the contents are not what they were.
    let gateway = setup.start().await;
    crate::knowledge::until_loaded(&gateway).await;
    let setup = gateway.setup();
    until("the start to mend it", async || verify(&setup).await.is_empty()).await;
    assert!(!User::of(&gateway).finds("whinchat").await && User::of(&gateway).finds("dunnock").await);
    let setup = gateway.kill().await;
    std::fs::remove_dir_all(setup.data.path().join("data/lancedb")).unwrap();
    let versions: Vec<_> = files(&setup, "/blobs/").into_iter().filter(|path| !holds(path, "whinchat")).collect();
    let (new, old): (Vec<PathBuf>, Vec<PathBuf>) = versions.into_iter().partition(|path| holds(path, "louder"));
    let old = old.into_iter().find(|path| holds(path, "dunnock")).unwrap();
    std::fs::write(&new[0], "# One\n\nSomething else.").unwrap();
    std::fs::remove_file(old).unwrap();
    std::fs::remove_file(&files(&setup, &format!("/{one}.2"))[0]).unwrap();
    let found = verify(&setup).await;
    let one = |what: &str, mended_by| wrong("one.md", what, mended_by);
    let expected = [
        one("content_damaged", "content"),
        one("content_missing", "content"),
        one("not_indexed", "start"),
        one("text_missing", "start"),
    ];
    assert_eq!(found, expected);
    let (is_fine, told) = knowledge(&setup, &["verify"]).await;
    assert!(!is_fine && told.contains("one.md") && told.contains("4 not as it should be"), "{told}");
}

#[tokio::test]
async fn a_text_that_is_lost_is_read_again_by_a_start_and_for_whoever_asks() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let id = user.add("one.md", "# One\n\nThe dunnock sings.").await;
    let lose = |setup: &Setup| std::fs::remove_file(&files(setup, &format!("/{id}.1"))[0]).unwrap();
    let path = format!("/documents/{id}/text");
    lose(&gateway.setup());
    let (status, problem) = user.get(&path).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")), "{problem}");
    until("the text to be read again", async || user.get(&path).await.0 == 200).await;
    until("that to be done", async || user.get(&format!("/documents/{id}")).await.1["status"] == "ready").await;

    let setup = gateway.kill().await;
    lose(&setup);
    assert_eq!(verify(&setup).await, [wrong("one.md", "text_missing", "start")]);
    let gateway = setup.start().await;
    until("the start to mend it", async || verify(&gateway.setup()).await.is_empty()).await;
    crate::knowledge::until_loaded(&gateway).await;
    assert!(User::of(&gateway).finds("dunnock").await);
}

#[tokio::test]
async fn content_that_is_damaged_is_not_indexed_and_mended_when_it_comes_again() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    let text = "# One\n\nThe dunnock sings.";
    let id = user.add("one.md", text).await;
    let (_, document) = user.get(&format!("/documents/{id}")).await;
    assert_eq!(document["hash"], blake3::hash(text.as_bytes()).to_hex().as_str());
    let setup = gateway.kill().await;
    std::fs::write(&files(&setup, "/blobs/")[0], "# One\n\nThe bunting sings.").unwrap();
    std::fs::remove_dir_all(setup.data.path().join("data/lancedb")).unwrap();
    let gateway = setup.start().await;
    let user = User::of(&gateway);
    // The state does not tell of the model: it fails as soon as somebody looks at the index, which is gone.
    let vector = json!({"query": "birds", "mode": "vector"});
    until("the model", async || user.post("/rag/query", vector.clone()).await.0 != 503).await;
    until("the damage to be told", async || user.get(&format!("/documents/{id}")).await.1["status"] == "failed").await;
    assert_eq!(user.get(&format!("/documents/{id}")).await.1["error"]["code"], "damaged");
    assert!(!user.finds("bunting").await);
    let (status, accepted) = user.upload("one.md", text).await;
    assert_eq!((status, accepted["document"].as_str()), (202, Some(id.as_str())), "{accepted}");
    assert_eq!(user.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    assert!(user.finds("dunnock").await);
}

#[tokio::test]
async fn files_of_versions_that_leave_go_with_them() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    for n in 0..8 {
        user.add("one.md", &format!("# One\n\nThe dunnock sings, {n} times.")).await;
    }
    for folder in ["/blobs/", "/texts/"] {
        assert_eq!(files(&gateway.setup(), folder).len(), 5, "{folder}");
    }
    assert_eq!(verify(&gateway.setup()).await, []);
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl<T: Ord, const N: usize> Sorted for [T; N] {
    fn sorted(mut self) -> Self {
        self.sort();
        self
    }
}

fn holds(path: &PathBuf, word: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[tokio::test]
async fn compacting_beside_a_gateway_leaves_nothing_of_what_was_deleted() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    user.add("stays.md", "# Stays\n\nThe bittern stays.").await;
    let document = user.add("goes.md", "# Goes\n\nThe zorilla goes.").await;
    assert_eq!(user.call(Method::DELETE, &format!("/documents/{document}")).await.0, 204);
    let left = || files(&gateway.setup(), "/lancedb/").into_iter().filter(|path| holds(path, "zorilla")).count();
    assert!(left() > 0);
    let searching = async {
        loop {
            assert!(user.finds("bittern").await);
        }
    };
    let setup = gateway.setup();
    let compacting = knowledge(&setup, &["compact"]);
    let (is_done, told) = tokio::select! { done = compacting => done, () = searching => unreachable!() };
    assert!(is_done && told.contains("default: 1 chunks in 1 files"), "{told}");
    assert_eq!(left(), 0, "{told}");
    user.add("more.md", "# More\n\nThe bittern has company: a sandpiper.").await;
    assert!(user.finds("bittern").await && user.finds("sandpiper").await && !user.finds("zorilla").await);
    assert_eq!(verify(&gateway.setup()).await, []);
}

/// The second write within seconds is left to the upkeep, and the process dies before.
#[tokio::test]
async fn rows_that_a_crash_left_without_word_index_get_one() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    user.add("one.md", "# One\n\nThe first one is about linnets.").await;
    user.add("two.md", "# Two\n\nThe second one is about siskins.").await;
    let gateway = gateway.kill().await.start().await;
    let user = User::of(&gateway);
    timeout(LONG, async {
        loop {
            let (_, collections) = user.get("/collections").await;
            if collections["collections"][0]["index"] == json!({"state": "ready", "chunks": 2, "unindexed": 0}) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("every row is indexed within a minute");
    until("that to be told", async || {
        let (_, health) = gateway.get("/health").await;
        let known = &health["components"]["knowledge"];
        known["documents"]["ready"] == 2 && known["index"]["chunks"] == 2 && known["index"]["unindexed"] == 0
    })
    .await;
    let (_, health) = gateway.get("/health").await;
    let known = &health["components"]["knowledge"];
    assert_eq!(
        (&known["jobs"], &known["index"]["failed"]),
        (&json!({"queued": 0, "running": 0}), &json!(0)),
        "{health}"
    );
    assert!(known["index"]["bytes"].as_u64().unwrap() > 0 && known["index"]["upkeep_at"].is_string(), "{health}");
    for (metric, value) in [
        ("knowledge_documents{state=\"ready\"}", 2.0),
        ("knowledge_documents{state=\"failed\"}", 0.0),
        ("knowledge_jobs{state=\"queued\"}", 0.0),
        ("rag_index_chunks", 2.0),
        ("rag_index_unindexed_rows", 0.0),
        ("rag_index_failed_collections", 0.0),
    ] {
        assert!((gateway.metric(metric).await - value).abs() < 0.5, "{metric}");
    }
}

/// Two processes write to one index: the gateway, and a compaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_beside_uploads_loses_and_doubles_nothing() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    user.add("first.md", "# First\n\nThe first upload ends.").await;
    let setup = gateway.setup();
    let compacting = async {
        for _ in 0..2 {
            let (is_done, told) = knowledge(&setup, &["compact"]).await;
            assert!(is_done, "{told}");
        }
    };
    let uploading = async {
        for word in ["oldword", "newword"] {
            for n in 0..8 {
                user.add(&format!("{n}.md"), &format!("# Upload {n}\n\nThe upload about {word}{n} ends.")).await;
            }
        }
    };
    tokio::join!(compacting, uploading);
    for n in 0..8 {
        assert_eq!(user.found(&format!("newword{n}"), "text", "default").await.len(), 1, "{n}");
        assert!(user.found(&format!("oldword{n}"), "text", "default").await.is_empty(), "{n}");
    }
    let (_, collections) = user.get("/collections").await;
    assert_eq!(collections["collections"][0]["index"]["chunks"], 9);
    assert_eq!(verify(&gateway.setup()).await, []);
}
