//! What model servers do in the wild, beyond what every fault promises by itself: what is learnt of them, what is kept of
//! their answers, what one caller can do to others, and what reaches the log.

use std::time::Duration;

use bytes::Bytes;
use rivulet::{
    chat::Owner,
    config::LlmConfig,
    llm::{
        ChatModel, ChatRequest, FinishReason, ModelError, Parameters, PromptMessage, PromptRole, Rejection,
        targets::Targets,
    },
    mock_llm::{DEFAULT_TEXT, Fault, Options, Script, Strict},
};
use serde_json::{Value, json};

use crate::{
    harness::{Setup, TestGateway, Upstream as Model},
    targets::targets,
    upstream::{Answer, Upstream, ask, config, model, raw, read, request, status, upstream, upstream_with},
};

async fn server(faults: &[&str]) -> Upstream {
    upstream(faults.iter().map(|fault| fault.parse().unwrap())).await
}

/// The bodies of the requests so far.
fn asked(upstream: &Upstream) -> Vec<Value> {
    upstream.stats.requests().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
}

fn of(asker: &str) -> ChatRequest {
    ChatRequest { asker: Some(Owner::new(asker)), ..request(1024) }
}

async fn by(model: &Targets, asker: &str) -> Answer {
    read(model.stream(of(asker))).await
}

fn saying(text: &str) -> impl Future<Output = Upstream> {
    upstream_with(Options { rate: 0.0, script: Script::new(text), ..Options::default() })
}

#[tokio::test]
async fn what_a_server_refuses_by_name_is_left_out_from_then_on() {
    for (fault, refused, instead) in [
        (Strict::MaxTokens, "max_tokens", Some("max_completion_tokens")),
        (Strict::Temperature, "temperature", None),
        (Strict::StreamOptions, "stream_options", None),
    ] {
        let upstream = upstream([Fault::Strict(fault)]).await;
        let model = model(&LlmConfig { breaker_failures: 1, ..config(upstream.addr) });
        let parameters = Parameters { temperature: Some(0.5), seed: Some(7), ..Parameters::default() };
        for _ in 0..2 {
            let request = ChatRequest { parameters: parameters.clone().into(), ..request(1024) };
            let answer = read(model.stream(request)).await;
            assert_eq!((answer.text.as_str(), answer.finish), (DEFAULT_TEXT, Some(FinishReason::Stop)), "{fault:?}");
        }
        let asked = asked(&upstream);
        let had: Vec<_> = asked.iter().map(|body| body.get(refused).is_some()).collect();
        assert_eq!(had, [true, false, false], "{fault:?}");
        assert!(asked.iter().all(|body| body["seed"] == 7), "nothing else goes");
        assert!(instead.is_none_or(|name| asked[1][name] == 1024 && asked[2][name] == 1024));
        assert_eq!(model.targets()[0].breaker.as_str(), "closed");
    }
}

#[tokio::test]
async fn a_value_that_is_refused_teaches_nothing() {
    let refusal = r#"{"error":{"message":"temperature must be at most 1","param":"temperature"}}"#;
    let upstream = upstream([status(400, &[], refusal), Fault::None]).await;
    let model = model(&config(upstream.addr));
    let parameters = Parameters { temperature: Some(1.5), ..Parameters::default() };
    let hot = || ChatRequest { parameters: parameters.clone().into(), ..request(9) };
    assert!(matches!(read(model.stream(hot())).await.error, Some(ModelError::Rejected { status: 400, .. })));
    read(model.stream(hot())).await;
    assert_eq!(asked(&upstream).len(), 2);
    assert_eq!(asked(&upstream)[1]["temperature"], 1.5);
}

#[tokio::test]
async fn a_server_without_instructions_of_their_own_gets_them_with_the_question() {
    let upstream = upstream([Fault::Strict(Strict::System)]).await;
    assert_eq!(ask(&config(upstream.addr)).await.text, DEFAULT_TEXT);
    let user = json!([{ "role": "user", "content": "Be brief.\n\nWhat is a rivulet?" }]);
    assert_eq!(asked(&upstream)[1]["messages"], user);
}

