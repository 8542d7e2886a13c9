//! A provider's rate limits are kept before it has to say no: runs wait, or another target is asked.

use std::time::Duration;

use rivulet::{
    config::LlmConfig,
    llm::{ChatModel, FinishReason, ModelError},
    mock_llm::Fault,
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    harness::{self, Setup},
    targets::targets,
    upstream::{config, model, read, request, status, upstream},
};

/// An answer of "ok" whose head tells that so much of 1,000 tokens is left, and when all of it is back.
fn telling(left: &str, reset: &str) -> Fault {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"ok\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let headers = [
        ("content-type", "text/event-stream"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", left),
        ("x-ratelimit-reset-tokens", reset),
    ];
    status(200, &headers, body)
}

#[tokio::test]
async fn who_would_be_refused_waits_until_there_is_enough_again() {
    let upstream = upstream([telling("0", "1s"), telling("1000", "0s")]).await;
    let model = model(&config(upstream.addr));
    let first = read(model.stream(request(1024))).await;
    assert_eq!((first.text.as_str(), first.queued.len()), ("ok", 0), "nothing is known before the first answer");
    let asked = Instant::now();
    let second = read(model.stream(request(1024))).await;
    assert_eq!((second.text.as_str(), second.finish), ("ok", Some(FinishReason::Stop)));
    assert_eq!(second.queued, [1]);
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    assert_eq!(read(model.stream(request(1024))).await.queued, [0; 0]);
}

#[tokio::test]
async fn another_target_is_asked_instead() {
    let (first, second) = (upstream([telling("0", "1h")]).await, upstream([]).await);
    let model = model(&targets([&first, &second]));
    assert_eq!(read(model.stream(request(1024))).await.by[0].model.as_ref(), "model-a");
    let answer = read(model.stream(request(1024))).await;
    assert_eq!((answer.by[0].model.as_ref(), answer.queued.len()), ("model-b", 0));
    assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (1, 1));
    assert_eq!(model.targets()[0].tokens_left, Some(0));
}

#[tokio::test]
async fn a_wait_that_is_too_long_fails_at_once_and_says_for_how_long() {
    let upstream = upstream([telling("0", "1h")]).await;
    let model = model(&LlmConfig { retry_s: 5.0, ..config(upstream.addr) });
    read(model.stream(request(1024))).await;
    let answer = read(model.stream(request(1024))).await;
    let Some(ModelError::Unavailable { retry_after: Some(wait), .. }) = answer.error else { panic!("{answer:?}") };
    assert!(wait > Duration::from_secs(3500), "{wait:?}");
    assert_eq!(upstream.stats.counts().requests, 1, "nobody was asked in vain");
}

#[tokio::test]
async fn after_a_refusal_nobody_asks_before_its_time() {
    let upstream = upstream([status(429, &[("retry-after", "60")], "")]).await;
    let model = model(&LlmConfig { retries: 2, ..config(upstream.addr) });
    for _ in 0..3 {
        let error = read(model.stream(request(1024))).await.error;
        assert!(matches!(error, Some(ModelError::Unavailable { retry_after: Some(_), .. })), "{error:?}");
    }
    assert_eq!(upstream.stats.counts().requests, 1);
}

#[tokio::test]
async fn a_client_is_told_that_it_waits() {
    let upstream = upstream([telling("0", "1s"), telling("1000", "0s")]).await;
    let gateway = Setup::with_upstream(&format!("http://{}/v1", upstream.addr)).start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.ask("One?").await.text, "ok");
    client.say("Two?").await;
    let mut phases = Vec::new();
    let done = harness::soon("the answer", async {
        loop {
            let frame = client.frame().await;
            match frame["type"].as_str() {
                Some("run.phase") => phases.push((frame["phase"].clone(), frame["position"].clone())),
                Some("run.done") => return frame,
                _ => {}
            }
        }
    });
    assert_eq!(done.await["status"], "complete");
    let queued = phases.iter().position(|phase| *phase == (json!("queued"), json!(1)));
    let waiting = phases.iter().rposition(|(phase, _)| *phase == "waiting");
    assert!(queued.is_some() && queued < waiting, "{phases:?}");
    let (_, report) = gateway.get("/api/v1/admin/llm").await;
    assert_eq!(report["targets"][0]["tokens_left"], 1000);
    let waited = format!("llm_paced_total{{target=\"{}\",how=\"waited\"}}", upstream.addr);
    assert_eq!(gateway.metric(&waited).await, 1.0);
}
