//! The index in an object storage that speaks S3, with a server of its own from `tests/s3`.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinSet, spawn_blocking},
};

use super::*;

/// An object storage in memory, until it is dropped.
struct Storage {
    server: Child,
    address: SocketAddr,
}

impl Storage {
    async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut script = Command::new(root.join("scripts/python-with.sh"));
        script.args(["tests/s3/requirements.txt", "moto"]).current_dir(root);
        let python = timeout(LONG, spawn_blocking(move || script.output())).await.expect("python").unwrap().unwrap();
        assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
        let python = PathBuf::from(String::from_utf8(python.stdout).unwrap().trim());
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut server = Command::new(python.with_file_name("moto_server"));
        server.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let storage = Self { server, address };
        let made = async {
            let url = format!("http://{address}/rivulet-test");
            while !reqwest::Client::new().put(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LONG, made).await.expect("an object storage");
        storage
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// The way to it, which can be cut.
struct Way {
    address: SocketAddr,
    to: SocketAddr,
    connections: JoinSet<()>,
}

impl Way {
    async fn to(to: SocketAddr) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut way = Self { address, to, connections: JoinSet::new() };
        way.open();
        way
    }

    fn open(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let (listener, to) = (socket.listen(128).unwrap(), self.to);
        self.connections.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                open.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _either_end = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
    }

    async fn cut(&mut self) {
        self.connections.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_lives_in_an_object_storage_and_survives_its_absence() {
    let storage = Storage::start().await;
    let mut way = Way::to(storage.address).await;
    let endpoint = format!("http://{}", way.address);
    let mut setup = setup().set("RIVULET_KNOWLEDGE_URI", "s3://rivulet-test/some/prefix");
    for (name, value) in [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "a-key"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret"),
    ] {
        setup = setup.set(name, value);
    }
    let gateway = setup.start().await;
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
