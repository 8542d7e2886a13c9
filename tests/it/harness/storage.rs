//! An object storage that speaks S3 (`tests/s3`), and a way to it that can be cut.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use super::Setup;

/// Its packages may have to be unpacked first.
const LONG: Duration = Duration::from_secs(90);
const BUCKET: &str = "rivulet-test";

/// An object storage in memory with one bucket, until it is dropped.
pub(crate) struct Storage {
    server: Child,
    address: SocketAddr,
}

impl Storage {
    pub(crate) async fn start() -> Self {
        Self::behind(0).await
    }

    /// One whose clock is so many seconds behind.
    pub(crate) async fn behind(seconds: u32) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut script = Command::new(root.join("scripts/python-with.sh"));
        script.args(["tests/s3/requirements.txt", "moto"]).current_dir(root);
        let python = timeout(LONG, spawn_blocking(move || script.output())).await.expect("python").unwrap().unwrap();
        assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
        let python = PathBuf::from(String::from_utf8(python.stdout).unwrap().trim());
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut server = Command::new(python);
        server.arg(root.join("tests/s3/server.py")).args([address.port().to_string(), seconds.to_string()]);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let storage = Self { server, address };
        let made = async {
            let url = storage.url("");
            while !reqwest::Client::new().put(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LONG, made).await.expect("an object storage");
        storage
    }

    fn url(&self, query: &str) -> String {
        format!("http://{}/{BUCKET}{query}", self.address)
    }

    /// The names of the objects below a prefix.
    pub(crate) async fn objects(&self, prefix: &str) -> Vec<String> {
        let listed = reqwest::get(self.url(&format!("?list-type=2&prefix={prefix}"))).await.unwrap();
        let listed = listed.error_for_status().unwrap().text().await.unwrap();
        let keys = listed.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.collect()
    }

    /// Takes an object away.
    pub(crate) async fn remove(&self, object: &str) {
        // Somebody has to ask, and who that is is not checked.
        let signed =
            "AWS4-HMAC-SHA256 Credential=a-key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let request = reqwest::Client::new().delete(self.url(&format!("/{object}"))).header("authorization", signed);
        let removed = request.send().await.unwrap();
        assert!(removed.status().is_success(), "{removed:?}");
    }

    pub(crate) async fn way(&self) -> Way {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut way = Way { address, to: self.address, connections: JoinSet::new() };
        way.open();
        way
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// The way to it.
pub(crate) struct Way {
    address: SocketAddr,
    to: SocketAddr,
    connections: JoinSet<()>,
}

impl Way {
    /// A gateway with the index below a prefix of the bucket, that goes this way.
    pub(crate) fn setup(&self, setup: Setup, prefix: &str) -> Setup {
        setup
            .set("RIVULET_KNOWLEDGE_URI", &format!("s3://{BUCKET}/{prefix}"))
            .set("AWS_ENDPOINT", &format!("http://{}", self.address))
            .set("AWS_ALLOW_HTTP", "true")
            .set("AWS_REGION", "us-east-1")
            .set("AWS_ACCESS_KEY_ID", "a-key")
            .set("AWS_SECRET_ACCESS_KEY", "a-secret")
    }

    fn listen(&self) -> TcpListener {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        socket.listen(128).unwrap()
    }

    pub(crate) fn open(&mut self) {
        let (listener, to) = (self.listen(), self.to);
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

    /// Nobody listens, and what was open is closed.
    pub(crate) async fn cut(&mut self) {
        self.connections.shutdown().await;
    }

    /// Who comes is let in, and hears nothing.
    pub(crate) async fn freeze(&mut self) {
        self.cut().await;
        let listener = self.listen();
        self.connections.spawn(async move {
            let mut open = Vec::new();
            loop {
                open.push(listener.accept().await.unwrap());
            }
        });
    }
}
