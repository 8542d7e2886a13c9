//! A client of the gateway that a scenario holds in its hand: connects, resumes, sends, reads one frame at a time.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::sleep,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

use crate::load::{
    Endpoint,
    transcript::{Reaction, Transcript},
};

/// Before another try when a server said that it is full.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// A socket of the load generator.
pub(super) type Socket = WebSocketStream<TcpStream>;

/// One session.
pub(super) struct Client {
    endpoint: Endpoint,
    address: SocketAddr,
    socket: Option<Socket>,
    pub(super) transcript: Transcript,
}

impl Client {
    pub(super) fn new(endpoint: &Endpoint, address: SocketAddr) -> Self {
        Self { endpoint: endpoint.clone(), address, socket: None, transcript: Transcript::default() }
    }

    /// Drops the socket, with whatever is under way in it.
    pub(super) fn cut(&mut self) {
        self.socket = None;
    }

    /// Connects, to where the session is when there is one, and waits for the welcome.
    pub(super) async fn connect(&mut self, receive_buffer: Option<u32>) -> Result<(), String> {
        let cursor = self.transcript.cursor();
        let url = self.endpoint.socket(self.transcript.session().map(|session| (session, cursor.as_str())));
        self.socket = Some(open(&url, self.address, receive_buffer).await?);
        while self.step().await? != Reaction::Welcome {}
        Ok(())
    }

    /// Connects as often as it takes; for how long is the caller's to bound.
    pub(super) async fn arrive(&mut self) {
        while self.connect(None).await.is_err() {
            self.cut();
            sleep(RETRY).await;
        }
    }

    /// Asks, again where the gateway says "later", and reads until there is text of the answer.
    pub(super) async fn begin(&mut self, id: &str, text: &str) -> Result<(), String> {
        self.ask(id, text).await?;
        loop {
            match self.step().await? {
                Reaction::Grew(_) | Reaction::Proven => return Ok(()),
                Reaction::Refused { retry_in_ms, .. } => {
                    sleep(RETRY.max(Duration::from_millis(retry_in_ms))).await;
                    self.ask(id, text).await?;
                }
                _ => {}
            }
        }
    }

    pub(super) async fn ask(&mut self, id: &str, text: &str) -> Result<(), String> {
        self.send(json!({ "type": "send", "id": id, "text": text, "mode": "queue" }).to_string()).await
    }

    pub(super) async fn send(&mut self, frame: String) -> Result<(), String> {
        let socket = self.socket.as_mut().ok_or("there is no socket")?;
        socket.send(Message::text(frame)).await.map_err(|error| format!("cannot send: {error}"))
    }

    /// Takes the next frame, and does what every frame may ask for.
    pub(super) async fn step(&mut self) -> Result<Reaction, String> {
        let text = next(self.socket.as_mut().ok_or("there is no socket")?).await?;
        let step = self.transcript.apply(&text);
        match &step {
            Reaction::Sync(run, off) => {
                self.send(json!({ "type": "sync", "run": run, "off": off }).to_string()).await?;
            }
            Reaction::Ping(pong) => self.send(pong.clone()).await?,
            Reaction::Refused { code, retryable: false, .. } => return Err(format!("refused: {code}")),
            Reaction::GivenUp => return Err("a text stays wrong however often it is asked for".to_owned()),
            _ => {}
        }
        Ok(step)
    }

    /// Reads until there is text of the answer.
    pub(super) async fn text(&mut self) -> Result<(), String> {
        while !matches!(self.step().await?, Reaction::Grew(_) | Reaction::Proven) {}
        Ok(())
    }

    /// Reads until the answer is proven, and tells how it ended.
    pub(super) async fn proof(&mut self, id: &str) -> Result<String, String> {
        loop {
            if let Some(proof) = self.transcript.answer(id) {
                return Ok(proof.status.clone());
            }
            self.step().await?;
        }
    }
}

/// Opens a socket; a small receive buffer makes a reader that takes little on credit.
pub(super) async fn open(url: &str, address: SocketAddr, receive_buffer: Option<u32>) -> Result<Socket, String> {
    let failed = |error: std::io::Error| format!("cannot connect: {error}");
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).map_err(failed)?;
    }
    let stream = socket.connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(256 << 10)
        .max_message_size(Some(16 << 20));
    let (socket, _) =
        client_async_with_config(url, stream, Some(config)).await.map_err(|error| format!("no socket: {error}"))?;
    Ok(socket)
}

/// The next text frame.
pub(super) async fn next(socket: &mut Socket) -> Result<Utf8Bytes, String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(Some(close)))) => return Err(format!("closed with {}", u16::from(close.code))),
            Some(Ok(Message::Close(None))) | None => return Err("closed".to_owned()),
            Some(Err(error)) => return Err(format!("the socket broke: {error}")),
            Some(Ok(_)) => {}
        }
    }
}
