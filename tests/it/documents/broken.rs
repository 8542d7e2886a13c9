//! Indexes that are away, damaged, or on a disk that takes nothing, and models that are no models: `/health` says so, the
//! log does once, chat goes on, and it works again by itself when the fault is over.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::*;

fn index(setup: &Setup) -> PathBuf {
    setup.data.path().join("data/lancedb")
}

/// The state of the whole, of the knowledge base, and how many collections cannot be read and written.
async fn health(gateway: &TestGateway) -> (String, String, u64, u64) {
    let (_, health) = gateway.get("/health").await;
    let knowledge = &health["components"]["knowledge"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let count = |name: &str| knowledge["index"][name].as_u64().unwrap_or_default();
    (text(&health["status"]), text(&knowledge["state"]), count("failed"), count("unwritable"))
}

async fn until_health(gateway: &TestGateway, what: &str, wanted: (&str, &str, u64, u64)) {
    let mut last = None;
    let waiting = async {
        loop {
            let found = health(gateway).await;
            if (found.0.as_str(), found.1.as_str(), found.2, found.3) == wanted {
                return;
            }
            last = Some(found);
            sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(LONG, waiting).await.is_err() {
        panic!("{what}: waited in vain for {wanted:?}, last was {last:?}");
    }
}

const WELL: (&str, &str, u64, u64) = ("ok", "ready", 0, 0);
const UNREADABLE: (&str, &str, u64, u64) = ("degraded", "failed", 1, 0);
const UNWRITABLE: (&str, &str, u64, u64) = ("degraded", "ready", 0, 1);

async fn chats(gateway: &TestGateway) {
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("What does the garganey do?").await.status(), "complete");
    assert_eq!(gateway.get("/ready").await.0, 200);
}

fn said(gateway: &TestGateway, what: &str) -> usize {
    gateway.log().matches(what).count()
}

/// A gateway that knows one document.
async fn knowing(setup: Setup) -> TestGateway {
    let gateway = setup.start().await;
    let user = User::of(&gateway);
    user.add("one.md", "# One\n\nThe garganey dabbles.").await;
    assert!(user.finds("garganey").await);
    until_health(&gateway, "a good beginning", WELL).await;
    gateway
}

fn garble(setup: &Setup, part: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let damaged: Vec<_> = files(setup, &format!(".lance/{part}/"))
        .into_iter()
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, vec![0x5a; bytes.len()]).unwrap();
            (path, bytes)
        })
        .collect();
    assert!(!damaged.is_empty(), "{part}");
    damaged
}

#[tokio::test]
async fn an_index_that_is_taken_away_is_told_and_used_again_when_it_is_back() {
    let gateway = knowing(setup()).await;
    let (there, away) = (index(&gateway.setup()), gateway.setup().data.path().join("away"));
    fs::rename(&there, &away).unwrap();
    until_health(&gateway, "the index is away", UNREADABLE).await;
    chats(&gateway).await;
    let (_, problem) = gateway.get("/health").await;
    assert_eq!(problem["components"]["knowledge"]["detail"], "see the log");
    assert_eq!(said(&gateway, "is gone"), 1, "{}", gateway.log());
    fs::rename(&away, &there).unwrap();
    until_health(&gateway, "it is back", WELL).await;
    assert!(User::of(&gateway).finds("garganey").await);
    assert_eq!(said(&gateway, "over: the index of a collection is gone"), 1, "{}", gateway.log());

    // One that does not come back is made anew.
    fs::remove_dir_all(&there).unwrap();
    until_health(&gateway, "it is gone", UNREADABLE).await;
    until_health(&gateway, "it is made anew", WELL).await;
    assert!(User::of(&gateway).finds("garganey").await);
}

#[tokio::test]
async fn what_is_written_while_an_index_is_gone_does_not_hide_what_was_in_it() {
    let gateway = knowing(setup()).await;
    let user = User::of(&gateway);
    fs::remove_dir_all(index(&gateway.setup())).unwrap();
    user.add("two.md", "# Two\n\nThe smew dives.").await;
    let finding = async {
        while user.found("garganey", "text", "default").await.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LONG, finding).await.expect("what was there before is indexed again");
    assert!(user.finds("garganey").await && user.finds("smew").await);
    until_health(&gateway, "it is whole", WELL).await;
}