#[tokio::test]
async fn a_server_of_strict_turns_is_not_greeted_first() {
    let upstream = upstream([Fault::Strict(Strict::Alternate)]).await;
    let model = model(&LlmConfig { breaker_failures: 1, ..config(upstream.addr) });
    let turns =
        [("system", "Be brief."), ("assistant", "Hello!"), ("user", "Hi."), ("assistant", "Yes?"), ("user", "Q?")];
    let prompt = turns.map(|(role, content)| {
        let role = match role {
            "system" => PromptRole::System,
            "user" => PromptRole::User,
            _ => PromptRole::Assistant,
        };
        PromptMessage::new(role, content)
    });
    for _ in 0..2 {
        let answer = read(model.stream(ChatRequest { prompt: prompt.clone().into(), ..request(1024) })).await;
        assert_eq!((answer.text.as_str(), answer.finish), (DEFAULT_TEXT, Some(FinishReason::Stop)));
    }
    let asked = asked(&upstream).into_iter().map(|body| body["messages"].as_array().unwrap().len());
    assert_eq!(asked.collect::<Vec<_>>(), [5, 4, 4], "refused once, and known from then on");
}

#[tokio::test]
async fn a_beginning_is_given_without_the_white_space_at_its_end_and_the_seam_is_right() {
    let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"One two \\n\"}}]}\n\n";
    for more in ["three.", "\nthree.", " \nthree."] {
        let first = upstream([raw(&[begun])]).await;
        let options = Options {
            rate: 0.0,
            script: Script::new(more),
            faults: vec![Fault::Strict(Strict::BlankPrefill)],
            ..Options::default()
        };
        let second = upstream_with(options).await;
        let mut config = targets([&first, &second]);
        config.targets[1].continues = true;
        let answer = ask(&config).await;
        let glued = answer.text.replace([' ', '\n'], "");
        assert_eq!((glued.as_str(), answer.finish), ("Onetwothree.", Some(FinishReason::Stop)), "{more:?}");
        assert!(answer.text.starts_with("One two \n") && answer.text.matches('\n').count() < 3, "{:?}", answer.text);
        assert_eq!(asked(&second)[0]["messages"].as_array().unwrap().last().unwrap()["content"], "One two");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_beginning_writes_anew_and_is_given_none_any_more() {
    let first = server(&["cut:3"]).await;
    let second = upstream([Fault::Strict(Strict::Prefill)]).await;
    let mut config = LlmConfig { breaker_failures: 1000, ..targets([&first, &second]) };
    config.targets[1].continues = true;
    let model = model(&config);
    for _ in 0..2 {
        let answer = read(model.stream(request(1024))).await;
        assert_eq!((answer.text.as_str(), answer.finish), (DEFAULT_TEXT, Some(FinishReason::Stop)));
        assert_eq!(answer.failover.map(|failover| failover.keep), Some(0));
    }
    let roles: Vec<_> = asked(&second)
        .iter()
        .map(|body| body["messages"].as_array().unwrap().last().unwrap()["role"].clone())
        .collect();
    assert_eq!(roles, ["assistant", "user", "user"]);
}

#[tokio::test]
async fn an_empty_answer_ends_nobody_elses_text() {
    let (first, second, third) = (server(&["cut:3"]).await, server(&["empty-stop"]).await, saying("third").await);
    let answer = ask(&targets([&first, &second, &third])).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("third", Some(FinishReason::Stop)));
    let answer = ask(&targets([&first, &second])).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("A rivulet is", None));
    assert!(matches!(answer.error, Some(ModelError::Truncated { .. })), "{:?}", answer.error);
}

