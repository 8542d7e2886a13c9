//! Bad frames, bad handshakes, bad requests: each gets its stated error, and a neighbour does not notice.

use futures_util::{SinkExt, StreamExt};
use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::harness::{Client, Memory, Setup, TestGateway, Upstream, raw, soon};

#[tokio::test]
async fn bad_frames_are_named_and_the_socket_stays_open() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    for (frame, code) in [
        ("{", "bad_json"),
        ("null", "bad_json"),
        ("[1]", "bad_json"),
        ("\u{feff}{}", "bad_json"),
        (r#"{"type":"send","text":"a"} x"#, "bad_json"),
        ("{}", "unknown_type"),
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":"send"}"#, "invalid_field"),
        (r#"{"type":"send","text":"","id":"e"}"#, "empty_text"),
        (r#"{"message":"  "}"#, "empty_text"),
        (r#"{"type":"send","text":"a","id":""}"#, "invalid_field"),
        (r#"{"type":"send","text":"a","assistant":"nobody"}"#, "not_found"),
        (r#"{"type":"sync","run":"r","off":"1"}"#, "invalid_field"),
        (r#"{"type":"stop"}"#, "run_not_active"),
    ] {
        client.raw(Message::text(frame)).await;
        let error = client.until("error").await;
        assert_eq!(error["code"], code, "{frame}: {error}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()) && error["retryable"].is_boolean());
    }
    client.tell(json!({"type": "send", "id": "long", "text": "x".repeat(16_385)})).await;
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"]), (&json!("text_too_long"), &json!("long")));
    client.tell(json!({"type": "send", "text": "x".repeat(16_384), "unknown_field": [1]})).await;
    assert_eq!(client.answer().await.text, "Yes.");
}

#[tokio::test]
async fn broken_websocket_frames_close_with_their_code_and_the_neighbour_streams_on() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 60.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut neighbour = gateway.connect().await;
    neighbour.say("one").await;
    neighbour.deltas(1).await;

    let mut binary = gateway.connect().await;
    binary.raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.close_code().await, 1003);

    let mut large = gateway.connect().await;
    large.raw(Message::text("x".repeat(65_537))).await;
    assert_eq!(large.close_code().await, 1009);

    let mut not_utf8 = gateway.connect().await;
    not_utf8.raw(Message::Frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true))).await;
    assert_eq!(not_utf8.close_code().await, 1007);

    let mut reserved = gateway.connect().await;
    reserved.raw(Message::Frame(Frame::message(vec![], OpCode::Data(Data::Reserved(5)), true))).await;
    assert_eq!(reserved.close_code().await, 1002);

    assert_eq!(neighbour.answer().await.text, DEFAULT_TEXT);
}

#[tokio::test]
async fn handshakes_are_checked_before_the_upgrade() {
    let gateway = Setup::bare().set("RIVULET_SERVER_ALLOWED_ORIGINS", "https://shop.example").start().await;
    let mut client = gateway.connect().await;
    let session = client.session();
    let good = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let path = "/api/v1/ws";
    for (path, headers, status) in [
        (path.to_owned(), good.to_owned(), 101),
        (format!("{path}/{session}"), good.to_owned(), 101),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: soap, chat.v1\r\n"), 101),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: chat.v1, bearer.x\r\n"), 401),
        (path.to_owned(), format!("{good}Origin: https://shop.example\r\n"), 101),
        (path.to_owned(), format!("{good}Origin: http://{}\r\n", gateway.address), 101),
        (path.to_owned(), format!("{good}Origin: https://evil.example\r\n"), 403),
        (path.to_owned(), format!("{good}Origin: null\r\n"), 403),
        (path.to_owned(), format!("{good}Sec-WebSocket-Protocol: graphql-ws\r\n"), 400),
        (path.to_owned(), good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400),
        (path.to_owned(), good.replace("13", "8"), 426),
        (path.to_owned(), "Accept: */*\r\n".to_owned(), 426),
        (format!("{path}/s_unknown"), good.to_owned(), 404),
        (format!("{path}/%00"), good.to_owned(), 404),
        (format!("{path}/%ff"), good.to_owned(), 400),
        (format!("{path}?token=abc"), good.to_owned(), 400),
    ] {
        let answer = raw(&gateway, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", gateway.address)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {headers}: {answer}");
        if status != 101 {
            assert!(answer.contains("application/problem+json") && answer.contains("request_id"), "{answer}");
        } else {
            assert!(answer.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        }
    }
    let rebound = raw(&gateway, "GET /api/v1/sessions HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n").await;
    assert!(rebound.starts_with("HTTP/1.1 421 ") && !rebound.contains(&session), "{rebound}");
    client.tell(json!({"type": "ping"})).await;
    client.until("pong").await;
}

#[tokio::test]
async fn bad_requests_get_a_problem_that_names_the_field() {
    let gateway = Setup::bare().start().await;
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
    }
}

#[tokio::test]
async fn headers_without_end_and_connections_without_number_are_refused() {
    let gateway = Setup::bare().set("RIVULET_LIMITS_CONNECTIONS", "2").start().await;
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
    first.cut();
    soon("a place", async {
        while !raw(&gateway, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 ")
        {}
    })
    .await;
}

#[tokio::test]
async fn a_client_that_asks_and_never_reads_fills_nothing() {
    let gateway = Setup::bare().start().await;
    let mut neighbour = gateway.connect().await;
    let flood = async {
        let url = gateway.socket("");
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        let ping = Message::text(json!({"type": "ping", "t": "x".repeat(1000)}).to_string());
        // Ends when the gateway reads no more: both directions are full.
        loop {
            let sent = tokio::time::timeout(std::time::Duration::from_secs(2), socket.send(ping.clone())).await;
            if sent.is_err() {
                return socket;
            }
            sent.unwrap().unwrap();
        }
    };
    let _stuck = soon("backpressure", flood).await;
    neighbour.tell(json!({"type": "ping"})).await;
    neighbour.until("pong").await;
}

/// Each costs the client a few bytes and the gateway a snapshot, a text, or a word to everybody else who watches.
#[tokio::test]
async fn hellos_syncs_and_typing_come_at_a_bounded_rate() {
    let gateway = Setup::bare().start().await;
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
}