#[tokio::test]
async fn a_damaged_index_is_made_anew_on_demand_beside_a_gateway() {
    for part in ["_versions", "data"] {
        let gateway = knowing(setup()).await;
        let setup = gateway.kill().await;
        drop(garble(&setup, part));
        let gateway = setup.start().await;
        until_health(&gateway, part, UNREADABLE).await;
        for refused in [&["--collection", "absent"][..], &["--tenant", "other", "--collection", "default"]] {
            let refused = gateway.setup().output(&[&["knowledge", "rebuild"], refused].concat()).await;
            assert!(
                !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("no such collection")
            );
        }
        let told = gateway.setup().output(&["knowledge", "rebuild"]).await;
        let told = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(told.starts_with("default/default: 1 documents to be indexed again\n1 collections;"), "{told}");
        until_health(&gateway, part, WELL).await;
        // It is well again while its documents wait for their turn.
        let user = User::of(&gateway);
        until("it to be whole", async || !user.found("garganey", "text", "default").await.is_empty()).await;
        assert!(user.finds("garganey").await, "{part}");
    }
}

/// A gateway that knows something, and the index of whose second collection is damaged.
async fn with_birds_damaged() -> TestGateway {
    let gateway = knowing(setup()).await;
    let user = User::of(&gateway);
    let before = files(&gateway.setup(), "/_versions/");
    let text = json!({"text": "The pochard sleeps.", "title": "Pochard", "collection": "birds"});
    let (_, accepted) = user.post("/documents/text", text).await;
    assert_eq!(user.ended(accepted["job"].as_str().unwrap()).await["state"], "done");
    let setup = gateway.kill().await;
    for path in files(&setup, "/_versions/") {
        if !before.iter().any(|known| known.parent() == path.parent()) {
            fs::write(path, "damaged").unwrap();
        }
    }
    let gateway = setup.start().await;
    until_health(&gateway, "one collection is damaged", ("degraded", "ready", 1, 0)).await;
    gateway
}

#[tokio::test]
async fn a_collection_whose_index_is_damaged_can_be_deleted() {
    let gateway = with_birds_damaged().await;
    assert_eq!(User::of(&gateway).call(Method::DELETE, "/collections/birds").await.0, 204);
    until_health(&gateway, "it is gone", WELL).await;
    assert!(User::of(&gateway).finds("garganey").await);
}

#[tokio::test]
async fn a_damaged_index_is_told_and_used_again_when_it_is_whole() {
    for part in ["_versions", "data"] {
        let gateway = knowing(setup()).await;
        // Under a gateway that runs it may be that nobody has to read what is damaged.
        let setup = gateway.kill().await;
        let damaged = garble(&setup, part);
        let gateway = setup.start().await;
        until_health(&gateway, part, UNREADABLE).await;
        chats(&gateway).await;
        let (_, collections) = User::of(&gateway).get("/collections").await;
        assert_eq!(collections["collections"][0]["documents"], 1, "{part}: {collections}");
        assert_eq!(said(&gateway, "ERROR"), 1, "{part}: {}", gateway.log());
        for (path, bytes) in damaged {
            fs::write(path, bytes).unwrap();
        }
        until_health(&gateway, part, WELL).await;
        let user = User::of(&gateway);
        assert!(user.finds("garganey").await, "{part}");
        user.add("two.md", "# Two\n\nThe smew dives.").await;
        assert!(user.finds("smew").await, "{part}");
    }
}

#[tokio::test]
async fn a_damaged_collection_leaves_the_others() {
    let gateway = with_birds_damaged().await;
    let user = User::of(&gateway);
    assert!(user.finds("garganey").await);
    user.add("two.md", "# Two\n\nThe smew dives.").await;
    assert!(user.finds("smew").await);
    let (_, collections) = user.get("/collections").await;
    let states: Vec<_> = collections["collections"].as_array().unwrap().iter().map(|c| &c["index"]["state"]).collect();
    assert_eq!(states, ["failed", "ready"], "{collections}");
}

