//! A client that speaks verbs, keeps what it was told, and insists on the rules of docs/protocol.md in every frame.

use std::collections::HashMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::soon;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) done: Value,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.done["status"].as_str().unwrap()
    }
}

/// What a page remembers when its socket is cut.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) session: String,
    pub(crate) epoch: String,
    pub(crate) seq: u64,
    pub(crate) live: Option<String>,
    pub(crate) texts: HashMap<String, String>,
    /// UTF-16 units that came although they were there already.
    pub(crate) repeated: u64,
    /// Calls of tools, and how they stand.
    pub(crate) tools: HashMap<String, String>,
    /// Failovers so far.
    pub(crate) failovers: usize,
    /// Messages said so far, to give each an id of its own.
    said: u32,
}

impl Memory {
    pub(crate) fn cursor(&self) -> String {
        match &self.live {
            Some(run) => format!("{}:{}:{}:{}", self.epoch, self.seq, run, utf16_len(&self.texts[run])),
            None => format!("{}:{}", self.epoch, self.seq),
        }
    }

    /// The address that goes on where this ends; where nothing was heard yet, `url` itself.
    fn resumed(&self, url: &str) -> String {
        if self.epoch.is_empty() { url.to_owned() } else { format!("{url}?resume={}", self.cursor()) }
    }
}

pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) welcome: Value,
    pub(crate) memory: Memory,
    /// The last snapshot.
    pub(crate) snapshot: Option<Value>,
}

impl Client {
    /// Connects and waits for the `welcome`.
    pub(crate) async fn connect(url: &str) -> Self {
        let (socket, _) = soon("a socket", connect_async(url)).await.unwrap();
        Self::welcomed(socket, Memory::default()).await
    }

    /// Connects with a token in the header and waits for the `welcome`.
    pub(crate) async fn connect_as(url: &str, token: &str) -> Self {
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (socket, _) = soon("a socket", connect_async(request)).await.unwrap();
        Self::welcomed(socket, Memory::default()).await
    }

    /// Connects again with what an earlier socket left.
    pub(crate) async fn resume(url: &str, memory: Memory) -> Self {
        let url = format!("{url}?resume={}", memory.cursor());
        let (socket, _) = soon("a socket", connect_async(&url)).await.unwrap();
        Self::welcomed(socket, memory).await
    }

    /// Connects to a session, and goes on where an earlier socket ended, if there was one. What is remembered comes back
    /// when the connection does not carry as far as the `welcome`.
    pub(crate) async fn try_resume(url: &str, memory: Memory) -> Result<Self, Memory> {
        let Ok((socket, _)) = soon("a socket or none", connect_async(&memory.resumed(url))).await else {
            return Err(memory);
        };
        let mut client = Self { socket, welcome: Value::Null, memory, snapshot: None };
        match client.try_frame().await {
            Some(welcome) => assert_eq!(welcome["type"], "welcome", "the first frame"),
            None => return Err(client.memory),
        }
        client.memory.session = string(&client.welcome["session"]);
        Ok(client)
    }

    /// Connects with a buffer so small that a client which does not read is soon noticed.
    pub(crate) async fn with_small_buffer(url: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let authority = url.split('/').nth(2).unwrap().parse().unwrap();
        let stream = MaybeTlsStream::Plain(soon("a connection", socket.connect(authority)).await.unwrap());
        let (socket, _) = soon("a socket", tokio_tungstenite::client_async(url, stream)).await.unwrap();
        Self::welcomed(socket, Memory::default()).await
    }

    /// Waits for the `welcome` on an open socket.
    pub(crate) async fn welcomed(socket: WebSocketStream<MaybeTlsStream<TcpStream>>, memory: Memory) -> Self {
        let mut client = Self { socket, welcome: Value::Null, memory, snapshot: None };
        let welcome = client.frame().await;
        assert_eq!(welcome["type"], "welcome", "the first frame");
        client.memory.session = string(&welcome["session"]);
        client
    }

    pub(crate) fn session(&self) -> String {
        self.memory.session.clone()
    }

    /// Sends any frame.
    pub(crate) async fn tell(&mut self, frame: Value) {
        self.raw(Message::text(frame.to_string())).await;
    }

    /// Sends anything.
    pub(crate) async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends a message with an id of its own; returns the id.
    pub(crate) async fn say(&mut self, text: &str) -> String {
        self.memory.said += 1;
        let id = format!("q{}", self.memory.said);
        self.tell(json!({"type": "send", "id": id, "text": text})).await;
        id
    }

