//! JSON in frames: what is wrong has its code, and the socket stays open.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Neighbour, Setup, TestGateway};

/// Frames that are refused, and with which code.
const REFUSED: &[(&str, &str)] = &[
    ("", "bad_json"),
    ("{", "bad_json"),
    ("null", "bad_json"),
    ("[1]", "bad_json"),
    ("7", "bad_json"),
    (r#""x""#, "bad_json"),
    ("\u{feff}{}", "bad_json"),
    ("{}{}", "bad_json"),
    (r#"{"type":"send","text":"a"} x"#, "bad_json"),
    (r#"{"type":"ping",}"#, "bad_json"),
    (r#"{"type":"ping"/*why*/}"#, "bad_json"),
    (r#"{'type':'ping'}"#, "bad_json"),
    (r#"{type:"ping"}"#, "bad_json"),
    (r#"{"type":"sync","run":"r","off":NaN}"#, "bad_json"),
    (r#"{"type":"sync","run":"r","off":1e999}"#, "bad_json"),
    (r#"{"type":"sync","run":"r","off":01}"#, "bad_json"),
    ("{}", "unknown_type"),
    (r#"{"type":null}"#, "unknown_type"),
    (r#"{"type":"dance"}"#, "unknown_type"),
    (r#"{"type":"SEND","text":"a"}"#, "unknown_type"),
    (r#"{"type":"ping","type":"dance"}"#, "unknown_type"),
    (r#"{"type":5}"#, "invalid_field"),
    (r#"{"type":"send"}"#, "invalid_field"),
    (r#"{"type":"send","text":["a"]}"#, "invalid_field"),
    (r#"{"type":"send","text":"a","id":""}"#, "invalid_field"),
    (r#"{"type":"send","text":"a","id":true}"#, "invalid_field"),
    (r#"{"type":"send","text":"a","id":"a\u0000"}"#, "invalid_field"),
    (r#"{"type":"send","text":"a","mode":"maybe"}"#, "invalid_field"),
    (r#"{"type":"send","text":"","id":"e"}"#, "empty_text"),
    (r#"{"message":"  "}"#, "empty_text"),
    (r#"{"type":"send","text":"a","assistant":"nobody"}"#, "not_found"),
    (r#"{"type":"sync","run":"r","off":"1"}"#, "invalid_field"),
    (r#"{"type":"sync","run":"r","off":-1}"#, "invalid_field"),
    (r#"{"type":"sync","run":"r","off":-0}"#, "invalid_field"),
    (r#"{"type":"sync","run":"r","off":0.5}"#, "invalid_field"),
    (r#"{"type":"sync","run":"r","off":18446744073709551616}"#, "invalid_field"),
    (r#"{"type":"sync","run":"r","off":9007199254740993}"#, "not_found"),
    (r#"{"type":"stop"}"#, "run_not_active"),
    (r#"{"type":"stop","run":"r_none"}"#, "run_not_active"),
    (r#"{"type":"stop","run":5}"#, "invalid_field"),
    (r#"{"type":"hello","resume":5}"#, "invalid_field"),
    (r#"{"type":"hello","token":5}"#, "invalid_field"),
    (r#"{"type":"auth"}"#, "invalid_field"),
    (r#"{"type":"auth","token":""}"#, "unauthenticated"),
    (r#"{"type":"typing","on":"yes"}"#, "invalid_field"),
    (r#"{"type":"view","hidden":1}"#, "invalid_field"),
    (r#"{"type":"feedback","message":"none","value":7}"#, "invalid_field"),
    (r#"{"type":"feedback","message":"none","value":1,"comment":5}"#, "invalid_field"),
    (r#"{"type":"feedback","message":"none","value":1}"#, "not_found"),
    (r#"{"type":"regenerate","message":"none"}"#, "not_found"),
    (r#"{"type":"edit","message":"none","text":""}"#, "empty_text"),
    (r#"{"type":"edit","message":"none","text":"a"}"#, "not_found"),
];

#[tokio::test]
async fn bad_frames_are_named_and_the_socket_stays_open() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let mut client = gateway.connect().await;
    let deep = format!(r#"{{"type":"ping","t":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let long = format!(r#"{{"type":"send","text":"a","id":"{}"}}"#, "i".repeat(65));
    let made = [(deep.as_str(), "bad_json"), (long.as_str(), "invalid_field")];
    for (frame, code) in REFUSED.iter().copied().chain(made) {
        client.raw(Message::text(frame)).await;
        let error = client.until("error").await;
        assert_eq!(error["code"], code, "{frame}: {error}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()) && error["retryable"].is_boolean());
        neighbour.goes_on().await;
    }
    client.tell(json!({"type": "send", "id": "long", "text": "x".repeat(16_385)})).await;
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"]), (&json!("text_too_long"), &json!("long")));
    neighbour.has_all().await;
}

/// What clients could well write, and what looks like mischief and is none.
#[tokio::test]
async fn odd_frames_are_taken_for_what_they_say() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let mut client = gateway.connect().await;
    for (frame, t) in [
        (r#"{"__proto__":{"type":"send"},"type":"ping","t":1}"#, json!(1)),
        (r#"{"type":"dance","type":"ping","t":{"a":["\u0000"]}}"#, json!({"a": ["\0"]})),
        (r#" {"type" : "ping" , "t" : "\ud83d\ude00" } "#, json!("😀")),
        (r#"{"type":"ping","t":"\u202e\u200b"}"#, json!("\u{202e}\u{200b}")),
    ] {
        client.raw(Message::text(frame)).await;
        assert_eq!(client.until("pong").await["t"], t, "{frame}");
    }
    // Cursors of nobody, of the future, and without end are none: the session is shown as it is.
    for cursor in ["x:1", "::", "", "9:18446744073709551616", &"x".repeat(5000)] {
        client.tell(json!({"type": "hello", "resume": cursor})).await;
        client.until("welcome").await;
    }
    neighbour.has_all().await;
    // Texts are what they are; only their ids are compared, byte by byte.
    let texts = ["a\0b", "\u{202e}cba", "e\u{301}", "\u{e9}", "x"];
    for (text, id) in texts.into_iter().zip(["a b", "e\u{301}", "\u{e9}", "__proto__", "0"]) {
        client.tell(json!({"type": "send", "id": id, "text": text, "unknown_field": [1]})).await;
        assert_eq!(client.until("ack").await["duplicate"], false, "{id:?}");
        client.answer().await;
    }
    assert_eq!(said(&gateway, &client.session()).await, texts);
    client.tell(json!({"type": "send", "text": "x".repeat(16_384)})).await;
    client.answer().await;
}

/// What the user said in a session.
async fn said(gateway: &TestGateway, session: &str) -> Vec<String> {
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
    let messages = stored["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user");
    messages.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}