fn close(folder: &Path, is_open: bool) {
    for entry in walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap) {
        let mode = match (entry.file_type().is_dir(), is_open) {
            (true, true) => 0o700,
            (true, false) => 0o500,
            (false, true) => 0o600,
            (false, false) => 0o400,
        };
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_written_to_is_searched_and_written_to_when_it_can_be() {
    let gateway = knowing(setup().bound_by_modes()).await;
    let user = User::of(&gateway);
    let folder = index(&gateway.setup());
    close(&folder, false);
    let (status, accepted) = user.upload("two.md", "# Two\n\nThe smew dives.").await;
    assert_eq!(status, 202, "{accepted}");
    let job = user.ended(accepted["job"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("index_unavailable")), "{job}");
    until_health(&gateway, "it cannot be written to", UNWRITABLE).await;
    assert!(user.finds("garganey").await);
    chats(&gateway).await;
    assert_eq!(said(&gateway, "cannot be written to"), 1, "{}", gateway.log());
    close(&folder, true);
    until_health(&gateway, "it can be written to", WELL).await;
    let (status, again) = user.post(&format!("/jobs/{}/retry", job["job"].as_str().unwrap()), json!({})).await;
    assert_eq!(status, 202, "{again}");
    assert_eq!(user.ended(again["job"].as_str().unwrap()).await["state"], "done");
    assert!(user.finds("smew").await);
}

/// A file may have 1.5 MiB, and the vectors of this document have more.
#[tokio::test]
async fn what_a_full_disk_does_not_take_is_taken_when_there_is_room() {
    let gateway = knowing(setup().file_blocks(3072)).await;
    let user = User::of(&gateway);
    let (status, accepted) = user.upload("large.md", &long_text("shoveler", 1000)).await;
    assert_eq!(status, 202, "{accepted}");
    until_health(&gateway, "the disk is full", UNWRITABLE).await;
    assert!(user.finds("garganey").await && !user.finds("shoveler").await);
    let job = accepted["job"].as_str().unwrap();
    assert_ne!(user.get(&format!("/jobs/{job}")).await.1["state"], "failed", "it is tried again");
    chats(&gateway).await;
    let pid = i32::try_from(gateway.pid()).unwrap();
    rlimit::prlimit(pid, rlimit::Resource::FSIZE, Some((rlimit::INFINITY, rlimit::INFINITY)), None).unwrap();
    assert_eq!(user.ended(job).await["state"], "done");
    assert!(user.finds("shoveler").await);
    until_health(&gateway, "there is room", WELL).await;
}

#[tokio::test]
async fn a_damaged_model_leaves_words_and_chat() {
    let gateway = knowing(setup()).await;
    let setup = gateway.kill().await;
    let whole = PathBuf::from(std::env::var("RIVULET_KNOWLEDGE_MODEL_DIR").unwrap());
    let library = "libonnxruntime.so";
    for damaged in ["model.onnx", "model.safetensors", library] {
        let model = setup.data.path().join(format!("models-{damaged}/model"));
        let runtime = model.with_file_name("onnxruntime");
        for folder in [&model, &runtime] {
            fs::create_dir_all(folder).unwrap();
        }
        let copied = fs::read_dir(&whole).unwrap().map(|entry| entry.unwrap().path());
        for path in copied.chain([whole.parent().unwrap().join("onnxruntime").join(library)]) {
            let name = path.file_name().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            if name == damaged {
                bytes.truncate(bytes.len() / 2);
            }
            let folder = if name == library { &runtime } else { &model };
            fs::write(folder.join(name), bytes).unwrap();
        }
        let gateway = setup.clone().set("RIVULET_KNOWLEDGE_MODEL_DIR", model.to_str().unwrap()).start().await;
        until_health(&gateway, damaged, ("degraded", "failed", 0, 0)).await;
        let user = User::of(&gateway);
        assert_eq!(user.found("garganey", "text", "default").await.len(), 1, "{damaged}");
        assert_eq!(user.found("garganey", "hybrid", "default").await.len(), 1, "{damaged}");
        chats(&gateway).await;
        let (_, accepted) = user.upload("two.md", "# Two\n\nThe smew dives.").await;
        let job = user.ended(accepted["job"].as_str().unwrap()).await;
        assert_eq!(job["error"]["code"], "model_unavailable", "{damaged}: {job}");
        assert_eq!(gateway.get("/ready").await.0, 200);
        drop(gateway.kill().await);
    }
}
