//! What the log tells of requests and runs, and what it keeps to itself.

use futures_util::SinkExt;
use rivulet::mock_llm::{Options, Script};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, Memory, Setup, TestGateway, soon, upstream};

/// The lines of the log, which is JSON.
fn lines(gateway: &TestGateway) -> Vec<Value> {
    gateway.log().lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

async fn line_that(gateway: &TestGateway, says: impl Fn(&Value) -> bool) -> Value {
    soon("a line of the log", async {
        loop {
            if let Some(line) = lines(gateway).into_iter().find(|line| says(line)) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn requests_and_runs_have_a_line_each_and_no_line_has_a_text_or_a_name() {
    let script = Script::new("an answer with a canary-answer in it");
    let model = upstream(Options { rate: 0.0, script, ..Options::default() }).await;
    let gateway = Setup::with_upstream(&model.url)
        .set("RIVULET_TELEMETRY_LOG_FORMAT", "json")
        .set("RIVULET_AUTH_REQUIRED", "true")
        .set("JWT_SECRET_KEY", "canary-secret-that-is-long-enough-for-all")
        .start()
        .await;
    let minted = gateway.setup().output(&["token", "--user", "canary-user", "--tenant", "canary-tenant"]).await;
    let token = String::from_utf8(minted.stdout).unwrap().trim().to_owned();
    let asked = reqwest::Client::new().post(gateway.url("/api/v1/chat")).bearer_auth(&token);
    let (status, answer) = TestGateway::answer(asked.json(&json!({ "message": "canary-question?" }))).await;
    assert_eq!((status, answer["status"].as_str()), (200, Some("complete")), "{answer}");
    let wrong = reqwest::Client::new().get(gateway.url("/api/v1/sessions?canary-query=1")).bearer_auth("canary-token");
    assert_eq!(TestGateway::answer(wrong).await.0, 401);

    let request = line_that(&gateway, |line| line["span"]["route"] == "/api/v1/chat" && line["status"] == 200).await;
    assert_eq!((&request["level"], &request["span"]["method"]), (&json!("INFO"), &json!("POST")), "{request}");
    assert!(request["took_ms"].as_f64() > Some(0.0) && request["span"]["id"].is_string(), "{request}");
    let run = line_that(&gateway, |line| line["message"] == "a run ended").await;
    assert_eq!((&run["status"], &run["session"]), (&json!("complete"), &answer["session_id"]), "{run}");
    assert!(run["run"].as_str().is_some_and(|id| id.starts_with("r_")), "{run}");
    for time in ["retrieval_ms", "ttft_ms", "took_ms"] {
        assert!(run[time].as_f64() >= Some(0.0), "{time}: {run}");
    }
    let principal = run["principal"].as_str().expect("whose it is");
    assert!(principal.len() == 16 && request["span"]["principal"] == principal, "{request} {run}");
    let refused = line_that(&gateway, |line| line["status"] == 401).await;
    assert!(refused["span"]["principal"].is_null(), "{refused}");
    assert!(lines(&gateway).iter().all(|line| line["span"]["route"] != "/livez"));
    let log = gateway.log();
    assert!(!log.contains("canary") && !log.contains(&token), "{log}");
}

/// Whoever looks for a fault turns everything on, of libraries as well, and shows the log to others.
#[tokio::test]
async fn no_level_lets_out_a_secret_or_a_text() {
    let script = Script::new("an answer with a canary-answer in it");
    let model = upstream(Options { rate: 0.0, script, ..Options::default() }).await;
    let gateway = Setup::with_upstream(&model.url)
        .set("RIVULET_TELEMETRY_LOG_LEVEL", "trace,tungstenite=trace,hyper=trace")
        .set("RIVULET_AUTH_REQUIRED", "true")
        .set("JWT_SECRET_KEY", "canary-secret-that-is-long-enough-for-all")
        .set("OPENAI_API_KEY", "canary-key")
        .start()
        .await;
    let minted = gateway.setup().output(&["token", "--user", "canary-user"]).await;
    let token = String::from_utf8(minted.stdout).unwrap().trim().to_owned();
    let asked = reqwest::Client::new().post(gateway.url("/api/v1/tickets")).bearer_auth(&token);
    let (_, ticket) = TestGateway::answer(asked).await;
    let ticket = ticket["ticket"].as_str().unwrap();
    let mut client = Client::connect(&format!("{}?ticket={ticket}", gateway.socket(""))).await;
    assert_eq!(client.ask("canary-question?").await.status(), "complete");
    client.tell(json!({"type": "auth", "id": 1, "token": token})).await;
    client.until("ack").await;
    let (mut socket, _) = tokio_tungstenite::connect_async(gateway.socket("")).await.unwrap();
    let hello = json!({"type": "hello", "token": token}).to_string();
    socket.send(Message::text(hello)).await.unwrap();
    let mut client = Client::welcomed(socket, Memory::default()).await;
    assert_eq!(client.ask("canary-question?").await.text, "an answer with a canary-answer in it");
    let log = gateway.log();
    assert!(log.contains("TRACE hyper"), "libraries speak: {log}");
    for secret in ["canary", token.as_str(), ticket] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[tokio::test]
async fn a_flood_of_requests_is_no_flood_of_lines() {
    let gateway = Setup::bare().set("RIVULET_TELEMETRY_LOG_FORMAT", "json").start().await;
    let client = reqwest::Client::new();
    let begun = tokio::time::Instant::now();
    const REQUESTS: u64 = 3_000;
    for _ in 0..REQUESTS / 20 {
        let twenty = (0..20).map(|_| client.get(gateway.url("/nothing")).send());
        for answer in futures_util::future::join_all(twenty).await {
            assert_eq!(answer.unwrap().status(), 404);
        }
    }
    let seconds = begun.elapsed().as_secs() + 2;
    let told = line_that(&gateway, |line| line["message"] == "log lines were left out: there were too many").await;
    assert_eq!(told["of"], "rivulet::http::requests", "{told}");
    let written = lines(&gateway).iter().filter(|line| line["status"] == 404).count() as u64;
    assert!(written <= 100 * seconds && written < REQUESTS, "{written} lines in {seconds} s");
    assert!(gateway.metric("log_lines_left_out_total").await > 0.0);
}
