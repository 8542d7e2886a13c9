//! Talking: order of frames, modes, stop, several viewers, the same over plain HTTP.

use std::time::Duration;

use rivulet::mock_llm::{DEFAULT_TEXT, Options};
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Client, Neighbour, Setup, Upstream, soon, upstream};

#[tokio::test]
async fn an_answer_comes_token_by_token_in_the_stated_order() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 400.0).await;
    let gateway = Setup::with_upstream(&upstream.url).set("RIVULET_LLM_MODEL", "some-model").start().await;
    let mut client = gateway.connect().await;
    assert_eq!((&client.welcome["recovered"], &client.welcome["seq"]), (&json!("new"), &json!(0)));
    assert_eq!(client.welcome["limits"], json!({"frame_bytes": 65536, "text_chars": 16384}));

    client.tell(json!({"type": "send", "id": "m-1", "text": "What is a rivulet?", "metadata": {"a": 1}})).await;
    let mut kinds = Vec::new();
    let done = loop {
        let frame = client.frame().await;
        let kind = frame["type"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "message" => {
                assert_eq!(frame["message"]["id"], "m-1");
                assert_eq!(frame["message"]["text"], "What is a rivulet?");
            }
            "run.start" => assert_eq!((&frame["for"], &frame["model"]), (&json!("m-1"), &json!("some-model"))),
            "run.done" => break frame,
            _ => {}
        }
        kinds.push(kind);
    };
    let of = |kind: &str| kinds.iter().position(|k| k == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert!(of("message") < of("run.start") && of("run.start") < of("run.phase") && of("run.phase") < of("delta"));
    assert!(kinds.contains(&"ack".to_owned()));
    assert!(kinds.iter().filter(|k| *k == "delta").count() > 20, "{kinds:?}");
    assert_eq!(done["status"], "complete");
    assert_eq!(client.memory.texts[done["run"].as_str().unwrap()], DEFAULT_TEXT);
    assert!(done["usage"]["output"].as_u64().unwrap() > 20);
    assert!(done["timing"]["total_ms"].as_u64().unwrap() >= done["timing"]["ttft_ms"].as_u64().unwrap());

    let (status, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!((status, &stored["message_count"]), (200, &json!(2)));
    assert_eq!(stored["messages"][1]["text"], DEFAULT_TEXT);
    assert_eq!(stored["messages"][1]["status"], "complete");
}

#[tokio::test]
async fn the_short_form_and_the_history_reach_the_model() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.tell(json!({"message": "I need a loan"})).await;
    assert_eq!(client.until("ack").await["duplicate"], false);
    assert_eq!(client.answer().await.text, "Yes.");
    client.ask("And how much?").await;
    let asked: serde_json::Value = serde_json::from_slice(&upstream.stats.requests()[1].body).unwrap();
    let said: Vec<_> = asked["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(&said[1..], ["I need a loan", "Yes.", "And how much?"]);
}

#[tokio::test]
async fn the_names_that_the_field_uses_choose_the_model() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let setup = Setup::bare().set("OPENAI_BASE_URL", &upstream.url).set("OPENAI_API_KEY", "sk-of-mine");
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("one").await.text, "Yes.");
    assert_eq!(upstream.stats.requests()[0].headers["authorization"], "Bearer sk-of-mine");
    assert!(!gateway.log().contains("sk-of-mine"));
}

