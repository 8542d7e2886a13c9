//! Every bound has a stated behaviour (docs/limits.md): connections, sessions in memory, and the smaller ones that no
//! other module tries.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt, stream};
use rivulet::{
    chat::Status,
    knowledge::NoKnowledge,
    llm::{ChatModel, ChatRequest, ModelEvent, ModelStream},
    mock_llm::DEFAULT_TEXT,
    run::{MAX_ANSWER_BYTES, Retrieval, RunEvent, RunRequest, Runner},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderMap, Response},
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use crate::harness::{Client, Neighbour, Setup, TestGateway, Upstream, soon};

mod connections;

/// Above the longest of the gateway's times here, 30 s for a socket that does not read.
const LONG: Duration = Duration::from_secs(60);

/// A connection from an address of this machine.
async fn from(source: &str, gateway: &TestGateway) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let address: SocketAddr = gateway.address.parse().unwrap();
    soon("a connection", socket.connect(address)).await.unwrap()
}

/// A socket over this connection, or why there is none.
async fn upgrade(
    stream: TcpStream,
    gateway: &TestGateway,
    forwarded: &[&str],
) -> Result<WebSocketStream<TcpStream>, Box<Response<Option<Vec<u8>>>>> {
    let mut request = gateway.socket("").into_client_request().unwrap();
    for line in forwarded {
        request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
    }
    match soon("a handshake", client_async(request, stream)).await {
        Ok((mut socket, _)) => {
            soon("a welcome", socket.next()).await.unwrap().unwrap();
            Ok(socket)
        }
        Err(Error::Http(response)) => Err(response),
        Err(error) => panic!("instead of a socket or an answer: {error}"),
    }
}

