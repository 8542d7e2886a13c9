//! The end of the process, with and without notice.

use rivulet::mock_llm::DEFAULT_TEXT;
use serde_json::json;

use crate::harness::{Client, Setup, Upstream, soon};

#[tokio::test]
async fn kill_9_in_the_middle_of_an_answer() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 25.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.tell(json!({"type": "send", "id": "m-1", "text": "What is a rivulet?"})).await;
    let url = format!("/api/v1/sessions/{}", client.session());
    client.until("ack").await;
    soon("a checkpoint", async {
        loop {
            let (_, stored) = gateway.get(&url).await;
            if stored["messages"][1]["text"].as_str().is_some_and(|text| !text.is_empty()) {
                break;
            }
            client.until("delta").await;
        }
    })
    .await;
    let memory = client.memory.clone();
    let setup = gateway.kill().await;

    let gateway = setup.start().await;
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory.clone()).await;
    assert_eq!(client.welcome["recovered"], "snapshot");
    let snapshot = client.frame().await;
    let messages = snapshot["messages"].as_array().unwrap();
    assert_eq!((&messages[0]["id"], &messages[1]["status"]), (&json!("m-1"), &json!("interrupted")));
    let kept = messages[1]["text"].as_str().unwrap();
    assert!(!kept.is_empty() && DEFAULT_TEXT.starts_with(kept), "{kept:?}");
    let done = client.answer().await;
    assert_eq!((done.status(), &*done.text), ("interrupted", kept));

    client.tell(json!({"type": "send", "id": "m-1", "text": "What is a rivulet?"})).await;
    assert_eq!(client.until("ack").await["duplicate"], true, "known from the store");
    assert_eq!(client.ask("Go on?").await.text, DEFAULT_TEXT, "the session goes on");
}

#[tokio::test]
async fn sigterm_lets_an_answer_finish() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let mut gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    gateway.signal("TERM").await;
    soon("not ready", async { while gateway.get("/ready").await.0 != 503 {} }).await;
    assert_eq!(gateway.get("/livez").await.0, 200);
    client.tell(json!({"type": "send", "id": "no", "text": "two", "mode": "queue"})).await;
    assert_eq!(client.until("error").await["code"], "busy");
    assert_eq!(gateway.get("/api/v1/ws").await.0, 426, "still speaks HTTP");
    gate.open();
    let answer = client.answer().await;
    assert_eq!((answer.status(), &*answer.text), ("complete", DEFAULT_TEXT));
    assert_eq!(client.close_code().await, 1001);
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn an_answer_that_does_not_finish_in_time_is_interrupted_and_kept() {
    let upstream = Upstream::stalling(5).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_SERVER_DRAIN_S", "0");
    let mut gateway = setup.start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    gateway.signal("TERM").await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), "interrupted");
    assert!(!answer.text.is_empty());
    assert_eq!(client.close_code().await, 1001);
    assert_eq!(gateway.exit_code().await, Some(0));

    let gateway = gateway.setup().start().await;
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(
        (&stored["messages"][1]["status"], &stored["messages"][1]["text"]),
        (&json!("interrupted"), &json!(answer.text))
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let upstream = Upstream::stalling(1).await;
    let mut gateway = Setup::with_upstream(&upstream.url).set("RIVULET_SERVER_DRAIN_S", "3600").start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    gateway.signal("TERM").await;
    soon("the drain", async { while gateway.get("/ready").await.0 != 503 {} }).await;
    gateway.signal("INT").await;
    assert_eq!(gateway.exit_code().await, Some(1));
}
