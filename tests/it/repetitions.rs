//! Requests that come twice, because the first answer was lost on its way: they are answered with the same answer.

use rivulet::mock_llm::{DEFAULT_TEXT, Fault, Options};
use serde_json::{Value, json};

use crate::harness::{Setup, TestGateway, Upstream, soon, upstream};

async fn chat(gateway: &TestGateway, body: &Value) -> (u16, Value) {
    gateway.post("/api/v1/chat", body.clone()).await
}

#[tokio::test]
async fn a_chat_that_is_repeated_waits_for_the_running_answer_and_is_paid_once() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let body = json!({"id": "q-1", "message": "What is a rivulet?"});
    let (first, second) = tokio::join!(chat(&gateway, &body), async {
        upstream.stats.wait_until(|counts| counts.open == 1).await;
        let repeated = chat(&gateway, &body);
        let mut repeated = std::pin::pin!(repeated);
        // It waits: nothing comes as long as the answer is held.
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut repeated).await;
        assert!(early.is_err(), "{early:?}");
        gate.open();
        repeated.await
    });
    assert_eq!((first.0, &first.1["response"], &first.1["status"]), (200, &json!(DEFAULT_TEXT), &json!("complete")));
    assert_eq!(first, second);
    assert_eq!(chat(&gateway, &body).await, first, "after the end");
    let named = json!({"id": "q-1", "message": "What is a rivulet?", "session_id": first.1["session_id"]});
    assert_eq!(chat(&gateway, &named).await, first);
    let request = reqwest::Client::new().post(gateway.url("/api/v1/chat")).header("idempotency-key", "\"q-1\"");
    let by_header = TestGateway::answer(request.json(&json!({"message": "What is a rivulet?"}))).await;
    assert_eq!(by_header, first);
    let (status, problem) = chat(&gateway, &json!({"id": "q-1", "message": "Another question."})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("idempotency_conflict")));

    let gateway = gateway.kill().await.start().await;
    let (status, again) = chat(&gateway, &body).await;
    for field in ["session_id", "message_id", "response", "status", "citations", "sources"] {
        assert_eq!((status, &again[field]), (200, &first.1[field]), "{field}, after a restart");
    }
    let (_, sessions) = gateway.get("/api/v1/sessions").await;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(upstream.stats.counts().requests, 1, "one question, one bill");
    let (_, other) = chat(&gateway, &json!({"id": "q-2", "message": "What is a rivulet?"})).await;
    assert_ne!(other["session_id"], first.1["session_id"]);
}

#[tokio::test]
async fn a_failure_is_repeated_as_well_and_a_new_id_asks_anew() {
    let upstream =
        upstream(Options { rate: 0.0, faults: vec![Fault::Refuse, Fault::None], ..Options::default() }).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_RETRIES", "0").start().await;
    let body = json!({"id": "q-1", "message": "Why?"});
    for _ in 0..2 {
        let (status, problem) = chat(&gateway, &body).await;
        assert_eq!((status, &problem["code"]), (502, &json!("upstream_unavailable")));
    }
    assert_eq!(upstream.stats.counts().requests, 1);
    let gateway = gateway.kill().await.start().await;
    assert_eq!(chat(&gateway, &body).await.0, 500, "why it failed is not kept");
    assert_eq!(chat(&gateway, &json!({"id": "q-2", "message": "Why?"})).await.0, 200);
}

#[tokio::test]
async fn what_a_crash_cut_off_is_told_as_that_and_not_asked_again() {
    let (upstream, _gate) = Upstream::gated(DEFAULT_TEXT, 3).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let body = json!({"id": "q-1", "message": "Why?"});
    let lost = async { chat(&gateway, &body).await };
    tokio::select! {
        answer = lost => panic!("{answer:?}"),
        _ = upstream.stats.wait_until(|counts| counts.open == 1) => {}
    }
    let gateway = gateway.kill().await.start().await;
    let (status, told) = soon("an answer", chat(&gateway, &body)).await;
    assert_eq!((status, &told["status"]), (200, &json!("interrupted")));
    assert_eq!(upstream.stats.counts().requests, 1);
}

#[tokio::test]
async fn a_message_is_known_by_the_header_too() {
    let gateway = Setup::bare().start().await;
    let (_, session) = gateway.post("/api/v1/sessions", json!({})).await;
    let url = gateway.url(&format!("/api/v1/sessions/{}/messages", session["session_id"].as_str().unwrap()));
    let send = async |key: &'static str, body: Value| {
        TestGateway::answer(reqwest::Client::new().post(&url).header("idempotency-key", key).json(&body)).await
    };
    let (status, first) = send("k-1", json!({"text": "Hello?", "mode": "queue"})).await;
    assert_eq!((status, &first["message"], &first["duplicate"]), (202, &json!("k-1"), &json!(false)));
    let (status, second) = send("k-1", json!({"text": "Hello?", "mode": null})).await;
    assert_eq!((status, &second["run"], &second["duplicate"]), (202, &first["run"], &json!(true)));
    assert_eq!(send("k-1", json!({"text": "Other?"})).await.0, 409);
    let (_, own) = send("k-1", json!({"id": "k-2", "text": "Other?", "mode": "queue"})).await;
    assert_eq!(own["message"], "k-2", "the body's own id counts");
    let (status, problem) = send("", json!({"text": "a"})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_field")));
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
}
