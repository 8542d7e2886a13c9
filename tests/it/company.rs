//! Several viewers of one session: who is there, who types; and what becomes of an answer when nobody is left.

use serde_json::{Value, json};

use crate::harness::{Client, Setup, Upstream};

/// What running answers have written, kept.
const CHECKPOINTS: &str = r#"database_query_duration_seconds_count{op="checkpoint"}"#;

async fn presence(client: &mut Client) -> (u64, bool) {
    let frame = loop {
        let frame = client.frame().await; // Answers may be written and end meanwhile.
        if frame["type"] == "presence" {
            break frame;
        }
    };
    (frame["viewers"].as_u64().unwrap(), frame["typing"].as_bool().unwrap())
}

#[tokio::test]
async fn viewers_see_each_other_come_type_and_go() {
    let gateway = Setup::bare().start().await;
    let mut first = gateway.connect().await;
    first.tell(json!({"type": "ping", "t": 1})).await;
    assert_eq!(first.frame().await["type"], "pong", "who is alone is told nothing");
    let mut second = Client::connect(&gateway.socket(&first.session())).await;
    assert_eq!(presence(&mut first).await, (2, false));
    assert_eq!(presence(&mut second).await, (2, false));

    second.tell(json!({"type": "typing", "on": true})).await;
    assert_eq!(presence(&mut first).await, (2, true));
    second.tell(json!({"type": "ping"})).await;
    assert_eq!(second.frame().await["type"], "pong", "one's own typing is no news");
    let third = Client::connect(&gateway.socket(&first.session())).await;
    assert_eq!(presence(&mut first).await, (3, true));
    assert_eq!(presence(&mut second).await, (3, false));
    third.cut();
    assert_eq!(presence(&mut first).await, (2, true));
    assert_eq!(presence(&mut second).await, (2, false));

    // Whoever sends has typed to the end, and whoever leaves types no more.
    second.ask("hello").await;
    assert_eq!(presence(&mut first).await, (2, false));
    second.tell(json!({"type": "typing", "on": true})).await;
    assert_eq!(presence(&mut first).await, (2, true));
    second.cut();
    assert_eq!(presence(&mut first).await, (1, false));
}

#[tokio::test]
async fn a_hidden_viewer_is_told_when_it_looks_again() {
    let gateway = Setup::bare().start().await;
    let mut hidden = gateway.connect().await;
    hidden.tell(json!({"type": "view", "hidden": true})).await;
    hidden.tell(json!({"type": "ping"})).await;
    hidden.until("pong").await;
    let mut other = Client::connect(&gateway.socket(&hidden.session())).await;
    other.tell(json!({"type": "typing", "on": true})).await;
    other.tell(json!({"type": "ping"})).await;
    other.until("pong").await;
    hidden.tell(json!({"type": "ping"})).await;
    assert_eq!(hidden.frame().await["type"], "pong");
    hidden.tell(json!({"type": "view", "hidden": false})).await;
    assert_eq!(presence(&mut hidden).await, (2, true), "the newest state, once");
}

/// How the session's last answer ended.
async fn last_status(gateway: &crate::harness::TestGateway, session: &str) -> Value {
    let (_, found) = gateway.get(&format!("/api/v1/sessions/{session}")).await;
    found["messages"].as_array().unwrap().last().unwrap()["status"].clone()
}

#[tokio::test]
async fn an_abandoned_answer_is_stopped_where_that_is_wanted() {
    let (upstream, gate) = Upstream::gated("One two three four", 2).await;
    let setup = Setup::with_upstream(&upstream.url).set("RIVULET_SESSION_ABANDON", "stop");
    let gateway = setup.set("RIVULET_SESSION_ABANDON_S", "1").start().await;
    let mut client = gateway.connect().await;
    client.say("count").await;
    client.deltas(1).await;
    client.say("refused").await; // A frame more, so that the socket is in the middle of something.
    client.until("error").await;
    let session = client.session();
    client.cut();
    crate::harness::soon("the model's server is let go", upstream.stats.wait_until(|c| c.cancelled == 1)).await;
    crate::harness::soon("the answer is over", async { while last_status(&gateway, &session).await == "pending" {} })
        .await;
    assert_eq!(last_status(&gateway, &session).await, "stopped");

    // Somebody who watches keeps it going.
    let mut client = Client::connect(&gateway.socket(&session)).await;
    client.tell(json!({"message": "again"})).await;
    client.deltas(1).await;
    let before = gateway.metric(CHECKPOINTS).await;
    crate::harness::soon("several checkpoints later", async {
        while gateway.metric(CHECKPOINTS).await < before + 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    gate.open();
    assert_eq!(client.answer().await.status(), "complete");
}

#[tokio::test]
async fn an_abandoned_answer_is_finished_by_default() {
    let (upstream, gate) = Upstream::gated("One two three four", 2).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("count").await;
    client.deltas(1).await;
    let memory = client.cut();
    gate.open();
    crate::harness::soon("the answer is over", async {
        while last_status(&gateway, &memory.session).await == "pending" {}
    })
    .await;
    let mut client = Client::resume(&gateway.socket(&memory.session.clone()), memory).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text.as_str()), ("complete", "One two three four"));
}