#[tokio::test]
async fn modes_reject_queue_and_replace() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;

    client.tell(json!({"type": "send", "id": "no", "text": "two"})).await;
    let error = client.until("error").await;
    assert_eq!((&error["re"], &error["code"], &error["retryable"]), (&json!("no"), &json!("busy"), &json!(true)));

    client.tell(json!({"type": "send", "id": "later", "text": "three", "mode": "queue"})).await;
    let ack = client.until("ack").await;
    assert_eq!((&ack["re"], &ack["queued"]), (&json!("later"), &json!(true)));

    client.tell(json!({"type": "send", "id": "now", "text": "four", "mode": "replace"})).await;
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let frame = client.frame().await;
        if frame["type"] == "run.done" {
            ends.push(frame["status"].as_str().unwrap().to_owned());
            gate.open();
        }
    }
    assert_eq!(ends, ["stopped", "stopped", "complete"], "the running and the waiting one give way");
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    let texts: Vec<_> = stored["messages"].as_array().unwrap().iter().map(|m| m["text"].clone()).collect();
    assert_eq!((&texts[0], &texts[2], &texts[4]), (&json!("one"), &json!("three"), &json!("four")));
    assert_eq!(texts[5], DEFAULT_TEXT);
}

#[tokio::test]
async fn replacements_in_a_row_leave_the_last_one() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("first").await;
    for n in 0..6 {
        client.tell(json!({"type": "send", "id": format!("r{n}"), "text": format!("{n}"), "mode": "replace"})).await;
    }
    for _ in 0..7 {
        client.answer().await;
    }
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    let messages = stored["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &messages[12]["text"], &messages[13]["text"]), (14, &json!("5"), &json!(DEFAULT_TEXT)));
    assert!(messages.iter().all(|m| m["status"] == "complete" || m["status"] == "stopped"));
    assert_eq!(gateway.metric("session_panics_total").await, 0.0);
    assert_eq!(gateway.metric("runs_active").await, 0.0);
}

#[tokio::test]
async fn long_questions_that_wait_are_not_forgotten() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("first").await;
    for n in 0..9 {
        let text = format!("{n}{}", "ä".repeat(16_000));
        client.tell(json!({"type": "send", "id": format!("w{n}"), "text": text, "mode": "queue"})).await;
        client.until("ack").await;
    }
    gate.open();
    for _ in 0..10 {
        client.answer().await;
    }
    for (n, request) in upstream.stats.requests().iter().skip(1).enumerate() {
        let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
        assert!(last.starts_with(&n.to_string()) && last.len() > 32_000, "question {n}");
    }
}

#[tokio::test]
async fn a_deleted_session_stops_generating() {
    let upstream = Upstream::stalling(1).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.tell(json!({"type": "send", "id": "w", "text": "two", "mode": "queue"})).await;
    client.deltas(1).await;
    let url = gateway.url(&format!("/api/v1/sessions/{}", client.session()));
    assert_eq!(reqwest::Client::new().delete(url).send().await.unwrap().status(), 204);
    assert_eq!(client.close_code().await, 4004);
    upstream.stats.wait_until(|counts| counts.cancelled == 1 && counts.open == 0).await;
    assert_eq!(upstream.stats.counts().requests, 1, "what waited never began");
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let upstream = Upstream::stalling(1).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    for n in 0..17 {
        client.tell(json!({"type": "send", "id": format!("w{n}"), "text": "x", "mode": "queue"})).await;
    }
    let error = client.until("error").await;
    assert_eq!((&error["code"], &error["re"]), (&json!("queue_full"), &json!("w16")));
}

#[tokio::test]
async fn stop_closes_the_upstream_and_keeps_what_was_written() {
    let (gateway, mut neighbour) = Neighbour::in_step(Setup::bare(), async |_| None).await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    let begun = Instant::now();
    client.tell(json!({"type": "stop", "id": 7})).await;
    let ack = client.until("ack").await;
    assert_eq!((&ack["re"], &ack["run"]), (&json!(7), &json!(client.memory.live.clone().unwrap())));
    let answer = client.answer().await;
    assert_eq!(answer.status(), "stopped");
    assert_eq!(answer.done["usage"]["estimated"], true, "what was written is booked");
    assert!(answer.done["usage"]["input"].as_u64() > Some(100) && answer.done["usage"]["output"].as_u64() > Some(0));
    assert!(!answer.text.is_empty());
    neighbour.model().wait_until(|counts| counts.cancelled == 1 && counts.open == 1).await;
    // Alone it takes some milliseconds; here other tests have the machine, too.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    neighbour.goes_on().await;

    client.tell(json!({"type": "stop", "id": "again"})).await;
    assert_eq!(client.until("error").await["code"], "run_not_active");
    assert_eq!(gateway.metric("run_stop_seconds_count").await, 1.0);
    assert_eq!(gateway.metric("tokens_after_stop_total").await, 0.0);
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(stored["messages"][1]["text"], answer.text);
    assert_eq!(stored["messages"][1]["status"], "stopped");
    neighbour.has_all().await;
}

