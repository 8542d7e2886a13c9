//! What comes in badly: refused in so many words, and nothing of it stays.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::harness::Strace;

#[tokio::test]
async fn bad_forms_are_refused_and_leave_nothing() {
    let gateway = setup().set("RIVULET_KNOWLEDGE_UPLOAD_BYTES", "100000").start().await;
    let user = User::of(&gateway);
    let text: &[u8] = b"# A text";
    let large = vec![b'a'; 100_001];
    let many: Vec<_> = (0..20).map(|_| ("x", None, text)).collect();
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("no file", form(&[("title", None, b"A title")]), 400, "invalid_field"),
        ("no part", form(&[]), 400, "invalid_field"),
        ("an empty file", form(&[("file", Some("a.md"), b"")]), 400, "empty_text"),
        ("a file without a name", form(&[("file", None, text)]), 400, "invalid_field"),
        ("a name that is a folder", form(&[("file", Some("../"), text)]), 400, "invalid_field"),
        ("two files", form(&[("file", Some("a.md"), text), ("file", Some("b.md"), text)]), 400, "invalid_field"),
        ("two titles", form(&[("title", None, b"a"), ("title", None, b"b")]), 400, "invalid_field"),
        ("many parts", form(&many), 400, "invalid_field"),
        ("a long title", form(&[("title", None, &[b'a'; 9000])]), 400, "invalid_field"),
        ("bad metadata", form(&[("metadata", None, b"[1]"), ("file", Some("a.md"), text)]), 400, "invalid_field"),
        ("a bad key", form(&[("key", None, b"a\nb"), ("file", Some("a.md"), text)]), 400, "invalid_field"),
        ("a bad collection", form(&[("file", Some("a.md"), text), ("collection", None, b"a b")]), 400, "invalid_field"),
        ("too large", form(&[("file", Some("a.md"), &large)]), 413, "too_large"),
        ("much too large", form(&[("file", Some("a.md"), &vec![b'a'; 3_000_000])]), 413, "too_large"),
        ("no format", form(&[("file", Some("a.exe"), text)]), 415, "unsupported_type"),
        ("no ending", form(&[("file", Some("a"), text)]), 415, "unsupported_type"),
        ("a picture by another name", form(&[("file", Some("a.md"), b"\x89PNG\r\n\x1a\n")]), 415, "type_mismatch"),
        ("bytes by another name", form(&[("file", Some("a.txt"), b"a\0b")]), 415, "type_mismatch"),
        ("no form", b"nothing of the kind".to_vec(), 400, "invalid_form"),
        ("a form that breaks off", form(&[("file", Some("a.md"), text)])[..90].to_vec(), 400, "invalid_form"),
        ("a border alone", vec![b'-'; 80_000], 400, "invalid_form"),
    ];
    for (what, body, status, code) in cases {
        let (found, problem) = user.send(Method::POST, "/documents", body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{what}: {problem}");
        if code == "unsupported_type" {
            assert!(problem["detail"].as_str().unwrap().contains(".md"), "{what}: {problem}");
        }
    }
    let (status, problem) = user.post("/documents", json!({"file": "a"})).await;
    assert_eq!((status, &problem["code"]), (415, &json!("unsupported_media_type")));
    let packed = user.request(Method::POST, "/documents").header("content-encoding", "gzip");
    let packed = packed.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
    let (status, problem) = TestGateway::answer(packed.body(form(&[("file", Some("a.md"), text)]))).await;
    assert_eq!((status, &problem["code"]), (415, &json!("unsupported_media_type")));
    let (status, _) = user.send(Method::PUT, "/documents/nothing", form(&[("file", Some("a.md"), text)])).await;
    assert_eq!(status, 404);
    let (status, problem) = user.post("/documents/text", json!({"text": "x".repeat(100_001), "title": "a"})).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_large")));
    assert_eq!(user.get("/documents").await.1["documents"], json!([]));
    assert_eq!(files(&gateway.setup(), "/blobs/"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn names_lead_nowhere_and_bounds_are_exact() {
    let gateway = setup().set("RIVULET_KNOWLEDGE_UPLOAD_BYTES", "100000").start().await;
    let user = User::of(&gateway);
    let long = format!("{}.md", "n".repeat(300));
    for (n, (given, shown)) in [
        ("../../../etc/passwd.md", "passwd.md"),
        ("C:\\temp\\b.md", "b.md"),
        ("/absolute/c.md", "c.md"),
        ("exe.\u{202e}gnp.md", "exe.gnp.md"),
        (&*long, &long[103..]),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, accepted) = user.upload(given, &format!("# Text {n}")).await;
        assert_eq!(status, 202, "{given}: {accepted}");
        let (_, document) = user.get(&format!("/documents/{}", accepted["document"].as_str().unwrap())).await;
        assert_eq!(document["name"], shown);
    }
    let (status, _) = user.upload("most.txt", &"a".repeat(100_000)).await;
    assert_eq!(status, 202);
    assert!(files(&gateway.setup(), "passwd").is_empty() && files(&gateway.setup(), "/blobs/").len() == 6);
    let bounded = setup().set("RIVULET_KNOWLEDGE_DOCUMENTS", "1").start().await;
    let user = User::of(&bounded);
    assert_eq!(user.upload("a.md", "# One").await.0, 202);
    let (status, problem) = user.upload("b.md", "# Two").await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
    assert_eq!(user.upload("a.md", "# Another one").await.0, 202, "a version is no document more");
}

#[tokio::test]
async fn what_breaks_off_leaves_no_part_behind() {
    let gateway = setup().start().await;
    let body = form(&[("file", Some("a.md"), &[b'a'; 50_000])]);
    let head = |length: usize| {
        format!(
            "POST /api/v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let parts = || files(&gateway.setup(), ".part").len();
    for length in [body.len(), body.len() + 1000] {
        let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
        stream.write_all(head(length).as_bytes()).await.unwrap();
        stream.write_all(&body[..30_000]).await.unwrap();
        until("a part", async || parts() == 1).await;
        drop(stream);
        until("the part to go", async || parts() == 0).await;
    }
    // More than was announced is another request, and none that can be read.
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    stream.write_all(head(20_000).as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = [0; 12];
    soon("an answer", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    assert_eq!(parts(), 0);
    // Killed while it comes in.
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    stream.write_all(head(body.len()).as_bytes()).await.unwrap();
    stream.write_all(&body[..30_000]).await.unwrap();
    until("a part", async || parts() == 1).await;
    let setup = gateway.kill().await;
    assert_eq!(files(&setup, ".part").len(), 1);
    let gateway = setup.start().await;
    assert_eq!(files(&gateway.setup(), ".part").len(), 0);
    assert_eq!(User::of(&gateway).get("/documents").await.1["documents"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_leaves_nothing_half() {
    let (gateway, traces) = (setup().start().await, tempfile::TempDir::new().unwrap());
    let user = User::of(&gateway);
    user.add("a.md", "# One\n\nThe otter swims.").await;
    for (n, calls) in ["fsync,fdatasync", "rename,renameat,renameat2"].into_iter().enumerate() {
        let full = [format!("trace={calls}"), format!("inject={calls}:error=ENOSPC")];
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        let trace = traces.path().join(n.to_string());
        let full = Strace::attach(&gateway, &trace, &full).await;
        let (status, problem) = user.upload("a.md", "# One\n\nThe beaver swims.").await;
        assert_eq!((status, &problem["code"]), (503, &json!("storage_unavailable")), "{calls}: {problem}");
        assert_eq!(files(&gateway.setup(), ".part").len(), 0, "{calls}");
        full.detach().await;
        let (_, listed) = user.get("/documents").await;
        assert_eq!((listed["documents"].as_array().unwrap().len(), &listed["documents"][0]["version"]), (1, &json!(1)));
        assert!(user.finds("otter").await && !user.finds("beaver").await);
    }
    user.add("a.md", "# One\n\nThe beaver swims.").await;
    assert!(user.finds("beaver").await && !user.finds("otter").await);
}
