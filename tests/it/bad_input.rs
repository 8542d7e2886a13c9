//! Bad frames, bad handshakes, bad requests: each gets its stated error, and a neighbour does not notice. What comes too
//! often or is too much waits or is refused.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt, future::join_all};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, Memory, Neighbour, Setup, TestGateway, post, raw, soon};

mod documents;
mod frames;
mod handshakes;
mod heads;
mod json;
mod keys;
mod settings;
mod tokens;
mod uploads;

#[tokio::test]
async fn bad_requests_get_a_problem_that_names_the_field() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    for (path, body, status, code, named) in [
        ("/api/v1/chat", json!({}), 400, "invalid_field", "message"),
        ("/api/v1/chat", json!({"message": ""}), 400, "empty_text", "message"),
        ("/api/v1/chat", json!({"message": 5}), 400, "invalid_field", "expected a string"),
        ("/api/v1/chat", json!({"message": "x".repeat(16_385)}), 400, "text_too_long", "message"),
        ("/api/v1/chat", json!({"message": "a", "session_id": "s_unknown"}), 404, "not_found", "session"),
        ("/api/v1/chat", json!({"message": "a", "assistant": "nobody"}), 404, "not_found", "assistant"),
        ("/api/v1/sessions", json!({"metadata": []}), 400, "invalid_field", "metadata"),
        ("/api/v1/sessions", json!({"metadata": {"a": "x".repeat(5000)}}), 400, "invalid_field", "metadata"),
        ("/api/v1/rag/query", json!({"query": ""}), 400, "empty_text", "query"),
        ("/api/v1/rag/query", json!({"query": "a", "top_k": 0}), 400, "invalid_field", "top_k"),
        ("/api/v1/rag/query", json!({"query": "a", "mode": "guess"}), 400, "invalid_field", "guess"),
        ("/api/v1/rag/query", json!({"query": "a", "filter": {"sql": "1=1"}}), 400, "invalid_field", "sql"),
        (
            "/api/v1/rag/query",
            json!({"query": "a", "filter": {"title": "x".repeat(1025)}}),
            400,
            "invalid_field",
            "1024",
        ),
        ("/api/v1/nothing", json!({}), 404, "not_found", "address"),
        ("/livez", json!({}), 405, "method_not_allowed", "method"),
    ] {
        let (got, problem) = gateway.post(path, body.clone()).await;
        assert_eq!((got, problem["code"].as_str().unwrap()), (status, code), "{path} {body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{problem}");
        assert_eq!(problem["status"], got);
        assert!(problem["request_id"].is_string());
        neighbour.goes_on().await;
    }
    let client = reqwest::Client::new();
    let post =
        |body: String, kind: &str| client.post(gateway.url("/api/v1/chat")).body(body).header("content-type", kind);
    for (request, status) in [
        (post("{".to_owned(), "application/json"), 400),
        (post("{}".to_owned(), "text/plain"), 415),
        (post(format!("\"{}\"", "x".repeat(300_000)), "application/json"), 413),
        (client.get(gateway.url("/api/v1/sessions?limit=0")), 400),
        (client.get(gateway.url("/api/v1/sessions?limit=x")), 400),
        (client.delete(gateway.url("/api/v1/sessions/s_unknown")), 404),
    ] {
        let (got, problem) = TestGateway::answer(request).await;
        assert_eq!(got, status, "{problem}");
        assert!(problem["code"].is_string());
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
}

#[tokio::test]
async fn headers_without_end_and_connections_without_number_are_refused() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare().set("RIVULET_LIMITS_CONNECTIONS", "3")).await;
    let huge = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    let answer = raw(&gateway, &huge).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    // A connection that was answered gives its place back a moment later.
    let open = async |url: String| loop {
        if let Ok(client) = Client::try_resume(&url, Memory::default()).await {
            return client;
        }
    };
    let first = soon("a place", open(gateway.socket(""))).await;
    let _second = soon("a place", open(gateway.socket(&first.session()))).await;
    let refused = raw(&gateway, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "sockets count: {refused}");
    let body: Value = serde_json::from_str(refused.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["code"], "busy");
    neighbour.goes_on().await;
    first.cut();
    soon("a place", async {
        while !raw(&gateway, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 ")
        {}
    })
    .await;
    neighbour.has_all().await;
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_fills_nothing() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let flood = async {
        let url = gateway.socket("");
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        let ping = Message::text(json!({"type": "ping", "t": "x".repeat(1000)}).to_string());
        // Ends when the gateway reads no more: both directions are full.
        loop {
            let sent = tokio::time::timeout(Duration::from_secs(2), socket.send(ping.clone())).await;
            if sent.is_err() {
                return socket;
            }
            sent.unwrap().unwrap();
        }
    };
    let _stuck = soon("backpressure", flood).await;
    neighbour.has_all().await;
}