#[tokio::test]
async fn stop_finds_a_run_by_its_question_even_while_it_waits() {
    let upstream = Upstream::stalling(1).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.tell(json!({"type": "send", "id": "waiting", "text": "two", "mode": "queue"})).await;
    client.tell(json!({"type": "stop", "for": "waiting", "id": "s1"})).await;
    client.deltas(1).await;
    client.tell(json!({"type": "stop", "for": "q1", "id": "s2"})).await;
    assert_eq!(client.answer().await.status(), "stopped");
    assert_eq!(client.answer().await.status(), "stopped");
    assert_eq!(upstream.stats.counts().requests, 1, "the second question never reached the model");
}

#[tokio::test]
async fn everybody_in_a_session_sees_the_same() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut first = gateway.connect().await;
    let mut second = Client::connect(&gateway.socket(&first.session())).await;
    assert_eq!(second.welcome["recovered"], "new");
    first.say("one").await;
    second.deltas(1).await;
    let mut third = Client::connect(&gateway.socket(&first.session())).await;
    assert_eq!(third.welcome["recovered"], "snapshot");
    let snapshot = third.frame().await;
    assert_eq!(snapshot["messages"][0]["text"], "one");
    assert_eq!(snapshot["runs"][0]["phase"], "streaming");
    gate.open();
    for client in [&mut first, &mut second, &mut third] {
        assert_eq!(client.answer().await.text, DEFAULT_TEXT);
    }
    first.tell(json!({"type": "ping", "t": {"x": 1}})).await;
    assert_eq!(first.until("pong").await["t"], json!({"x": 1}));
}

#[tokio::test]
async fn sync_repeats_text_of_a_live_and_of_an_ended_run() {
    let (upstream, gate) = Upstream::gated(DEFAULT_TEXT, 5).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.say("one").await;
    client.deltas(1).await;
    let run = client.memory.live.clone().unwrap();
    client.tell(json!({"type": "sync", "run": run, "off": 0})).await;
    loop {
        if client.until("delta").await["off"] == 0 {
            break;
        }
    }
    gate.open();
    client.answer().await;
    client.memory.texts.insert(run.clone(), String::new());
    client.tell(json!({"type": "sync", "run": run, "off": 0})).await;
    while client.memory.texts[&run] != DEFAULT_TEXT {
        client.until("delta").await;
    }
    client.tell(json!({"type": "sync", "run": "r_unknown", "off": 0, "id": "s"})).await;
    let error = client.until("error").await;
    assert_eq!((&error["re"], &error["code"]), (&json!("s"), &json!("not_found")));
    assert_eq!(client.frame().await["type"], "snapshot");
}

