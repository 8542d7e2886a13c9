//! What breaks off, and what the disk does not take: nothing of it stays.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::harness::{Neighbour, Strace};

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

#[tokio::test]
async fn a_document_ends_with_the_token_with_which_it_comes() {
    let setup = setup().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", tenants::SECRET);
    let other = ["--user", "neighbour"];
    let (gateway, mut neighbour) =
        Neighbour::beside(setup, async |gateway| tenants::user(gateway, &other).await.token).await;
    let ann = tenants::user(&gateway, &["--user", "ann"]).await;
    let body = form(&[("file", Some("a.md"), &[b'a'; 50_000])]);
    let head = format!(
        "POST /api/v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Authorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        ann.token.as_ref().unwrap(),
        body.len()
    );
    let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
    stream.write_all(&[head.as_bytes(), &body[..30_000]].concat()).await.unwrap();
    until("a part", async || files(&gateway.setup(), ".part").len() == 1).await;
    assert_eq!(ann.post("/auth/revoke", Value::Null).await.0, 204);
    let mut answer = [0; 12];
    soon("an answer", stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
    neighbour.goes_on().await;
    until("the part to go", async || files(&gateway.setup(), ".part").is_empty()).await;
    let again = tenants::user(&gateway, &["--user", "ben"]).await;
    assert_eq!(again.get("/documents").await.1["documents"], json!([]));
    neighbour.has_all().await;
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