    /// Says something and takes the whole answer.
    pub(crate) async fn ask(&mut self, text: &str) -> Answer {
        let id = self.say(text).await;
        let ack = self.until("ack").await;
        assert_eq!((&ack["re"], &ack["message"], &ack["duplicate"]), (&json!(id), &json!(id), &json!(false)));
        self.answer().await
    }

    /// Takes frames until a run is done.
    pub(crate) async fn answer(&mut self) -> Answer {
        let done = self.until("run.done").await;
        Answer { text: self.memory.texts[done["run"].as_str().unwrap()].clone(), done }
    }

    /// Takes frames until one of this type.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        let [frame] = self.until_all([kind]).await;
        frame
    }

    /// Takes frames until one of each of these types came, in whatever order.
    pub(crate) async fn until_all<const KINDS: usize>(&mut self, kinds: [&str; KINDS]) -> [Value; KINDS] {
        let mut found = [const { Value::Null }; KINDS];
        while let Some(missing) = found.iter().position(Value::is_null) {
            let frame = self.frame().await;
            match kinds.iter().position(|kind| frame["type"] == **kind) {
                Some(at) => found[at] = frame,
                None => {
                    let is_over = matches!(frame["type"].as_str(), Some("error" | "run.done"));
                    assert!(!is_over, "waiting for {}: {frame}", kinds[missing]);
                }
            }
        }
        found
    }

    /// Takes deltas until `count` of them came.
    pub(crate) async fn deltas(&mut self, count: usize) {
        for _ in 0..count {
            self.until("delta").await;
        }
    }

    /// Waits, without a limit, until the gateway asks for a sign of life, and gives one as every library does.
    pub(crate) async fn ping_pong(&mut self) {
        let mut asked = (false, false);
        while asked != (true, true) {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    asked.0 |= serde_json::from_str::<Value>(&text).unwrap()["type"] == "ping";
                }
                Some(Ok(Message::Ping(_))) => asked.1 = true,
                other => panic!("instead of a ping: {other:?}"),
            }
        }
        self.socket.flush().await.unwrap(); // The library's answer.
    }

    /// The next frame, checked.
    pub(crate) async fn frame(&mut self) -> Value {
        loop {
            match soon("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    assert!(text.starts_with(r#"{"type":""#), "`type` comes first: {text}");
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    self.check(&frame);
                    return frame;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("instead of a frame: {other:?}"),
            }
        }
    }

    /// The next frame, checked; `None` when the socket is gone.
    pub(crate) async fn try_frame(&mut self) -> Option<Value> {
        loop {
            match soon("a frame or an end", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text).unwrap();
                    self.check(&frame);
                    return Some(frame);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    /// Sends a frame, unless the socket is gone.
    pub(crate) async fn try_tell(&mut self, frame: &Value) -> Option<()> {
        self.socket.send(Message::text(frame.to_string())).await.ok()
    }

    /// Takes everything until the socket is gone; the close code, when it was told one.
    pub(crate) async fn ended(&mut self) -> Option<u16> {
        loop {
            match soon("an end", self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(Message::Text(text))) => self.check(&serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Takes everything until the socket closes; the close code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match soon("a close", self.socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(text))) => self.check(&serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => {}
                other => panic!("instead of a close frame: {other:?}"),
            }
        }
    }

    fn check(&mut self, frame: &Value) {
        self.memory.check(frame);
        match frame["type"].as_str() {
            Some("welcome") => self.welcome = frame.clone(),
            Some("snapshot") => self.snapshot = Some(frame.clone()),
            _ => {}
        }
    }

    /// Cuts the connection without a goodbye.
    pub(crate) fn cut(self) -> Memory {
        if let MaybeTlsStream::Plain(stream) = self.socket.get_ref() {
            stream.set_zero_linger().unwrap(); // A reset, as when a phone leaves the network.
        }
        self.memory
    }
}

impl Memory {
    /// Takes a frame in, and insists on what the protocol says about it.
    pub(crate) fn check(&mut self, frame: &Value) {
        if let Some(seq) = frame["seq"].as_u64().filter(|_| frame["type"] != "welcome" && frame["type"] != "snapshot") {
            assert_eq!(seq, self.seq + 1, "a gap: {frame}");
            self.seq = seq;
        }
        let memory = self;
        match frame["type"].as_str().unwrap() {
            "welcome" => {
                if frame["recovered"] != "full" {
                    *memory = Memory { session: memory.session.clone(), said: memory.said, ..Memory::default() };
                    memory.epoch = string(&frame["epoch"]);
                }
                assert_eq!(frame["protocol"], "chat.v1");
                assert_eq!(frame["epoch"], *memory.epoch);
            }
            "snapshot" => {
                memory.seq = frame["seq"].as_u64().unwrap();
                memory.texts.clear();
                memory.tools.clear();
                memory.live = None;
                let listed = frame["messages"].as_array().unwrap().iter().chain(frame["runs"].as_array().unwrap());
                for used in listed.flat_map(|one| one["tools"].as_array().into_iter().flatten()) {
                    memory.tools.insert(string(&used["call"]), string(&used["status"]));
                }
                for message in frame["messages"].as_array().unwrap() {
                    if message["role"] == "assistant" {
                        memory.texts.insert(string(&message["run"]), string(&message["text"]));
                    }
                }
                for run in frame["runs"].as_array().unwrap() {
                    assert_eq!(run["off"], 0);
                    memory.texts.insert(string(&run["run"]), string(&run["text"]));
                    memory.live = Some(string(&run["run"]));
                }
            }
            "run.start" => {
                assert_eq!(memory.live, None, "one run at a time");
                memory.live = Some(string(&frame["run"]));
                memory.texts.insert(string(&frame["run"]), String::new());
            }
            "sources" => {
                let is_first = memory.tools.is_empty();
                let text = &memory.texts[frame["run"].as_str().unwrap()];
                assert!(!is_first || text.is_empty(), "sources come before the text, but for those of a tool");
                assert!(frame.to_string().len() <= 16 << 10);
            }
            "delta" => {
                let held = memory.texts.get_mut(frame["run"].as_str().unwrap()).expect("a delta of a known run");
                let (off, text) = (frame["off"].as_u64().unwrap(), frame["text"].as_str().unwrap());
                assert!(!text.is_empty());
                let len = utf16_len(held);
                assert!(off <= len, "a hole: {off} > {len}");
                memory.repeated += (len - off).min(utf16_len(text));
                let units: Vec<u16> = text.encode_utf16().skip(usize::try_from(len - off).unwrap()).collect();
                held.push_str(&String::from_utf16(&units).unwrap());
            }
            "failover" => {
                memory.failovers += 1;
                let held = memory.texts.get_mut(frame["run"].as_str().unwrap()).expect("a failover of a known run");
                let keep = usize::try_from(frame["keep"].as_u64().unwrap()).unwrap();
                let units: Vec<u16> = held.encode_utf16().take(keep).collect();
                *held = String::from_utf16(&units).unwrap();
            }
            "tool.call" => {
                let (call, off) = (string(&frame["call"]), frame["off"].as_u64().unwrap());
                assert!(
                    off <= utf16_len(&memory.texts[frame["run"].as_str().unwrap()]),
                    "text before a call comes before it"
                );
                assert_eq!(memory.tools.insert(call, "running".to_owned()), None);
            }
            "tool.result" => {
                let ended = memory.tools.insert(string(&frame["call"]), string(&frame["status"]));
                assert_eq!(ended.as_deref(), Some("running"), "one result for each call");
            }
            "approval.request" => {
                let asked = memory.tools.insert(string(&frame["call"]), "waiting".to_owned());
                assert_eq!(asked.as_deref(), Some("running"), "what waits does not run");
            }
            "approval.resolved" => {
                let waited = memory.tools.insert(string(&frame["call"]), string(&frame["decision"]));
                assert_eq!(waited.as_deref(), Some("waiting"), "what waits is decided once");
            }
            "run.done" => {
                assert!(memory.tools.values().all(|status| status != "running"), "a result for each call");
                let text = &memory.texts[frame["run"].as_str().unwrap()];
                assert_eq!(frame["len"].as_u64().unwrap(), utf16_len(text), "{text:?}");
                assert_eq!(frame["crc32"], format!("{:08x}", crc32fast::hash(text.as_bytes())));
                memory.live = None;
            }
            _ => {}
        }
    }
}

fn utf16_len(text: &str) -> u64 {
    // Long texts of the tests are ASCII, and counted often.
    if text.is_ascii() { text.len() as u64 } else { text.encode_utf16().count() as u64 }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}