#[tokio::test]
async fn reasoning_that_only_closes_is_known_from_the_second_time_on() {
    let upstream = server(&["think-close"]).await;
    let model = model(&config(upstream.addr));
    let first = read(model.stream(request(1024))).await;
    assert_eq!((first.text.as_str(), first.finish), ("word word word word word ", Some(FinishReason::Stop)));
    assert_eq!(first.failover.as_ref().map(|failover| failover.reason), Some("reasoning"));
    let second = read(model.stream(ChatRequest { may_withdraw: false, ..request(1024) })).await;
    assert_eq!((second.text, second.failover.is_none(), second.thought > 0), (first.text, true, true));

    let mut told = targets([&upstream]);
    told.targets[0].begins_in_thought = true;
    assert!(ask(&told).await.failover.is_none(), "where it is told, not even once");
}

#[tokio::test]
async fn what_cannot_be_withdrawn_is_not_told_as_an_answer() {
    let upstream = server(&["think-close"]).await;
    let model = model(&config(upstream.addr));
    let first = read(model.stream(ChatRequest { may_withdraw: false, ..request(1024) })).await;
    assert!(matches!(first.error, Some(ModelError::Truncated { .. })) && first.finish.is_none(), "{first:?}");
    let second = read(model.stream(ChatRequest { may_withdraw: false, ..request(1024) })).await;
    assert_eq!((second.text.as_str(), second.finish), ("word word word word word ", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn what_one_caller_has_seen_is_assumed_for_nobody_else() {
    let upstream = server(&["think-close"]).await;
    let model = model(&config(upstream.addr));
    assert!(by(&model, "a/ann").await.failover.is_some());
    assert!(by(&model, "a/ann").await.failover.is_none());
    assert!(by(&model, "b/bob").await.failover.is_some());
    assert!(by(&model, "c/eve").await.failover.is_none(), "two have seen it");

    // An answer without the mark is passed on whole, and nothing is assumed any more.
    let upstream = server(&["think-close", "none", "none"]).await;
    let model = self::model(&config(upstream.addr));
    by(&model, "a/ann").await;
    assert_eq!(by(&model, "a/ann").await.text, DEFAULT_TEXT);
}

#[tokio::test]
async fn empty_answers_that_a_caller_orders_are_no_failures() {
    for (fault, finish) in [("empty-stop", FinishReason::Stop), ("reasoning-only", FinishReason::Length)] {
        let upstream = server(&[fault]).await;
        let model = model(&LlmConfig { breaker_failures: 1, retries: 2, ..config(upstream.addr) });
        for _ in 0..3 {
            let answer = read(model.stream(request(1))).await;
            assert_eq!((answer.text.as_str(), answer.finish, answer.error.is_none()), ("", Some(finish), true));
        }
        assert_eq!(upstream.stats.counts().requests, 3, "none is repeated");
        assert_eq!(model.targets()[0].breaker.as_str(), "closed");
    }
    for fault in ["tools:0", "tool-use-failed"] {
        let upstream = server(&[fault]).await;
        let model = model(&LlmConfig { breaker_failures: 1, ..config(upstream.addr) });
        assert!(matches!(read(model.stream(request(9))).await.error, Some(ModelError::Unusable { .. })), "{fault}");
        assert_eq!(model.targets()[0].breaker.as_str(), "closed", "a question can order that, too");
    }
}

#[tokio::test]
async fn one_callers_failures_shut_a_target_for_that_caller_alone() {
    let broken = || status(500, &[], "");
    let upstream = upstream([broken(), broken(), broken(), Fault::None, broken(), broken()]).await;
    let model = model(&config(upstream.addr));
    for _ in 0..3 {
        assert!(by(&model, "evil/mallory").await.error.is_some());
    }
    let started = tokio::time::Instant::now();
    by(&model, "evil/mallory").await;
    assert_eq!(upstream.stats.counts().requests, 3, "it is shut for her, {:?}", started.elapsed());
    assert_eq!(by(&model, "good/victim").await.text, DEFAULT_TEXT);
    // And when others see it fail, it is left alone.
    for asker in ["a/a", "b/b", "c/c"] {
        by(&model, asker).await;
    }
    assert_eq!(model.targets()[0].breaker.as_str(), "open");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_named_and_leaves_the_breaker_alone() {
    for fault in ["too-long:code", "too-long:words", "too-long:500"] {
        let upstream = server(&[fault]).await;
        let model = model(&LlmConfig { breaker_failures: 1, retries: 2, ..config(upstream.addr) });
        let error = read(model.stream(request(9))).await.error.unwrap();
        assert!(matches!(error, ModelError::Rejected { reason: Rejection::ContextLength, .. }), "{error}");
        assert_eq!((error.code(), error.is_retryable()), ("context_length_exceeded", false));
        assert_eq!((upstream.stats.counts().requests, model.targets()[0].breaker.as_str()), (1, "closed"));
    }
}

#[tokio::test]
async fn a_date_to_come_back_is_kept_like_seconds() {
    let headers = [("retry-after", "Sunday, 06-Nov-94 08:49:08 GMT"), ("date", "Sun, 06 Nov 1994 08:49:07 GMT")];
    let upstream = upstream([status(429, &headers, ""), Fault::None]).await;
    let started = tokio::time::Instant::now();
    assert_eq!(ask(&LlmConfig { retries: 1, ..config(upstream.addr) }).await.text, DEFAULT_TEXT);
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    let far = [("retry-after", "Sun Nov  6 09:49:07 1994"), ("date", "Sun, 06 Nov 1994 08:49:07 GMT")];
    let upstream = self::upstream([status(429, &far, "")]).await;
    match ask(&LlmConfig { retries: 1, ..config(upstream.addr) }).await.error {
        Some(ModelError::Unavailable { retry_after, .. }) => assert_eq!(retry_after, Some(Duration::from_secs(3600))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stop_beside_text_is_no_end_however_slow_the_rest_comes() {
    let piece = |text: &str| {
        Bytes::from(format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":\"stop\"}}]}}\n\n"
        ))
    };
    let pieces = vec![piece("One "), piece("two "), piece("three.")];
    let upstream = upstream([Fault::Raw { pieces: pieces.clone(), pause: Duration::from_millis(2300) }]).await;
    let answer = ask(&config(upstream.addr)).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("One two three.", Some(FinishReason::Stop)));
    let upstream = self::upstream([Fault::Raw { pieces, pause: Duration::from_secs(600) }]).await;
    let answer = ask(&LlmConfig { gap_s: 0.3, ..config(upstream.addr) }).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("One ", None));
    assert!(matches!(answer.error, Some(ModelError::Timeout { .. })), "{:?}", answer.error);
}

fn gateway(upstream: &Upstream) -> Setup {
    let setup = Setup::with_upstream(&format!("http://{}/v1", upstream.addr));
    setup.set("RIVULET_LLM_RETRIES", "0").set("RIVULET_LLM_BREAKER_FAILURES", "1000")
}

async fn complete(gateway: &TestGateway, question: &str) -> (u16, Value) {
    let body = json!({ "model": "default", "temperature": 0, "messages": [{ "role": "user", "content": question }] });
    gateway.post("/v1/chat/completions", body).await
}

#[tokio::test]
async fn what_has_a_hole_is_not_kept_and_what_has_none_is_kept_as_it_was() {
    let upstream = server(&["torn:2", "numbers"]).await;
    let setup = gateway(&upstream).set("RIVULET_LLM_CACHE_ENTRIES", "100");
    let gateway = setup.set("RIVULET_LLM_CACHE_SHARED", "true").start().await;
    let (code, broken) = complete(&gateway, "How long?").await;
    assert_eq!((code, &broken["rivulet"]["partial"]), (502, &json!("word word ")));
    for requests in [2, 2] {
        let (code, answer) = complete(&gateway, "How long?").await;
        let text = &answer["choices"][0]["message"]["content"];
        assert_eq!((code, text), (200, &json!("Within 60 days [1], $0.005, 1e400.")));
        assert_eq!(upstream.stats.counts().requests, requests);
    }
    assert_eq!(gateway.metric("llm_bad_events_total").await, 1.0);
}

#[tokio::test]
async fn an_answer_with_usage_of_zeros_is_charged() {
    let upstream = server(&["zero-usage"]).await;
    let gateway = gateway(&upstream).set("RIVULET_LIMITS_TOKENS_PER_DAY", "400").start().await;
    let mut codes = Vec::new();
    while codes.last() != Some(&429) {
        codes.push(complete(&gateway, &format!("Why {}?", codes.len())).await.0);
        assert!(codes.len() < 10, "a budget is never spent: {codes:?}");
    }
    assert_eq!(codes[0], 200);
}

#[tokio::test]
async fn after_a_stop_before_the_first_word_roles_alternate() {
    let upstream =
        upstream([Fault::StallHeaders, "status:500".parse().unwrap(), Fault::Strict(Strict::Alternate)]).await;
    let gateway = gateway(&upstream).start().await;
    let mut client = gateway.connect().await;
    client.say("One?").await;
    upstream.stats.wait_until(|counts| counts.open == 1).await;
    client.tell(json!({ "type": "stop" })).await;
    assert_eq!(client.answer().await.status(), "stopped");
    assert_eq!(client.ask("Two?").await.status(), "error");
    assert_eq!(client.ask("Three?").await.text, DEFAULT_TEXT);
    let asked = asked(&upstream).pop().unwrap();
    assert_eq!(asked["messages"].as_array().unwrap().len(), 2, "{asked}");
    assert!(asked["messages"][1]["content"].as_str().unwrap().ends_with("One?\n\nTwo?\n\nThree?"));
}

#[tokio::test]
async fn a_history_that_is_cut_begins_with_the_user() {
    let model = upstream([Fault::Strict(Strict::Alternate)]).await;
    let gateway = gateway(&model).set("RIVULET_SESSION_HISTORY_MESSAGES", "3").start().await;
    let mut client = gateway.connect().await;
    for question in ["One?", "Two?", "Three?", "Four?"] {
        assert_eq!(client.ask(question).await.status(), "complete");
    }
    let long = Model::saying(&"word ".repeat(1300), 0.0).await;
    let gateway = Setup::with_upstream(&long.url).set("RIVULET_LLM_MAX_OUTPUT_TOKENS", "4000").start().await;
    let mut client = gateway.connect().await;
    for question in 0..6 {
        client.ask(&format!("{question}?")).await;
    }
    for seen in long.stats.requests() {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        let roles: Vec<_> =
            body["messages"].as_array().unwrap().iter().map(|message| message["role"].clone()).collect();
        assert_eq!(roles[1], "user", "{roles:?}");
    }
}

#[tokio::test]
async fn a_providers_words_cannot_forge_lines_of_the_log() {
    let forged = "\u{1b}[31mred\u{1b}[0m\n2026-01-01T00:00:00Z ERROR rivulet: admin logged in\r\u{9b}2J\u{202e}";
    let body = json!({ "error": { "message": forged, "code": 500 } }).to_string();
    let within = format!("data: {}\n\n", json!({ "error": { "message": forged } }));
    let within = Fault::Raw { pieces: vec![Bytes::from(within)], pause: Duration::ZERO };
    let plain = status(400, &[], forged);
    let upstream = upstream([status(500, &[], &body), within, plain]).await;
    let gateway = gateway(&upstream).set("RIVULET_TELEMETRY_LOG_FORMAT", "pretty").start().await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        assert_eq!(client.ask("Hello?").await.status(), "error");
    }
    let log = gateway.log();
    assert!(log.contains("admin logged in"), "{log}");
    assert!(!log.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR")), "{log}");
}
