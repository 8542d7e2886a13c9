//! Several targets over real HTTP: their order, silent switching, retries, what each is sent.

use std::{net::SocketAddr, time::Duration};

use rivulet::{
    config::{LlmConfig, Secret, TargetConfig},
    llm::{ChatModel, Clock, Failover, FinishReason, ModelError, Stage},
    mock_llm::{DEFAULT_TEXT, Fault, Options, Script},
};
use tokio::{net::TcpListener, time::Instant};

use crate::upstream::{Upstream, ask, config, model, raw, read, request, status, upstream, upstream_with};

pub(crate) fn target(name: &str, addr: SocketAddr) -> TargetConfig {
    TargetConfig {
        name: Some(name.to_owned()),
        base_url: Some(format!("http://{addr}/v1")),
        model: Some(format!("model-{name}")),
        ..TargetConfig::default()
    }
}

/// The upstreams as targets `a`, `b`, … in this order, each asked once.
pub(crate) fn targets<'a>(upstreams: impl IntoIterator<Item = &'a Upstream>) -> LlmConfig {
    let named = ["a", "b", "c", "d"].into_iter().zip(upstreams);
    LlmConfig { targets: named.map(|(name, one)| target(name, one.addr)).collect(), retries: 0, ..LlmConfig::default() }
}

async fn saying(text: &str) -> Upstream {
    upstream_with(Options { rate: 0.0, script: Script::new(text), ..Options::default() }).await
}

#[tokio::test]
async fn the_first_target_answers_when_it_can() {
    let (first, second) = (saying("first").await, saying("second").await);
    let answer = ask(&targets([&first, &second])).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("first", Some(FinishReason::Stop)));
    assert_eq!(second.stats.counts().requests, 0);
}

