//! Coming back: whatever is cut, the text is the same.

use rivulet::mock_llm::{DEFAULT_TEXT, Script};
use serde_json::json;

use crate::harness::{Client, Setup, Upstream};

#[tokio::test]
async fn a_socket_cut_after_every_token_loses_and_doubles_nothing() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    let tokens = Script::new(DEFAULT_TEXT).len();
    for token in 1..tokens {
        gate.allow(token);
        client.until("delta").await;
        let memory = client.cut();
        client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
        assert_eq!(client.welcome["recovered"], "full");
    }
    gate.open();
    assert_eq!(client.answer().await.text, DEFAULT_TEXT);
}

#[tokio::test]
async fn an_older_cursor_gets_the_difference_and_a_foreign_one_a_snapshot() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    let at_start = client.memory.clone();
    client.ask("one").await;
    let url = gateway.socket(&client.session());

    let mut late = Client::resume(&url, at_start).await;
    assert_eq!(late.welcome["recovered"], "full");
    assert_eq!(late.until("message").await["message"]["text"], "one");
    assert_eq!(late.answer().await.text, DEFAULT_TEXT);

    for cursor in ["e0:1", "x", "", "a:b:c:d", &format!("{}:99", client.memory.epoch)] {
        let mut foreign = Client::connect(&format!("{url}?resume={cursor}")).await;
        assert_eq!(foreign.welcome["recovered"], "snapshot", "{cursor}");
        assert_eq!(foreign.frame().await["messages"][1]["text"], DEFAULT_TEXT);
    }
}

#[tokio::test]
async fn hello_goes_on_from_a_cursor_on_a_live_socket() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut first = gateway.connect().await;
    let memory = first.memory.clone();
    first.ask("one").await;
    let mut second = Client::connect(&gateway.socket(&first.session())).await;
    second.until("snapshot").await;
    second.memory = memory;
    let cursor = second.memory.cursor();
    second.tell(json!({"type": "hello", "resume": cursor})).await;
    assert_eq!(second.until("welcome").await["recovered"], "full");
    assert_eq!(second.answer().await.text, DEFAULT_TEXT);
}

#[tokio::test]
async fn a_repeated_message_is_answered_once() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    let send = json!({"type": "send", "id": "m-1", "text": "one"});
    client.tell(send.clone()).await;
    client.tell(send.clone()).await; // While the first is being committed, perhaps.
    let (first, second) = (client.until("ack").await, client.until("ack").await);
    assert_eq!((&first["duplicate"], &second["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first["run"], second["run"]);
    let memory = client.cut();
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
    client.tell(send).await;
    assert_eq!(client.until("ack").await["duplicate"], true, "while it is being answered");
    client.tell(json!({"type": "send", "id": "m-1", "text": "other"})).await;
    assert_eq!(client.until("error").await["code"], "idempotency_conflict");
    gate.open();
    assert_eq!(client.answer().await.text, DEFAULT_TEXT);
    assert_eq!(upstream.stats.counts().requests, 1);
}

#[tokio::test]
async fn an_idle_session_leaves_memory_and_comes_back() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_SESSION_IDLE_S", "1").start().await;
    let mut client = gateway.connect().await;
    client.ask("one").await;
    let memory = client.cut();
    crate::harness::soon("an empty gateway", async {
        while gateway.metric("sessions_active").await > 0.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
    assert_eq!(client.welcome["recovered"], "snapshot", "another incarnation");
    assert_eq!(client.frame().await["messages"].as_array().unwrap().len(), 2);
    client.ask("two").await;
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(stored["message_count"], 4);
}
