//! A server for tests that lets everybody in, and then refuses what it is asked, or says nothing at all.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::Server;

/// What it says to whatever it is asked; nothing: it never answers.
pub(crate) struct StandIn {
    pub(crate) server: Server,
    _serving: JoinSet<()>,
}

impl StandIn {
    pub(crate) async fn saying(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::parse(&format!("redis://{}", listener.local_addr().unwrap())).unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, answer).await;
        });
        Self { server, _serving: serving }
    }
}

async fn serve(mut stream: TcpStream, answer: &str) {
    let mut read = [0; 4096];
    while let Ok(bytes @ 1..) = stream.read(&mut read).await {
        for command in String::from_utf8_lossy(&read[..bytes]).split('*').skip(1) {
            let said = match command {
                hello if hello.contains("HELLO") => "%1\r\n$5\r\nproto\r\n:3\r\n",
                client if client.contains("CLIENT") => "+OK\r\n",
                _ => answer,
            };
            stream.write_all(said.as_bytes()).await.unwrap();
        }
    }
}
