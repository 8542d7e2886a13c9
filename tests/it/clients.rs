//! What clients in the wild write: half characters, ids in frames that are broken, lists for objects, offers of HTTP/2.

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Setup, TestGateway, Upstream, post, raw, raw_on};

/// What JavaScript writes of a text that was cut within an emoji.
const HALF: &str = r"abc\ud83d";
const WHOLE: &str = "abc\u{fffd}";

#[tokio::test]
async fn half_an_emoji_is_taken_on_every_surface() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.raw(Message::text(format!(r#"{{"type":"send","id":"q-1","text":"{HALF}"}}"#))).await;
    let message = client.until("message").await["message"].clone();
    assert_eq!((&message["id"], &message["text"]), (&json!("q-1"), &json!(WHOLE)));
    let answer = client.answer().await.done["message"].as_str().unwrap().to_owned();
    for frame in [
        format!(r#"{{"type":"feedback","id":"f","message":"{answer}","value":1,"comment":"{HALF}"}}"#),
        format!(r#"{{"type":"edit","id":"q-2","message":"q-1","text":"{HALF} again"}}"#),
    ] {
        client.raw(Message::text(frame)).await;
        client.until("ack").await;
    }
    let session = client.session();
    for (path, body, status, said) in [
        (
            format!("/api/v1/sessions/{session}/messages"),
            format!(r#"{{"id":"m","text":"{HALF}","mode":"queue"}}"#),
            202,
            "",
        ),
        ("/api/v1/chat".to_owned(), format!(r#"{{"message":"{HALF}"}}"#), 200, ""),
        ("/api/v1/sessions".to_owned(), format!(r#"{{"metadata":{{"{HALF}":["{HALF}"]}}}}"#), 201, WHOLE),
    ] {
        let answer = raw(&gateway, &post(&path, "", &body)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(said), "{path}: {answer}");
    }
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{session}?replaced=true")).await;
    let texts: Vec<_> = stored["messages"].as_array().unwrap().iter().filter(|m| m["role"] == "user").collect();
    assert!(texts.iter().all(|message| message["text"].as_str().unwrap().starts_with(WHOLE)), "{stored}");
}

#[tokio::test]
async fn an_error_says_whose_it_is_whenever_that_can_be_read() {
    let gateway = Setup::bare().start().await;
    let mut client = gateway.connect().await;
    for (frame, code, re) in [
        (r#"{"id":"a","type":"dance"}"#, "unknown_type", json!("a")),
        (r#"{"type":{},"id":"b"}"#, "invalid_field", json!("b")),
        (r#"{"type":"send","id":"c","text":5}"#, "invalid_field", json!("c")),
        (r#"{"type":"send","id":7,"text":"x"}"#, "invalid_field", json!(7)),
        (r#"{"type":"sync","id":"d","run":"r_1","off":0}"#, "not_found", json!("d")),
        (r#"{"type":"stop","id":"e"}"#, "run_not_active", json!("e")),
        (r#"{"type":"send","id":"f","text":"x}"#, "bad_json", json!("f")),
        (r#"{"id":"g","type":"send","text":"x"} {}"#, "bad_json", json!("g")),
        (r#"{"id":12,"type":"send",?"#, "bad_json", json!(12)),
        // It may have been 123.
        (r#"{"type":"send","id":12"#, "bad_json", Value::Null),
        (r#"{"type":"send","text":"x","id":"#, "bad_json", Value::Null),
    ] {
        client.raw(Message::text(frame)).await;
        let error = client.until("error").await;
        assert_eq!((&error["code"], &error["re"]), (&json!(code), &re), "{frame}: {error}");
    }
    let long = format!(r#"{{"type":"send","text":"{}","id":"h"}}"#, "x".repeat(16_385));
    client.raw(Message::text(long)).await;
    assert_eq!(client.until("error").await["re"], "h");
}

#[tokio::test]
async fn a_body_is_an_object_that_is_not_compressed() {
    let gateway = Setup::bare().start().await;
    for path in ["/api/v1/chat", "/v1/chat/completions", "/api/v1/sessions"] {
        for body in ["[]", r#" ["text",null,null]"#, "null", "7", "\"text\""] {
            let answer = raw(&gateway, &post(path, "", body)).await;
            assert!(
                answer.starts_with("HTTP/1.1 400 ") && answer.contains("must be an object"),
                "{path} {body}: {answer}"
            );
            assert!(answer.contains("invalid_field"), "{answer}");
        }
        let answer = raw(&gateway, &post(path, "Content-Encoding: gzip\r\n", "\u{1f}")).await;
        assert!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("compressed"), "{answer}");
    }
    let answer = raw(&gateway, &post("/api/v1/sessions", "Content-Encoding: identity\r\n", "{}")).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[tokio::test]
async fn heads_that_can_be_misunderstood_are_refused() {
    let gateway = Setup::bare().start().await;
    let get = |version: &str, fields: &str| format!("GET /livez HTTP/{version}\r\n{fields}\r\n");
    let padding = |bytes: usize| format!("Host: localhost\r\nX-Long: {}\r\n", "x".repeat(bytes));
    for (request, status) in [
        (get("1.1", ""), 400),
        (get("1.1", "Host: localhost\r\nHost: localhost\r\n"), 400),
        (get("1.0", ""), 200),
        (get("1.1", &padding(40_000)), 431),
        (get("1.1", &padding(32_000)), 200),
        (post("/api/v1/sessions", "", "{}"), 201),
        (
            "POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
                .to_owned(),
            501,
        ),
    ] {
        let answer = raw(&gateway, &request).await;
        let start = format!("HTTP/1.{} {status} ", u8::from(!request.contains("HTTP/1.0")));
        assert!(answer.starts_with(&start), "{} … {answer}", &request[..request.len().min(200)]);
    }
}

#[tokio::test]
async fn an_offer_of_http2_is_answered_in_http1_and_the_connection_goes_on() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                 HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n";
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Q?"}]}"#;
    let chunked = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{offer}\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    for request in [post("/v1/chat/completions", offer, body), chunked] {
        let mut connection = TcpStream::connect(&gateway.address).await.unwrap();
        for _ in 0..2 {
            let answer = raw_on(&mut connection, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Yes."), "{answer}");
        }
    }
    let refused = raw(&gateway, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    assert!(refused.starts_with("HTTP/1.1 505 ") && refused.contains("HTTP/1.1\""), "{refused}");
}

#[tokio::test]
async fn an_offer_of_no_subprotocol_is_none() {
    let gateway = Setup::bare().start().await;
    for (offer, status) in [("", 101), ("null", 101), ("undefined", 400)] {
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {offer}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        );
        let answer = raw(&gateway, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{offer}: {answer}");
        assert!(!answer.to_lowercase().contains("sec-websocket-extensions"), "{answer}");
        assert!(status == 101 || answer.contains("chat.v1"), "it says what is spoken here: {answer}");
    }
}

#[tokio::test]
async fn a_ticket_opens_the_events_and_a_cursor_in_the_address_goes_on() {
    let secret = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024";
    let setup = Setup::bare().set("REQUIRE_AUTHENTICATION", "true").set("JWT_SECRET_KEY", secret);
    let token = String::from_utf8(setup.output(&["token", "--user", "ann"]).await.stdout).unwrap();
    let token = token.trim();
    let gateway = setup.start().await;
    let client = reqwest::Client::new();
    let post = async |path: &str, body: Value| {
        TestGateway::answer(client.post(gateway.url(path)).bearer_auth(token).json(&body)).await.1
    };
    let session = post("/api/v1/sessions", json!({})).await["session_id"].as_str().unwrap().to_owned();
    let events = gateway.url(&format!("/api/v1/sessions/{session}/events"));
    let ticket = async || post("/api/v1/tickets", json!({})).await["ticket"].as_str().unwrap().to_owned();
    let first = ticket().await;
    let mut stream = client.get(format!("{events}?ticket={first}")).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let welcome = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(welcome.starts_with("data: ") && welcome.contains("\"new\""), "{welcome}");
    let epoch = welcome.split("\"epoch\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();

    let mut again = client.get(format!("{events}?ticket={}&resume={epoch}:0", ticket().await)).send().await.unwrap();
    let welcome = String::from_utf8(again.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(welcome.contains("\"full\""), "{welcome}");
    for (address, status) in [
        (format!("{events}?ticket={first}"), 401),
        (format!("{events}?ticket=tk_x"), 401),
        (events.clone(), 401),
        (format!("{events}?token={token}"), 400),
    ] {
        assert_eq!(TestGateway::answer(client.get(&address)).await.0, status, "{address}");
    }
}