/// Everything the other side says until it closes.
async fn all(mut stream: TcpStream, request: &str) -> String {
    let _refused_early = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    soon("an end", stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn retry_after(headers: &HeaderMap) -> u64 {
    headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn at_the_bound_the_longest_unused_session_leaves_memory() {
    let gateway = Setup::bare().set("RIVULET_LIMITS_SESSIONS", "3").start().await;
    let mut left = Vec::new();
    for _ in 0..3 {
        let mut client = gateway.connect().await;
        client.ask("one").await;
        left.push(client.cut());
        // Its viewer has gone when nobody watches any more.
        soon("a socket's end", async { while gateway.metric("ws_connections").await > 0.0 {} }).await;
    }
    let [oldest, middle, newest] = left.try_into().unwrap_or_else(|_| panic!("three"));
    let _fourth = gateway.connect().await;
    soon("room for it", async { while gateway.metric("sessions_active").await > 3.0 {} }).await;
    for (memory, recovered) in [(newest, "full"), (middle, "full")] {
        let client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
        assert_eq!(client.welcome["recovered"], recovered);
        client.cut();
    }
    soon("free sessions", async { while gateway.metric("ws_connections").await > 1.0 {} }).await;
    let client = Client::resume(&gateway.socket(&oldest.session.clone()), oldest).await;
    assert_eq!(client.welcome["recovered"], "snapshot", "it had left memory");
}

#[tokio::test]
async fn sessions_in_use_stay_and_further_ones_are_refused() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LIMITS_SESSIONS", "2").start().await;
    let mut running = gateway.connect().await;
    running.say("one").await;
    running.deltas(1).await;
    let memory = running.cut(); // Nobody watches, and yet it is in use.
    let mut watched = gateway.connect().await;

    let stored = gateway.get("/api/v1/sessions").await.1["sessions"].as_array().unwrap().len();
    let refused = upgrade(from("127.0.0.1", &gateway).await, &gateway, &[]).await.unwrap_err();
    assert_eq!(refused.status(), 503);
    assert!(retry_after(refused.headers()) > 0);
    let (status, problem) = gateway.post("/api/v1/chat", json!({"message": "two"})).await;
    assert_eq!((status, &problem["code"]), (503, &json!("busy")));
    let (status, created) = gateway.post("/api/v1/sessions", json!({})).await;
    assert_eq!(status, 201, "that takes no memory");
    let path = format!("/api/v1/sessions/{}/messages", created["session_id"].as_str().unwrap());
    assert_eq!(gateway.post(&path, json!({"text": "two"})).await.0, 503);
    let now = gateway.get("/api/v1/sessions").await.1["sessions"].as_array().unwrap().len();
    assert_eq!(now, stored + 1, "what is refused leaves nothing in the store");
    assert!(gateway.metric("rate_limited_total{scope=\"sessions\"}").await >= 3.0);
    watched.tell(json!({"type": "ping"})).await;
    watched.until("pong").await;

    gate.open();
    let mut running = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
    assert_eq!(running.welcome["recovered"], "full");
    assert_eq!(running.answer().await.text, DEFAULT_TEXT);
    running.cut();
    soon("a place", async { while upgrade(from("127.0.0.1", &gateway).await, &gateway, &[]).await.is_err() {} }).await;
}

#[tokio::test]
async fn heads_have_so_many_lines() {
    let gateway = Setup::bare().start().await;
    for (lines, status) in [(98, 200), (101, 431)] {
        let lines: String = (0..lines).map(|n| format!("X-{n}: y\r\n")).collect();
        let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n");
        let answer = all(from("127.0.0.1", &gateway).await, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn a_message_in_pieces_is_no_larger_than_a_frame() {
    let gateway = Setup::bare().start().await;
    let mut client = gateway.connect().await;
    let piece = |opcode, last| Message::Frame(Frame::message(vec![b' '; 40_000], OpCode::Data(opcode), last));
    client.raw(piece(Data::Text, false)).await;
    client.raw(piece(Data::Continue, true)).await;
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test]
async fn ids_and_queries_are_bounded() {
    let gateway = Setup::bare().start().await;
    let mut client = gateway.connect().await;
    client.tell(json!({"type": "send", "id": "x".repeat(65), "text": "a"})).await;
    assert_eq!(client.until("error").await["code"], "invalid_field");
    let (status, problem) = gateway.post("/api/v1/rag/query", json!({"query": "x".repeat(4001)})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("text_too_long")));
    let (status, problem) = gateway.post("/api/v1/rag/query", json!({"query": "x", "top_k": 51})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")));
}

/// What waits for the session waits for the store: an outsider keeps that from writing for a while.
#[tokio::test]
async fn frames_that_wait_for_the_session_are_bounded() {
    let setup = Setup::bare();
    let gateway = setup.clone().start().await;
    let mut client = gateway.connect().await;
    let outsider = rusqlite::Connection::open(setup.data.path().join("data/rivulet.db")).unwrap();
    outsider.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..40 {
        client.tell(json!({"type": "send", "id": "twin", "text": "a"})).await;
    }
    for _ in 32..40 {
        let error = client.until("error").await;
        assert_eq!((&error["code"], &error["retryable"]), (&json!("queue_full"), &json!(true)));
    }
    outsider.execute_batch("ROLLBACK").unwrap();
    let mut duplicates = Vec::new();
    while duplicates.len() < 32 {
        let frame = client.frame().await;
        assert_ne!(frame["type"], "error", "{frame}");
        if frame["type"] == "ack" {
            duplicates.push(frame["duplicate"].as_bool().unwrap());
        }
    }
    assert_eq!(duplicates.iter().filter(|duplicate| !**duplicate).count(), 1);
}

/// Says the same for ever.
#[derive(Debug)]
struct Endless;

impl ChatModel for Endless {
    fn name(&self) -> Arc<str> {
        "endless".into()
    }

    fn stream(&self, _: ChatRequest) -> ModelStream {
        stream::repeat_with(|| Ok(ModelEvent::Text("é".repeat(50_000)))).boxed()
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let runner = Runner {
        retriever: Arc::new(NoKnowledge),
        model: Arc::new(Endless),
        retrieval: Retrieval { top_k: 5, min_score: 0.0, rewrite: false },
        max_output_tokens: 1_000_000,
        line: Arc::default(),
        budgets: Arc::default(),
        rates: Arc::default(),
        assistants: Arc::default(),
        artifacts: Arc::default(),
        tools: Arc::default(),
    };
    let request = RunRequest::new(runner.assistants.default_one(), "a", Vec::new(), None);
    let (mut bytes, mut end) = (0, None);
    let mut events = Arc::new(runner).start(request);
    while let Some(event) = soon("an event", events.next()).await {
        match event {
            RunEvent::Text(text) => bytes += text.len(),
            RunEvent::End(outcome) => end = Some(outcome.status),
            _ => {}
        }
        assert!(bytes <= MAX_ANSWER_BYTES);
    }
    assert_eq!((bytes, end), (MAX_ANSWER_BYTES, Some(Status::Length)));
}

/// The last columns of docs/limits.md and docs/security.md name tests; each of them must be there.
#[test]
fn the_tests_that_the_tables_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = ["limits", "security"].map(|name| fs::read_to_string(root.join(format!("docs/{name}.md"))).unwrap());
    let table = table.concat();
    let names: Vec<_> = table.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.contains('/')).collect();
    assert!(names.len() > 30, "only {} names found: is the search broken?", names.len());
    for name in names {
        let (module, last) = name.rsplit_once("::").unwrap();
        let found = if last == "tests" {
            module_text(root, name).is_some_and(|code| code.contains("#[test]") || code.contains("#[tokio::test"))
        } else {
            module_text(root, module).is_some_and(|code| code.contains(&format!("fn {last}(")))
        };
        assert!(found, "no test `{name}`");
    }
    assert!(module_text(root, "llm::tests_that_are_not").is_none() && module_text(root, "llm::none::tests").is_none());
}

/// Where docs/security.md says that somebody beside a threat goes on, each test with a gateway has such a neighbour.
#[test]
fn who_stands_beside_a_threat_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let security = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows: Vec<_> = security.lines().filter(|row| row.contains(" | **goes on** | ")).collect();
    assert!(rows.len() > 10, "only {} rows found: is the search broken?", rows.len());
    for row in rows {
        let (_, tests) = row.split_once(" | **goes on** | ").unwrap();
        let bodies = tests.split('`').skip(1).step_by(2).filter_map(|name| {
            let (module, last) = name.rsplit_once("::").unwrap_or_default();
            let code = module_text(root, module).unwrap_or_default();
            let (_, rest) = code.split_once(&format!("fn {last}("))?;
            Some((name.to_owned(), rest.split_once("\n}\n")?.0.to_owned()))
        });
        let bodies: Vec<_> = bodies.collect();
        let is_beside = |body: &str| body.contains("neighbour.");
        assert!(bodies.iter().any(|(_, body)| is_beside(body)), "nobody stands beside it: {row}");
        // Tests of a part have no gateway in which anybody could be.
        let with_gateway = bodies.iter().filter(|(name, body)| !name.contains("::tests::") && body.contains("gateway"));
        for (name, body) in with_gateway {
            assert!(is_beside(body), "nobody stands beside `{name}`");
        }
    }
}

/// The text of a module of tests: `tests` or `contract` is in the path of those beside the code, the others are in
/// tests/it. A module stands in a file of its own, or in its parent's.
fn module_text(root: &Path, module: &str) -> Option<String> {
    let parts: Vec<_> = module.split("::").collect();
    let is_beside_the_code = parts.iter().any(|part| ["tests", "contract"].contains(part));
    let folder = root.join(if is_beside_the_code { "src" } else { "tests/it" });
    let file = |parts: &[&str]| {
        let path = folder.join(parts.join("/"));
        fs::read_to_string(path.with_extension("rs")).or_else(|_| fs::read_to_string(path.join("mod.rs"))).ok()
    };
    file(&parts).or_else(|| {
        let (last, parent) = parts.split_last()?;
        Some(file(parent)?.split_once(&format!("mod {last} {{"))?.1.to_owned())
    })
}

/// Takes the gateway's real time, beside other tests.
#[tokio::test]
async fn a_socket_that_reads_nothing_is_closed_as_stalled() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let mut socket = upgrade(from("127.0.0.1", &gateway).await, &gateway, &[]).await.unwrap();
    let ping = Message::text(json!({"type": "ping", "t": "x".repeat(1000)}).to_string());
    // Both directions fill, and then nothing moves any more.
    while let Ok(sent) = timeout(Duration::from_secs(2), socket.send(ping.clone())).await {
        sent.unwrap();
    }
    neighbour.goes_on().await;
    timeout(LONG, async { while gateway.metric("ws_closes_total{code=\"4203\"}").await < 1.0 {} })
        .await
        .expect("closed");
    soon("its end", async { while gateway.metric("ws_connections").await > 1.0 {} }).await;
    neighbour.has_all().await;
}