/// Each costs the client a few bytes and the gateway a snapshot, a text, or a word to everybody else who watches.
#[tokio::test]
async fn hellos_syncs_and_typing_come_at_a_bounded_rate() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let mut client = gateway.connect().await;
    client.ask("something to have a snapshot of").await;
    let (mut socket, _) = tokio_tungstenite::connect_async(gateway.socket(&client.session())).await.unwrap();
    for at in 0..100 {
        let hello = json!({"type": "hello", "id": format!("h{at}")});
        let sync = json!({"type": "sync", "id": format!("s{at}"), "run": "r_none", "off": 0});
        let typing = json!({"type": "typing", "on": at % 2 == 0});
        for frame in [hello, sync, typing] {
            socket.send(Message::text(frame.to_string())).await.unwrap();
        }
    }
    socket.send(Message::text(json!({"type": "ping", "t": "the end"}).to_string())).await.unwrap();
    let (mut snapshots, mut refused) = (0, Vec::new());
    loop {
        let Some(Ok(Message::Text(text))) = soon("a frame", socket.next()).await else {
            panic!("the socket stays open")
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        match frame["type"].as_str().unwrap() {
            "snapshot" => snapshots += 1,
            "error" if frame["code"] == "rate_limited" => refused.push(frame),
            "pong" => break,
            _ => {}
        }
    }
    assert!((2..30).contains(&snapshots), "{snapshots} of 201");
    assert!(refused.len() > 170, "{} of 200", refused.len());
    assert!(refused.iter().all(|frame| frame["retryable"] == true && frame["retry_in_ms"].as_u64() > Some(0)));
    assert!(refused.iter().all(|frame| frame["re"].is_string()), "each names the frame that it answers");
    client.tell(json!({"type": "ping"})).await;
    let mut presences = 0;
    loop {
        match client.try_frame().await.expect("the socket stays open")["type"].as_str() {
            Some("presence") => presences += 1,
            Some("pong") => break,
            _ => {}
        }
    }
    assert!(presences < 50, "{presences} for 100 changes");
    neighbour.has_all().await;
}

/// What is as large as it may be, and whatever of it is many, is taken apart in little room.
#[tokio::test]
async fn heavy_bodies_are_answered_in_little_memory_and_the_neighbour_streams_on() {
    const MOST_MEMORY: usize = 64 << 20;
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let before = gateway.memory();
    let keys: String = (0..90_000).map(|at| format!("\"{at}\":0,")).collect();
    let asking = |more: String| format!(r#"{{"model":"m",{more}"messages":[]}}"#);
    for (what, body, status) in [
        ("brackets", "[".repeat(100_000), 400),
        ("objects", "{\"a\":".repeat(100_000), 400),
        ("keys", asking(keys), 400),
        ("numbers", asking(format!("\"x\":[{}0],", "0,".repeat(490_000))), 400),
        ("digits", asking(format!("\"x\":{},", "9".repeat(900_000))), 400),
        ("escapes", asking(format!("\"x\":\"{}\",", "\\u0001".repeat(150_000))), 400),
        ("more than it may be", "[".repeat((1 << 20) + 1), 413),
    ] {
        let request = post("/v1/chat/completions", "Connection: close\r\n", &body);
        let answers = join_all((0..16).map(|_| raw(&gateway, &request))).await;
        for answer in answers {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        }
        neighbour.goes_on().await;
        let grown = gateway.memory().saturating_sub(before);
        assert!(grown < MOST_MEMORY, "{what}: {} MB more than before", grown >> 20);
    }
    neighbour.has_all().await;
}

/// Even a frame that is refused has to be looked at. Takes the gateway's real time, beside other tests.
#[tokio::test]
async fn a_socket_is_read_at_a_bounded_rate_and_the_neighbour_at_once() {
    const BURST: u32 = 500;
    const BEYOND: u32 = 100;
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(gateway.socket("")).await.unwrap();
    let begun = Instant::now();
    for at in 0..BURST + BEYOND {
        socket.feed(Message::text(json!({"type": "ping", "t": at}).to_string())).await.unwrap();
    }
    socket.flush().await.unwrap();
    let mut next = 0;
    while next < BURST + BEYOND {
        let Message::Text(text) = soon("a pong", socket.next()).await.unwrap().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["type"] != "pong" {
            continue;
        }
        assert_eq!(frame["t"], next, "each in its turn");
        next += 1;
        if next == BURST {
            neighbour.goes_on().await;
        }
    }
    neighbour.has_all().await;
    // 50 a second; less a little, for the clocks of two processes.
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
}
