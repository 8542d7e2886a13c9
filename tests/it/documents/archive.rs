//! Documents into a folder and out of it again.

use std::{fs, path::Path};

use super::*;

async fn run(setup: &Setup, task: &str, folder: &Path, more: &[&str]) -> (bool, String) {
    let output = setup.output(&[&["knowledge", task, folder.to_str().unwrap()], more].concat()).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn what_is_exported_is_the_same_where_it_is_imported() {
    let gateway = setup().start().await;
    let user = User::of(&gateway);
    user.add("one.md", "# One\n\nThe godwit wades.").await;
    user.add("one.md", "# One\n\nThe godwit wades on.").await;
    let text = json!({
        "text": "# Two\n\nThe ruff dances.", "title": "A ruff", "key": "https://example.com/two",
        "collection": "birds", "metadata": {"by": "hand"},
    });
    let (_, accepted) = user.post("/documents/text", text).await;
    user.ended(accepted["job"].as_str().unwrap()).await;
    let (status, bad) = user.upload("bad.pdf", "%PDF-1.7 and nothing else").await;
    assert_eq!(status, 202, "{bad}");
    assert_eq!(user.ended(bad["job"].as_str().unwrap()).await["state"], "failed");

    let elsewhere = tempfile::tempdir().unwrap();
    let (all, birds) = (elsewhere.path().join("all"), elsewhere.path().join("birds"));
    let (is_done, told) = run(&gateway.setup(), "export", &all, &[]).await;
    assert!(is_done && told.contains("2 documents exported") && told.contains("1 documents that do not"), "{told}");
    let (is_done, told) = run(&gateway.setup(), "export", &all, &[]).await;
    assert!(!is_done && told.contains("not empty"), "{told}");
    let (is_done, told) = run(&gateway.setup(), "export", &birds, &["--collection", "birds"]).await;
    assert!(is_done && told.contains("1 documents exported"), "{told}");
    let (is_done, told) = run(&gateway.setup(), "import", &all, &[]).await;
    assert!(!is_done && told.contains("another process has it open"), "{told}");
    let (is_done, told) = run(&gateway.setup(), "export", &elsewhere.path().join("x"), &["--tenant", "a/b"]).await;
    assert!(!is_done && told.contains("tenant"), "{told}");

    let other = setup();
    let (is_done, told) = run(&other, "import", &all, &[]).await;
    assert!(is_done && told.contains("2 documents taken in, 0 unchanged"), "{told}");
    let gateway = other.start().await;
    let user = User::of(&gateway);
    crate::knowledge::until_loaded(&gateway).await;
    timeout(LONG, async {
        while user.get("/documents?status=ready").await.1["documents"].as_array().unwrap().len() < 2 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("they are indexed at the start");
    assert_eq!(user.found("godwit", "hybrid", "default").await.len(), 1);
    assert_eq!(user.found("ruff", "hybrid", "birds").await.len(), 1);
    let (_, listed) = user.get("/documents?collection=birds").await;
    let two = &listed["documents"][0];
    assert_eq!(
        (&two["key"], &two["title"], &two["metadata"]),
        (&json!("https://example.com/two"), &json!("A ruff"), &json!({"by": "hand"}))
    );
    let (_, text) = user.get("/documents?collection=default").await;
    let one = text["documents"][0]["document"].as_str().unwrap().to_owned();
    let original = user.request(Method::GET, &format!("/documents/{one}/original")).send().await.unwrap();
    assert_eq!(original.text().await.unwrap(), "# One\n\nThe godwit wades on.", "the version that answered");
    let mut gateway = gateway;
    gateway.signal("TERM").await;
    assert_eq!(gateway.exit_code().await, Some(0));
    let (is_done, told) = run(&gateway.setup(), "import", &all, &[]).await;
    assert!(is_done && told.contains("0 documents taken in, 2 unchanged"), "{told}");
}

/// An archive may come from anybody.
#[tokio::test]
async fn a_hostile_folder_harms_nothing() {
    let setup = setup().set("RIVULET_KNOWLEDGE_UPLOAD_BYTES", "1000").set("RIVULET_KNOWLEDGE_DOCUMENTS", "2");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    let content = |bytes: &[u8]| {
        let hash = blake3::hash(bytes).to_hex().to_string();
        fs::write(folder.path().join("files").join(&hash), bytes).unwrap();
        hash
    };
    let (good, large, empty) = (content(b"# Good\n\nIt is."), content(&[b'a'; 1001]), content(b""));
    let other = content(b"# Other\n\nIt is not.");
    fs::write(folder.path().join("files").join(&other), b"# Other\n\nIt is something else.").unwrap();
    let secret = folder.path().join("secret.md");
    fs::write(&secret, "# Secret").unwrap();
    let link = blake3::hash(b"# Secret").to_hex().to_string();
    std::os::unix::fs::symlink(&secret, folder.path().join("files").join(&link)).unwrap();
    let line = |key: &str, collection: &str, name: &str, hash: &str| {
        json!({"collection": collection, "key": key, "name": name, "blake3": hash, "bytes": 1, "version": 1})
            .to_string()
    };
    let mut lines = vec![
        json!({"format": "rivulet-documents", "layout": 1}).to_string(),
        line("1", "default", "../../../good.md", &good),
        line("2", "../default", "a.md", &good),
        line("3\u{0}", "default", "a.md", &good),
        line("4", "default", "a.md", "../../secret.md"),
        line("5", "default", "a.md", &"f".repeat(64)),
        line("6", "default", "a.md", &link),
        line("7", "default", "a.md", &other),
        line("8", "default", "a.md", &large),
        line("9", "default", "a.md", &empty),
        line("10", "default", "a.exe", &good),
        line("11", "default", "a.pdf", &good),
        "{".to_owned(),
        line("13", "default", "b.md", &good),
        line("14", "default", "c.md", &good),
        json!({"collection": "default", "bytes": "x".repeat(10_000)}).to_string(),
    ];
    let write = |lines: &[String]| fs::write(folder.path().join("documents.jsonl"), lines.join("\n")).unwrap();
    write(&lines);
    let (is_done, told) = run(&setup, "import", folder.path(), &[]).await;
    assert!(!is_done && told.contains("2 documents taken in, 0 unchanged, 13 left out"), "{told}");
    for number in (3..=13).chain([15, 16]) {
        assert!(told.contains(&format!("line {number}: ")), "{number}: {told}");
    }
    assert!(told.contains("more than 1000 bytes") && told.contains("as many documents as there may be"), "{told}");
    assert!(told.lines().all(|line| line.len() < 600), "{told}");
    // One content, for both; nothing half, and nothing outside of its place.
    assert_eq!(files(&setup, "/blobs/").len(), 1);
    assert_eq!(files(&setup, ".part"), Vec::<PathBuf>::new());

    lines.truncate(1);
    lines.push("x".repeat(100_000));
    lines.push(line("1", "default", "good.md", &good));
    write(&lines);
    let (is_done, told) = run(&setup, "import", folder.path(), &[]).await;
    assert!(!is_done && told.contains("line 2: is longer than"), "{told}");
    write(&["{\"format\": \"something\"}".to_owned()]);
    let (is_done, told) = run(&setup, "import", folder.path(), &[]).await;
    assert!(!is_done && told.contains("documents.jsonl: line 1"), "{told}");
}