#[tokio::test]
async fn nobody_sees_who_failed_before_the_first_visible_text() {
    let silent_role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    let thought = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n";
    for fault in [
        Fault::Refuse,
        Fault::Cut(0),
        Fault::End(0),
        status(500, &[], ""),
        status(529, &[], r#"{"error":{"type":"overloaded_error"}}"#),
        status(401, &[], ""),
        status(400, &[], r#"{"error":{"message":"no such parameter"}}"#),
        status(429, &[], ""),
        status(200, &[("content-type", "text/html")], "<html></html>"),
        raw(&["data: [DONE]\n\n"]),
        raw(&[silent_role, thought, "data: {\"error\":{\"message\":\"boom\"}}\n\n"]),
        raw(&[thought, "data: {]\n\n", "data: {]\n\n", "data: {]\n\n"]),
    ] {
        let (first, second) = (upstream([fault.clone()]).await, saying("second").await);
        let answer = ask(&targets([&first, &second])).await;
        assert_eq!((answer.text.as_str(), answer.finish), ("second", Some(FinishReason::Stop)), "{fault:?}");
        assert!(answer.error.is_none());
        assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (1, 1));
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_passed_by() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let second = saying("second").await;
    let config = LlmConfig { targets: vec![target("a", closed), target("b", second.addr)], ..LlmConfig::default() };
    assert_eq!(ask(&config).await.text, "second");
}

#[tokio::test]
async fn a_silent_target_costs_one_timeout_and_is_not_asked_again() {
    let (first, second) = (upstream([Fault::StallHeaders]).await, saying("second").await);
    let mut config = LlmConfig { retries: 5, ..targets([&first, &second]) };
    config.targets[0].first_token_s = Some(0.2);
    let started = Instant::now();
    assert_eq!(ask(&config).await.text, "second");
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(first.stats.wait_until(|counts| counts.open == 0).await.requests, 1);
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_at_the_same_target() {
    let (first, second) = (upstream([status(503, &[], ""), Fault::Cut(0), Fault::None]).await, saying("second").await);
    let answer = ask(&LlmConfig { retries: 2, ..targets([&first, &second]) }).await;
    assert_eq!((answer.text.as_str(), answer.finish), (DEFAULT_TEXT, Some(FinishReason::Stop)));
    assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (3, 0));
}

#[tokio::test]
async fn retry_after_is_kept_when_it_fits_and_else_the_next_target_is_asked() {
    let resting = |wait| status(429, &[("retry-after", wait)], r#"{"error":{"message":"slow down"}}"#);
    let (first, second) = (upstream([resting("0.4"), Fault::None]).await, saying("second").await);
    let config = LlmConfig { retries: 2, ..targets([&first, &second]) };
    let started = Instant::now();
    assert_eq!(ask(&config).await.text, DEFAULT_TEXT);
    assert!(started.elapsed() >= Duration::from_millis(400), "it was told to wait");

    let first = upstream([resting("60"), Fault::None]).await;
    let started = Instant::now();
    assert_eq!(ask(&LlmConfig { retries: 2, ..targets([&first, &second]) }).await.text, "second");
    assert!(started.elapsed() < Duration::from_secs(10), "nobody waits a minute");

    let first = upstream([resting("60"), Fault::None]).await;
    let error = ask(&LlmConfig { retries: 2, ..targets([&first]) }).await.error;
    assert!(matches!(error, Some(ModelError::Unavailable { .. })), "{error:?}");
}

#[tokio::test]
async fn what_a_filter_refuses_is_asked_nowhere_else() {
    let body = r#"{"error":{"message":"no","code":"content_filter"}}"#;
    let within = raw(&["data: {\"error\":{\"message\":\"no\",\"code\":\"content_filter\"}}\n\n"]);
    for fault in [status(400, &[], body), within] {
        let (first, second) = (upstream([fault]).await, saying("second").await);
        let answer = ask(&LlmConfig { retries: 2, ..targets([&first, &second]) }).await;
        assert_eq!((answer.text.as_str(), answer.finish), ("", Some(FinishReason::Filtered)));
        assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (1, 0));
    }
}

#[tokio::test]
async fn when_all_targets_fail_the_last_ones_reason_is_told() {
    let (first, second) = (upstream([status(500, &[], "")]).await, upstream([status(401, &[], "")]).await);
    let answer = ask(&targets([&first, &second])).await;
    assert!(matches!(answer.error, Some(ModelError::Rejected { status: 401, .. })), "{answer:?}");
}

#[tokio::test]
async fn the_total_clock_is_for_all_attempts_together() {
    let (first, second) = (upstream([Fault::StallHeaders]).await, upstream([Fault::StallHeaders]).await);
    let mut config = LlmConfig { total_s: 0.5, ..targets([&first, &second]) };
    config.targets[0].first_token_s = Some(0.3);
    let started = Instant::now();
    let answer = ask(&config).await;
    assert!(
        matches!(answer.error, Some(ModelError::Timeout { clock: Clock::Total, stage: Stage::Asked, .. })),
        "{answer:?}"
    );
    assert!(started.elapsed() < Duration::from_millis(790), "two totals would be 0.8 s");
}

#[tokio::test]
async fn what_a_failed_attempt_cost_is_counted() {
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":2}}\n\n";
    let thought = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n";
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    let (first, second) = (upstream([raw(&[thought])]).await, upstream([raw(&[text, usage])]).await);
    let usage = ask(&targets([&first, &second])).await.usage.unwrap();
    assert_eq!((usage.output, usage.estimated), (3, true), "what the first one thought is paid for, too");
    assert!(usage.input > 40, "the first one read the question, too: {usage:?}");
}

#[tokio::test]
async fn each_target_gets_its_own_model_key_headers_and_parameters() {
    let (first, second) = (upstream([status(500, &[], "")]).await, saying("second").await);
    let mut config = targets([&first, &second]);
    config.targets[0].api_key = Some(Secret::new("sk-first"));
    config.targets[1].headers = [("X-Team".to_owned(), Secret::new("blue"))].into();
    config.targets[1].strip = vec!["stream_options".to_owned(), "messages[].name".to_owned()];
    ask(&config).await;
    let seen = |upstream: &Upstream| {
        let seen = upstream.stats.requests().remove(0);
        (serde_json::from_slice::<serde_json::Value>(&seen.body).unwrap(), seen.headers)
    };
    let (body, headers) = seen(&first);
    assert_eq!((&body["model"], &headers["authorization"]), (&"model-a".into(), &"Bearer sk-first".parse().unwrap()));
    assert!(body.get("stream_options").is_some() && !headers.contains_key("x-team"));
    let (body, headers) = seen(&second);
    assert_eq!((&body["model"], &headers["x-team"]), (&"model-b".into(), &"blue".parse().unwrap()));
    assert!(body.get("stream_options").is_none() && !headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_failure_after_the_first_text_ends_a_single_target() {
    let upstream = upstream([Fault::Cut(3)]).await;
    let answer = ask(&LlmConfig { retries: 2, ..config(upstream.addr) }).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("A rivulet is", None));
    assert!(matches!(answer.error, Some(ModelError::Truncated { .. })));
    assert_eq!(upstream.stats.counts().requests, 1);
}

#[tokio::test]
async fn dropping_an_answer_between_two_attempts_leaves_nothing_behind() {
    let upstream = upstream([status(429, &[("retry-after", "9")], "")]).await;
    let model = model(&LlmConfig { retries: 2, ..config(upstream.addr) });
    let stream = model.stream(request(9));
    tokio::select! {
        answer = read(stream) => panic!("{answer:?}"),
        _ = upstream.stats.wait_until(|counts| counts.requests == 1 && counts.open == 0) => {}
    }
    let other = model.stream(request(9));
    drop(other);
    assert_eq!(upstream.stats.counts().requests, 1);
}

#[tokio::test]
async fn a_thousand_streams_at_once_are_served() {
    let upstream = upstream_with(Options { rate: 50.0, tokens: Some(20), ..Options::default() }).await;
    let model = model(&config(upstream.addr));
    let answers = futures_util::future::join_all((0..1000).map(|_| read(model.stream(request(64))))).await;
    let text = Script::new(DEFAULT_TEXT).text(20);
    assert!(answers.iter().all(|answer| answer.text == text && answer.finish == Some(FinishReason::Stop)));
}

#[tokio::test]
async fn three_failed_runs_open_a_breaker_and_one_probe_closes_it() {
    let broken = status(500, &[], "");
    let first = upstream([broken.clone(), broken.clone(), broken, Fault::None]).await;
    let second = saying("second").await;
    let model = model(&LlmConfig { breaker_open_s: 0.5, ..targets([&first, &second]) });
    let breaker = || model.targets().remove(0).breaker.as_str();
    for _ in 0..3 {
        assert_eq!(breaker(), "closed");
        assert_eq!(read(model.stream(request(9))).await.text, "second");
    }
    let report = model.targets().remove(0);
    assert_eq!((report.breaker.as_str(), report.failures, report.last_failure), ("open", 3, Some("unavailable")));
    let opened = Instant::now();
    assert_eq!(read(model.stream(request(9))).await.text, "second");
    assert_eq!(first.stats.counts().requests, 3, "it is left alone");
    tokio::time::sleep_until(opened + Duration::from_millis(510)).await;
    assert_eq!(read(model.stream(request(3))).await.text, "A rivulet is");
    assert_eq!((first.stats.counts().requests, breaker()), (4, "closed"));
}

#[tokio::test]
async fn what_the_target_is_not_to_blame_for_opens_no_breaker() {
    for fault in [
        status(400, &[], ""),
        status(422, &[], ""),
        status(400, &[], r#"{"error":{"message":"no","code":"content_filter"}}"#),
    ] {
        let upstream = upstream([fault]).await;
        let model = model(&LlmConfig { breaker_failures: 1, ..targets([&upstream]) });
        read(model.stream(request(9))).await;
        assert_eq!(model.targets()[0].breaker.as_str(), "closed");
    }
    let upstream = upstream([Fault::Stall(1)]).await;
    let model = model(&LlmConfig { breaker_failures: 1, ..targets([&upstream]) });
    let mut stream = model.stream(request(9));
    futures_util::StreamExt::next(&mut stream).await;
    drop(stream);
    assert_eq!(model.targets()[0].breaker.as_str(), "closed", "to stop is no failure");
    for fault in [status(401, &[], ""), Fault::Cut(2), Fault::Refuse] {
        let upstream = self::upstream([fault]).await;
        let model = self::model(&LlmConfig { breaker_failures: 1, ..targets([&upstream]) });
        read(model.stream(request(9))).await;
        assert_eq!(model.targets()[0].breaker.as_str(), "open");
    }
}

#[tokio::test]
async fn with_all_breakers_open_a_run_fails_at_once_or_the_fallback_answers() {
    let upstream = upstream([Fault::StallHeaders]).await;
    let config = LlmConfig { breaker_failures: 1, first_token_s: 0.3, ..targets([&upstream]) };
    let model = model(&config);
    assert!(matches!(read(model.stream(request(9))).await.error, Some(ModelError::Timeout { .. })));
    let started = Instant::now();
    let error = read(model.stream(request(9))).await.error.unwrap();
    assert!(started.elapsed() < Duration::from_millis(250) && error.code() == "upstream_unavailable", "{error}");
    assert_eq!(upstream.stats.counts().requests, 1);

    let config = LlmConfig { fallback: rivulet::config::Fallback::Extractive, ..config };
    let answer = ask(&config).await;
    assert!(answer.text.starts_with("The language model cannot be reached."), "{}", answer.text);
    assert_eq!(answer.finish, Some(FinishReason::Stop));
}

#[tokio::test]
async fn health_and_the_admin_report_show_the_breakers() {
    use crate::harness::{Setup, Upstream as Model};
    let broken = upstream([Fault::Refuse]).await;
    let well = Model::saying("fine", 0.0).await;
    let targets = format!(
        r#"[{{"name":"a","base_url":"http://{}/v1","model":"x","api_key":"sk-hunter2"}},
            {{"name":"b","base_url":"{}","model":"y"}}]"#,
        broken.addr, well.url
    );
    let setup = Setup::bare().set("RIVULET_LLM_TARGETS", &targets).set("RIVULET_LLM_BREAKER_FAILURES", "1");
    let gateway = setup.set("RIVULET_LLM_RETRIES", "0").start().await;
    assert_eq!(gateway.metric("breaker_state{target=\"a\"}").await, 0.0);
    let mut client = gateway.connect().await;
    let answer = client.ask("Hello?").await;
    assert_eq!((answer.status(), answer.text.as_str()), ("complete", "fine"));
    let (code, health) = gateway.get("/health").await;
    let model = &health["components"]["model"];
    assert_eq!((code, &health["status"], &model["state"]), (200, &"ok".into(), &"degraded".into()));
    assert_eq!(model["targets"][0], serde_json::json!({ "name": "a", "breaker": "open" }));
    let (_, report) = gateway.get("/api/v1/admin/llm").await;
    let [first, second] = &report["targets"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&first["failures"], &first["last_failure"]), (&1.into(), &"unavailable".into()));
    assert!(first["open_for_ms"].as_u64().is_some_and(|left| left > 200_000) && second["breaker"] == "closed");
    assert!(!report.to_string().contains("hunter2"));
    assert_eq!(gateway.metric("breaker_state{target=\"a\"}").await, 2.0);
}

fn switched(keep: u64, reason: &'static str) -> Option<Failover> {
    Some(Failover { keep, from: "a".to_owned(), to: "b".to_owned(), reason })
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_written_anew_by_the_next_target() {
    let error = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":\"boom\"}\n\n";
    for (fault, reason) in [
        (Fault::Cut(3), "truncated"),
        (Fault::End(3), "truncated"),
        (Fault::Stall(3), "timeout_gap"),
        (raw(&[error]), "unavailable"),
    ] {
        let (first, second) = (upstream([fault]).await, saying("second").await);
        let answer = ask(&LlmConfig { gap_s: 0.3, retries: 2, ..targets([&first, &second]) }).await;
        assert_eq!((answer.text.as_str(), answer.finish), ("second", Some(FinishReason::Stop)));
        assert_eq!((answer.failover, answer.error.is_none()), (switched(0, reason), true));
        first.stats.wait_until(|counts| counts.open == 0).await;
    }
}

#[tokio::test]
async fn a_target_that_can_goes_on_where_the_text_ends() {
    // "A rivulet is a very" is there; the other model repeats some of it.
    let (first, second) = (upstream([Fault::Cut(5)]).await, saying("is a very small stream. 🌧️").await);
    let mut config = targets([&first, &second]);
    config.targets[1].continues = true;
    let answer = ask(&config).await;
    assert_eq!(answer.text, "A rivulet is a very small stream. 🌧️");
    assert_eq!((answer.failover, answer.finish), (switched(19, "truncated"), Some(FinishReason::Stop)));
    let asked: serde_json::Value = serde_json::from_slice(&second.stats.requests().remove(0).body).unwrap();
    let begun = serde_json::json!({ "role": "assistant", "content": "A rivulet is a very" });
    assert_eq!(asked["messages"].as_array().unwrap().last(), Some(&begun));
}

#[tokio::test]
async fn nothing_is_withdrawn_before_the_next_target_has_text() {
    let (first, second) = (upstream([Fault::Cut(3)]).await, upstream([Fault::Cut(0)]).await);
    let answer = ask(&targets([&first, &second])).await;
    assert_eq!((answer.text.as_str(), answer.finish, answer.failover), ("A rivulet is", None, None));
    assert!(matches!(answer.error, Some(ModelError::Truncated { target, .. }) if target == "a"));
}

#[tokio::test]
async fn there_is_one_switch_per_answer() {
    let (first, second, third) =
        (upstream([Fault::Cut(3)]).await, upstream([Fault::Cut(2)]).await, saying("third").await);
    let answer = ask(&targets([&first, &second, &third])).await;
    assert_eq!((answer.text.as_str(), answer.failover), ("A rivulet", switched(0, "truncated")));
    assert!(matches!(answer.error, Some(ModelError::Truncated { target, .. }) if target == "b"));
    assert_eq!(third.stats.counts().requests, 0);
}

#[tokio::test]
async fn viewers_are_told_of_a_failover_and_end_with_the_same_text() {
    use crate::harness::{Client, Setup, Upstream as Model};
    let first = upstream([Fault::Stall(5)]).await;
    let (second, gate) = Model::gated("Quite another text, and a whole one.", 2).await;
    let targets = format!(
        r#"[{{"name":"a","base_url":"http://{}/v1","model":"x","gap_s":1}},
            {{"name":"b","base_url":"{}","model":"y"}}]"#,
        first.addr, second.url
    );
    let gateway = Setup::bare().set("RIVULET_LLM_TARGETS", &targets).start().await;
    let mut away = gateway.connect().await;
    let mut live = Client::connect(&gateway.socket(&away.session())).await;
    away.say("Hello?").await;
    away.until("ack").await;
    while away.memory.texts.values().all(|text| text != "A rivulet is a very") {
        away.frame().await;
    }
    let session = gateway.socket(&away.session());
    let memory = away.cut();
    let failover = live.until("failover").await;
    assert_eq!((&failover["from"], &failover["to"], &failover["keep"]), (&"a".into(), &"b".into(), &0.into()));
    assert_eq!(failover["reason"], "timeout_gap");
    live.deltas(1).await;
    // Its cursor lies in text that was withdrawn.
    let mut back = Client::resume(&session, memory).await;
    assert_eq!(back.welcome["recovered"], "full");
    back.until("failover").await;
    let mut late = Client::connect(&session).await;
    gate.open();
    for client in [&mut live, &mut back, &mut late] {
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.text.as_str()), ("complete", "Quite another text, and a whole one."));
    }
    let (_, stored) = gateway.get(&format!("/api/v1/sessions/{}", live.session())).await;
    assert_eq!(stored["messages"][1]["text"], "Quite another text, and a whole one.");
}

#[tokio::test]
async fn a_flapping_target_is_rescued_by_its_retry() {
    let upstream = upstream(["flapping".parse().unwrap()]).await;
    for _ in 0..3 {
        assert_eq!(ask(&LlmConfig { retries: 1, ..config(upstream.addr) }).await.text, DEFAULT_TEXT);
    }
    assert_eq!(upstream.stats.counts().requests, 6);
}

#[tokio::test]
async fn neighbours_with_a_weight_share_the_runs_and_stand_in_for_each_other() {
    let (first, second, third) = (saying("one").await, upstream([status(500, &[], "")]).await, saying("three").await);
    let mut config = targets([&first, &second, &third]);
    config.breaker_failures = 1000;
    for target in &mut config.targets[..2] {
        target.weight = Some(1.0);
    }
    let model = model(&config);
    for _ in 0..40 {
        assert_eq!(read(model.stream(request(1024))).await.text, "one", "before those behind them");
    }
    let asked = second.stats.counts().requests;
    assert!((1..40).contains(&asked), "of 40 runs about 20, and not never in a billion: {asked}");
    assert_eq!((first.stats.counts().requests, third.stats.counts().requests), (40, 0));
}
