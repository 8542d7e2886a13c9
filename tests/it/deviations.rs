//! Every fault that the mock knows, over WebSocket: each ends as docs/upstream.md says, alone and with another target.

use rivulet::{
    chat::Usage,
    mock_llm::{DEFAULT_TEXT, FAULTS, Fault, Strict},
};

use crate::{
    harness::{Client, Documented, Setup, TestGateway, Then, Upstream as Model, documented},
    upstream::{Upstream, ask, config, upstream},
};

/// A gateway with these targets, each asked once, and with clocks that a test can wait for.
async fn gateway(urls: &[&str]) -> TestGateway {
    let target = |(at, url): (usize, &&str)| format!(r#"{{"name":"t{at}","base_url":"{url}","model":"m"}}"#);
    let targets: Vec<String> = urls.iter().enumerate().map(target).collect();
    let setup = Setup::bare().set("RIVULET_LLM_TARGETS", &format!("[{}]", targets.join(",")));
    let setup = setup.set("RIVULET_LLM_RETRIES", "0").set("RIVULET_LLM_BREAKER_FAILURES", "1000");
    setup.set("RIVULET_LLM_FIRST_TOKEN_S", "1").set("RIVULET_LLM_GAP_S", "1").start().await
}

async fn failing(documented: &[Documented]) -> (Upstream, String) {
    let mut faults = Vec::new();
    for Documented { name, .. } in documented {
        let fault: Fault = name.parse().expect(name);
        faults.extend(std::iter::repeat_n(fault.clone(), requests_of(&fault)));
    }
    let upstream = upstream(faults).await;
    let url = format!("http://{}/v1", upstream.addr);
    (upstream, url)
}

/// How many requests a fault takes: some refuse the first one of a question and take the second one.
pub(crate) fn requests_of(fault: &Fault) -> usize {
    let refuses = matches!(
        fault,
        Fault::Strict(Strict::StreamOptions | Strict::MaxTokens | Strict::MaxCompletionTokens | Strict::System)
    );
    1 + usize::from(refuses)
}

/// What the mock says when all is well.
fn is_whole(text: &str) -> bool {
    let known = [
        DEFAULT_TEXT,
        "ä😀字",
        "word word word word \u{fffd}word ",
        "Within 60 days [1], $0.005, 1e400.",
        "Hi a😀b🚀 \u{fffd}.",
    ];
    known.contains(&text) || text == "word ".repeat(5)
}

async fn alone(client: &mut Client, fault: &Documented) {
    let answer = client.ask("Hello?").await;
    let code = answer.done["error"]["code"].as_str();
    assert_eq!((answer.status(), code), (fault.status.as_str(), fault.code.as_deref()), "{fault:?}");
    match answer.status() {
        "complete" if fault.pattern == "tools:N" => assert_eq!(answer.text, "word ".repeat(4)),
        "complete" if fault.pattern == "empty-stop" => assert_eq!(answer.text, ""),
        "complete" => assert!(is_whole(&answer.text), "{fault:?}: {}", answer.text),
        "incomplete" => assert!(!answer.text.is_empty() && !is_whole(&answer.text.repeat(2)), "{fault:?}"),
        "error" => assert!(answer.text.is_empty(), "{fault:?}: {}", answer.text),
        _ => {}
    }
}

async fn with_another(client: &mut Client, fault: &Documented) {
    let answer = client.ask("Hello?").await;
    let status = if fault.then == Then::Same { fault.status.as_str() } else { "complete" };
    assert_eq!(answer.status(), status, "{fault:?}");
    assert_eq!(answer.text == "other", matches!(fault.then, Then::Other | Then::Failover), "{fault:?}");
    assert_eq!(
        client.memory.failovers,
        usize::from(matches!(fault.then, Then::Failover | Then::Withdrawn)),
        "{fault:?}"
    );
    client.memory.failovers = 0;
}

#[tokio::test]
async fn every_fault_ends_as_documented() {
    let faults = documented();
    let (_first, first) = failing(&faults).await;
    let (_second, second) = failing(&faults).await;
    let other = Model::saying("other", 0.0).await;
    let (single, double) = (gateway(&[&first]).await, gateway(&[&second, &other.url]).await);
    let (mut one, mut two) = (single.connect().await, double.connect().await);
    for fault in &faults {
        tokio::join!(alone(&mut one, fault), with_another(&mut two, fault));
    }
}

#[test]
fn every_fault_is_documented() {
    let faults = documented();
    for name in FAULTS.iter().filter(|name| **name != "flapping") {
        assert!(faults.iter().any(|fault| fault.pattern == *name), "docs/upstream.md does not say what {name} does");
    }
    assert!(faults.len() > FAULTS.len());
}

#[tokio::test]
async fn a_target_that_refuses_stream_options_is_asked_without_them_from_then_on() {
    let upstream = upstream([Fault::Strict(Strict::StreamOptions)]).await;
    let model = crate::upstream::model(&config(upstream.addr));
    let options = || {
        let requests = upstream.stats.requests();
        let body = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
        requests.iter().map(|seen| body(&seen.body).get("stream_options").is_some()).collect::<Vec<_>>()
    };
    for expected in [[true, false].as_slice(), &[true, false, false]] {
        use rivulet::llm::ChatModel;
        let answer = crate::upstream::read(model.stream(crate::upstream::request(1024))).await;
        assert_eq!((answer.text.as_str(), options().as_slice()), (DEFAULT_TEXT, expected));
        assert!(answer.usage.unwrap().estimated);
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_stream_options_teaches_nothing() {
    let status = "status:400".parse().unwrap();
    let upstream = upstream([status, Fault::None]).await;
    let model = crate::upstream::model(&config(upstream.addr));
    for _ in 0..2 {
        use rivulet::llm::ChatModel;
        crate::upstream::read(model.stream(crate::upstream::request(1024))).await;
    }
    assert_eq!(upstream.stats.counts().requests, 2);
    assert!(String::from_utf8_lossy(&upstream.stats.requests()[1].body).contains("stream_options"));
}

#[tokio::test]
async fn the_last_usage_counts_wherever_it_comes() {
    for (fault, input, output, estimated) in [
        ("late-usage", 7, 5, false),
        ("every-usage", 7, 5, false),
        ("lump", 7, 5, false),
        ("silent-end", 7, 7, true),
        ("python", 7, 5, false),
        ("zero-usage", 7, 7, true),
    ] {
        let upstream = upstream([fault.parse().unwrap()]).await;
        let answer = ask(&config(upstream.addr)).await;
        assert_eq!(answer.usage, Some(Usage { input, output, estimated }), "{fault}");
    }
}

#[tokio::test]
async fn what_was_counted_of_an_answer_that_broke_off_is_booked() {
    let counted = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n";
    let upstream = upstream([crate::upstream::raw(&[counted])]).await;
    let answer = ask(&config(upstream.addr)).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("a", None));
    assert_eq!(answer.usage, Some(Usage { input: 9, output: 1, estimated: false }));
}

#[tokio::test]
async fn the_providers_id_of_a_failed_request_is_in_the_log() {
    let upstream = upstream([Fault::None, Fault::End(2)]).await;
    let gateway = gateway(&[&format!("http://{}/v1", upstream.addr)]).await;
    let mut client = gateway.connect().await;
    client.ask("Hello?").await;
    assert!(!gateway.log().contains("x-request-id"));
    assert_eq!(client.ask("Hello?").await.status(), "incomplete");
    assert!(gateway.log().contains("x-request-id 1"), "{}", gateway.log());
}

#[tokio::test]
async fn reasoning_is_told_and_not_shown() {
    for (fault, bytes) in [("reasoning", 43), ("think", 2), ("parts", 59)] {
        let upstream = upstream([fault.parse().unwrap()]).await;
        let answer = ask(&config(upstream.addr)).await;
        assert_eq!((answer.text, answer.thought), ("word ".repeat(5), bytes), "{fault}");
        assert!(answer.usage.unwrap().output as usize >= (25 + answer.thought) / 4, "it has its price");
    }
}
