//! Backups beside a gateway that works, and what is made of them again; and what is no backup.

use std::{fs, path::PathBuf};

use age::secrecy::ExposeSecret;
use futures_util::future::join_all;
use rivulet::mock_llm::Options;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::harness::{SHARED, Setup, TestGateway, soon, upstream};

/// Runs a command; whether it worked, and what it said.
async fn run(setup: &Setup, arguments: &[&str]) -> (bool, String) {
    let output = setup.output(arguments).await;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), said)
}

fn path(setup: &Setup, name: &str) -> PathBuf {
    setup.data.path().join(name)
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

/// A key of age in a file, and what to encrypt for.
fn key(setup: &Setup, name: &str) -> (PathBuf, String) {
    let key = age::x25519::Identity::generate();
    let file = path(setup, name);
    fs::write(&file, format!("# made for a test\n{}\n", key.to_string().expose_secret())).unwrap();
    (file, key.to_public().to_string())
}

async fn messages(gateway: &TestGateway, session: &str) -> Vec<Value> {
    let (status, body) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
    assert_eq!(status, 200, "{body}");
    body["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn under_load_everything_acknowledged_before_is_in_it() {
    let model = upstream(Options { rate: 400.0, tokens: Some(40), ..Options::default() }).await;
    let gateway = Setup::with_upstream(&model.url).start().await;
    let setup = gateway.setup();
    let (identity, recipient) = key(&setup, "key.txt");
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(gateway.connect().await);
    }
    for client in &mut clients {
        assert_eq!(client.ask("before").await.status(), "complete");
    }
    let file = path(&setup, "rivulet.backup");
    let asking = join_all(clients.iter_mut().map(async |client| {
        loop {
            client.ask("meanwhile").await;
        }
    }));
    let arguments = ["backup", text(&file), "--recipient", &recipient];
    let backup = run(&setup, &arguments);
    let (worked, said) = tokio::select! {
        backup = backup => backup,
        _ = asking => unreachable!("it goes on"),
    };
    assert!(worked && said.contains("encrypted"), "{said}");
    assert!(!fs::read(&file).unwrap().windows(6).any(|bytes| bytes == b"before"), "it is encrypted");

    let sessions: Vec<_> = clients.iter().map(|client| client.session()).collect();
    let mut before = Vec::new();
    for session in &sessions {
        before.push(messages(&gateway, session).await[..2].to_vec());
    }
    drop(clients);
    let restored = Setup::with_upstream(&model.url);
    let (worked, said) = run(&restored, &["restore", text(&file), "--identity", text(&identity)]).await;
    assert!(worked, "{said}");
    let restored = restored.start().await;
    for (session, before) in sessions.iter().zip(before) {
        assert_eq!(messages(&restored, session).await[..2], before);
    }
    assert_eq!(restored.connect().await.ask("and on").await.status(), "complete");
    let left: Vec<_> = fs::read_dir(path(&setup, "data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("backup-")), "{left:?}");
}

#[tokio::test]
async fn documents_and_their_index_come_back() {
    let model = std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").expect("`make test` sets RIVULET_KNOWLEDGE_MODEL_DIR");
    let with_knowledge =
        || Setup::bare().set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_MODEL_DIR", &model);
    let gateway = with_knowledge().start().await;
    let add = async |title: String, text: String| {
        let (status, added) = gateway.post("/api/v1/documents/text", json!({ "title": title, "text": text })).await;
        assert_eq!(status, 202, "{added}");
        added["document"].as_str().unwrap().to_owned()
    };
    let first = add("Colours".to_owned(), "The code is zinnober.".to_owned()).await;
    let ready = async |gateway: &TestGateway, document: &str| {
        let ready = async {
            while gateway.get(&format!("/api/v1/documents/{document}")).await.1["status"] != "ready" {
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), ready).await.expect("it is indexed");
    };
    ready(&gateway, &first).await;
    // Others are on their way into the index while it is copied.
    let mut others = Vec::new();
    for n in 0..10 {
        others.push(add(format!("Other {n}"), format!("Number {n} is of no colour.")).await);
    }
    let setup = gateway.setup();
    let file = path(&setup, "rivulet.backup");
    let (worked, said) = run(&setup, &["backup", text(&file)]).await;
    assert!(worked && said.contains("not encrypted"), "{said}");
    drop(gateway);

    let restored = with_knowledge();
    let (worked, said) = run(&restored, &["restore", text(&file)]).await;
    assert!(worked, "{said}");
    let restored = restored.start().await;
    for document in [&first].into_iter().chain(&others) {
        ready(&restored, document).await;
    }
    let (status, found) = restored.post("/api/v1/rag/query", json!({ "query": "zinnober", "mode": "hybrid" })).await;
    assert_eq!((status, found["results"][0]["title"].as_str()), (200, Some("Colours")), "{found}");
    let setup = restored.setup();
    drop(restored);
    let (worked, said) = run(&setup, &["knowledge", "verify"]).await;
    assert!(worked, "{said}");
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let gateway = Setup::bare().start().await;
    gateway.connect().await.ask("one").await;
    let setup = gateway.setup();
    let (identity, recipient) = key(&setup, "key.txt");
    let (stranger, _) = key(&setup, "stranger.txt");
    let (plain, encrypted) = (path(&setup, "plain"), path(&setup, "encrypted"));
    assert!(run(&setup, &["backup", text(&plain)]).await.0);
    assert!(run(&setup, &["backup", text(&encrypted), "--recipient", &recipient]).await.0);
    let again = run(&setup, &["backup", text(&plain)]).await;
    assert!(!again.0 && again.1.contains("is there already"), "{}", again.1);
    let no_key = run(&setup, &["backup", "x", "--recipient", "AGE-SECRET-KEY-1CANARY"]).await;
    assert!(!no_key.0 && no_key.1.contains("no key of age") && !no_key.1.contains("error: a value"), "{}", no_key.1);
    let nothing = Setup::bare();
    let none = run(&nothing, &["backup", text(&path(&nothing, "b"))]).await;
    assert!(!none.0 && !path(&nothing, "b").exists(), "{}", none.1);

    let damaged = |of: &PathBuf, name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(of).unwrap();
        change(&mut bytes);
        fs::write(path(&setup, name), bytes).unwrap();
        path(&setup, name)
    };
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 40);
    let half = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
    // More than one bit: a single one may mean nothing where it lies, and then what is restored is what was saved.
    let flip = |bytes: &mut Vec<u8>| {
        let at = bytes.len() / 2;
        bytes[at..at + 16].iter_mut().for_each(|byte| *byte ^= 0x55);
    };
    let target = Setup::bare();
    let folder = path(&target, "data");
    for (file, identity, said) in [
        (&encrypted, None, "--identity"),
        (&encrypted, Some(&stranger), "another key"),
        (&encrypted, Some(&plain), ""),
        (&damaged(&plain, "cut", &cut), None, "not a whole backup"),
        (&damaged(&plain, "half", &half), None, "not a whole backup"),
        (&damaged(&plain, "flipped", &flip), None, ""),
        (&damaged(&encrypted, "cut.age", &cut), Some(&identity), "not a whole backup"),
        (&damaged(&encrypted, "half.age", &half), Some(&identity), "not a whole backup"),
        (&damaged(&encrypted, "flipped.age", &flip), Some(&identity), "not a whole backup"),
        (&damaged(&plain, "text", &|bytes| *bytes = b"no backup at all".to_vec()), None, "not a whole backup"),
        (&damaged(&plain, "empty", &Vec::clear), None, "not a whole backup"),
        (&path(&setup, "missing"), None, "No such file"),
    ] {
        let mut arguments = vec!["restore", text(file)];
        if let Some(identity) = identity {
            arguments.extend(["--identity", text(identity)]);
        }
        let (worked, told) = run(&target, &arguments).await;
        assert!(!worked && told.contains(said), "{file:?}: {said}: {told}");
        let left = fs::read_dir(&folder).map(Iterator::count).unwrap_or(0);
        assert_eq!(left, 0, "{file:?} left something");
    }
    let (worked, told) = run(&setup, &["restore", text(&plain)]).await;
    assert!(!worked && told.contains("an empty folder"), "{told}");
    assert_eq!(soon("an answer", gateway.get("/readyz")).await.0, 200, "the gateway does not notice");
    assert!(run(&target, &["restore", text(&encrypted), "--identity", text(&identity)]).await.0);
}

#[tokio::test]
async fn what_leads_out_of_the_folder_is_not_followed() {
    let setup = Setup::bare();
    for name in ["../outside", "blobs/../../outside", "/tmp/rivulet-outside", "rivulet.db/x", "blobs", "other/x"] {
        let file = path(&setup, "hostile");
        let mut tar = tar::Builder::new(zstd::Encoder::new(fs::File::create(&file).unwrap(), 1).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        // Written by hand: the library would not.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let (worked, said) = run(&setup, &["restore", text(&file)]).await;
        assert!(!worked && said.contains("not a whole backup"), "{name}: {said}");
        assert!(!path(&setup, "outside").exists() && !PathBuf::from("/tmp/rivulet-outside").exists());
    }
}

#[tokio::test]
async fn what_is_in_a_database_is_not_taken_for_saved() {
    let setup = Setup::bare().set("DATABASE_URL", &SHARED.fresh().await);
    let (worked, said) = run(&setup, &["backup", "rivulet.backup"]).await;
    assert!(!worked && said.contains("pg_dump") && !said.contains("folder after it"), "{said}");
    let setup = setup.set("RIVULET_KNOWLEDGE_ENABLED", "true").set("RIVULET_KNOWLEDGE_URI", "/srv/documents");
    let (worked, said) = run(&setup, &["backup", "rivulet.backup"]).await;
    assert!(!worked && said.contains("/srv/documents") && said.contains("the folder after it"), "{said}");
    assert!(!path(&setup, "rivulet.backup").exists());
}