#[tokio::test]
async fn a_hidden_page_gets_what_it_missed_as_one_delta() {
    let upstream = Upstream::saying(DEFAULT_TEXT, 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    client.tell(json!({"type": "view", "hidden": true})).await;
    client.say("one").await;
    assert_eq!(client.frame().await["type"], "ack", "an answer to this client alone still comes");
    let stored = format!("/api/v1/sessions/{}", client.session());
    soon("the whole answer", async { while gateway.get(&stored).await.1["messages"][1]["status"] != "complete" {} })
        .await;
    client.tell(json!({"type": "view", "hidden": false})).await;
    let delta = client.until("delta").await;
    assert_eq!(delta["text"], DEFAULT_TEXT);
    assert_eq!(client.answer().await.status(), "complete");
}

#[tokio::test]
async fn the_same_conversation_over_plain_http() {
    let upstream = Upstream::saying("Yes.", 0.0).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let (status, session) = gateway.post("/api/v1/sessions", json!({"metadata": {"page": "home"}})).await;
    assert_eq!((status, &session["assistant"]), (201, &json!("default")));
    assert!(session["expires_at"].as_str().unwrap() > session["created_at"].as_str().unwrap());
    let id = session["session_id"].as_str().unwrap();

    let (status, answer) = gateway.post("/api/v1/chat", json!({"message": "Hello?", "session_id": id})).await;
    assert_eq!((status, &answer["response"], &answer["status"]), (200, &json!("Yes."), &json!("complete")));
    assert_eq!(answer["session_id"], id);
    let (_, alone) = gateway.post("/api/v1/chat", json!({"message": "Hello?"})).await;
    assert_ne!(alone["session_id"], id, "a question without a session gets one");

    let (_, listed) = gateway.get("/api/v1/sessions?limit=1").await;
    assert_eq!((listed["sessions"].as_array().unwrap().len(), &listed["more"]), (1, &json!(true)));
    let before = listed["sessions"][0]["session_id"].as_str().unwrap();
    let (_, older) = gateway.get(&format!("/api/v1/sessions?before={before}")).await;
    assert_eq!(older["sessions"][0]["session_id"], id);

    let without_body = reqwest::Client::new().post(gateway.url("/api/v1/sessions")).send().await.unwrap();
    assert_eq!(without_body.status(), 201);

    let mut watching = Client::connect(&gateway.socket(id)).await;
    let deleted = reqwest::Client::new().delete(gateway.url(&format!("/api/v1/sessions/{id}")));
    assert_eq!(deleted.send().await.unwrap().status(), 204);
    assert_eq!(watching.close_code().await, 4004);
    assert_eq!(gateway.get(&format!("/api/v1/sessions/{id}")).await.0, 404);
}

#[tokio::test]
async fn ends_are_honest() {
    use rivulet::mock_llm::Fault;
    let faults = vec![
        Fault::Cut(4),
        Fault::Status { status: 401, headers: vec![], body: r#"{"error":{"message":"bad key sk-123"}}"#.to_owned() },
        Fault::NoDone,
    ];
    let upstream = upstream(Options { rate: 0.0, faults, ..Options::default() }).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let mut client = gateway.connect().await;
    let cut = client.ask("one").await;
    assert_eq!((cut.status(), &cut.done["error"]["code"]), ("incomplete", &json!("upstream_unavailable")));
    assert!(!cut.text.is_empty());
    let rejected = client.ask("two").await;
    assert_eq!((rejected.status(), &rejected.done["error"]["code"]), ("error", &json!("upstream_rejected")));
    assert!(!rejected.done.to_string().contains("sk-123"), "what a provider says is not for clients");
    assert_eq!(client.ask("three").await.status(), "complete");
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", client.session())).await;
    assert_eq!(
        (&stored["messages"][1]["status"], &stored["messages"][1]["text"]),
        (&json!("incomplete"), &json!(cut.text))
    );
}

#[tokio::test]
async fn an_unreachable_model_is_an_error_and_not_the_end() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Setup::with_upstream(&format!("http://{gone}/v1")).start().await;
    let mut client = gateway.connect().await;
    let answer = client.ask("one").await;
    assert_eq!((answer.status(), &answer.done["error"]["code"]), ("error", &json!("upstream_unavailable")));
    assert_eq!(answer.done["error"]["retryable"], true);
    let (status, problem) = gateway.post("/api/v1/chat", json!({"message": "two"})).await;
    assert_eq!((status, &problem["code"]), (502, &json!("upstream_unavailable")));
}
