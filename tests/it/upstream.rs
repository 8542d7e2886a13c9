//! The model side over real HTTP: answers, their ends, the clocks, refusals and cancelling.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use rivulet::{
    chat::{Author, Usage},
    config::{LlmConfig, Secret},
    llm::{
        Call, ChatModel, ChatRequest, Clock, Failover, FinishReason, ModelError, ModelEvent, ModelStream,
        PromptMessage, PromptRole, targets::Targets,
    },
    mock_llm::{DEFAULT_TEXT, Fault, MockLlm, Options, Script, Stats},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};

/// Longer than anything here may take; a test that hangs should say where.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mock that serves until it is dropped.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    pub(crate) stats: Stats,
    _server: JoinSet<std::convert::Infallible>,
}

pub(crate) async fn upstream(faults: impl IntoIterator<Item = Fault>) -> Upstream {
    upstream_with(Options { rate: 0.0, faults: faults.into_iter().collect(), ..Options::default() }).await
}

pub(crate) async fn upstream_with(options: Options) -> Upstream {
    let mock = MockLlm::bind(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let (addr, stats) = (mock.addr(), mock.stats());
    let mut server = JoinSet::new();
    server.spawn(mock.serve());
    Upstream { addr, stats, _server: server }
}

/// A stream of exactly these bytes.
pub(crate) fn raw(pieces: &[&'static str]) -> Fault {
    raw_bytes(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect())
}

fn raw_bytes(pieces: Vec<Bytes>) -> Fault {
    Fault::Raw { pieces, pause: Duration::ZERO }
}

/// A single target that is asked once.
pub(crate) fn config(addr: SocketAddr) -> LlmConfig {
    LlmConfig {
        retries: 0,
        base_url: Some(format!("http://{addr}/v1/")),
        api_key: Some(Secret::new("sk-secret")),
        model: Some("some-model".to_owned()),
        ..LlmConfig::default()
    }
}

pub(crate) fn model(config: &LlmConfig) -> Targets {
    Targets::from_config(config).unwrap().unwrap()
}

pub(crate) fn request(max_output_tokens: u32) -> ChatRequest {
    let message = |role, content: &str| PromptMessage::new(role, content);
    let prompt = [message(PromptRole::System, "Be brief."), message(PromptRole::User, "What is a rivulet?")];
    ChatRequest::new(prompt, "What is a rivulet?", max_output_tokens)
}

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) finish: Option<FinishReason>,
    pub(crate) usage: Option<Usage>,
    /// Bytes of reasoning.
    pub(crate) thought: usize,
    pub(crate) by: Vec<Author>,
    pub(crate) queued: Vec<usize>,
    pub(crate) failover: Option<Failover>,
    pub(crate) calls: Vec<Call>,
    pub(crate) error: Option<ModelError>,
}

pub(crate) async fn read(mut stream: ModelStream) -> Answer {
    let mut answer = Answer::default();
    let reading = async {
        while let Some(event) = stream.next().await {
            assert!(answer.error.is_none(), "nothing follows an error");
            match event {
                Ok(ModelEvent::Queued(position)) => answer.queued.push(position),
                Ok(ModelEvent::Asked) => {}
                Ok(ModelEvent::Thinking(bytes)) => answer.thought += bytes as usize,
                Ok(ModelEvent::Free(_)) => panic!("only a cache knows what is free"),
                Ok(ModelEvent::By(author)) => answer.by.push(author),
                Ok(ModelEvent::Text(text)) => {
                    assert!(!text.is_empty() && answer.finish.is_none() && !answer.by.is_empty());
                    assert!(answer.calls.is_empty(), "nothing follows calls");
                    answer.text.push_str(&text);
                }
                Ok(ModelEvent::Failover(failover)) => {
                    let kept: Vec<u16> = answer.text.encode_utf16().take(failover.keep.try_into().unwrap()).collect();
                    answer.text = String::from_utf16(&kept).unwrap();
                    let is_first = answer.failover.is_none() || failover.from == failover.to;
                    assert!(is_first, "one switch per answer");
                    answer.failover = Some(failover);
                }
                Ok(ModelEvent::Calls(calls)) => {
                    assert!(!calls.is_empty() && answer.calls.is_empty() && answer.finish.is_none());
                    assert!(!answer.by.is_empty(), "somebody calls");
                    answer.calls = calls;
                }
                Ok(ModelEvent::Usage(usage)) => answer.usage = Some(usage),
                Ok(ModelEvent::Finish(reason)) => assert!(answer.finish.replace(reason).is_none()),
                Err(error) => answer.error = Some(error),
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the answer ends");
    answer
}

pub(crate) async fn ask(config: &LlmConfig) -> Answer {
    read(model(config).stream(request(1024))).await
}

async fn ask_with(fault: Fault) -> Answer {
    let upstream = upstream([fault]).await;
    ask(&config(upstream.addr)).await
}

fn events(count: usize, before: &str, after: &str) -> String {
    (0..count).map(|n| format!("{before}{n}{after}")).collect()
}

#[tokio::test]
async fn an_answer_arrives_byte_for_byte_with_its_usage() {
    let upstream = upstream([]).await;
    let answer = ask(&config(upstream.addr)).await;
    assert_eq!(answer.text, DEFAULT_TEXT);
    assert_eq!(answer.finish, Some(FinishReason::Stop));
    let usage = answer.usage.unwrap();
    assert_eq!((usage.output as usize, usage.estimated), (Script::new(DEFAULT_TEXT).len(), false));
    assert!(usage.input > 0);
    assert!(answer.error.is_none());
}

#[tokio::test]
async fn the_request_is_what_servers_expect() {
    let upstream = upstream([]).await;
    ask(&config(upstream.addr)).await;
    let seen = upstream.stats.requests().remove(0);
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    let expected = serde_json::json!({
        "model": "some-model", "stream": true, "stream_options": { "include_usage": true }, "max_tokens": 1024,
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "What is a rivulet?" },
        ],
    });
    assert_eq!(body, expected);
    assert_eq!(seen.headers["authorization"], "Bearer sk-secret");
    assert_eq!(seen.headers["accept"], "text/event-stream");
    assert!(!seen.headers.contains_key("accept-encoding"));

    ask(&LlmConfig { api_key: None, ..config(upstream.addr) }).await;
    assert!(!upstream.stats.requests().remove(1).headers.contains_key("authorization"));
}

#[tokio::test]
async fn two_hundred_streams_at_once_stay_whole() {
    let upstream = upstream_with(Options { rate: 400.0, ..Options::default() }).await;
    let model = model(&config(upstream.addr));
    let answers = join_all((0..200).map(|_| read(model.stream(request(1024))))).await;
    for answer in &answers {
        assert_eq!(answer.text, DEFAULT_TEXT, "{:?}", answer.error);
        assert_eq!(answer.finish, Some(FinishReason::Stop));
    }
    assert_eq!(upstream.stats.wait_until(|counts| counts.open == 0).await.finished, 200);
}

#[tokio::test]
async fn a_character_may_be_split_between_packets() {
    let event = r#"data: {"choices":[{"delta":{"content":"ä😀字"},"finish_reason":"stop"}]}"#.as_bytes();
    let mut pieces: Vec<Bytes> = event.chunks(1).map(Bytes::copy_from_slice).collect();
    pieces.push(Bytes::from_static(b"\n\n"));
    let answer = ask_with(raw_bytes(pieces)).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("ä😀字", Some(FinishReason::Stop)));
}

#[tokio::test]
async fn dirty_streams_are_read() {
    let answer = ask_with(raw(&[
        "\u{feff}: hello\r\n\r\nid: 1\r\ndata: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n",
        "data:{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"service_tier\":\"on_demand\"}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"end_turn\"}]}\n\ndata: [DONE]",
    ]))
    .await;
    assert_eq!((answer.text.as_str(), answer.finish), ("ab", Some(FinishReason::Stop)));
    assert_eq!(answer.thought, 4);
    assert!(answer.usage.unwrap().estimated);
}

#[tokio::test]
async fn invalid_utf8_spoils_one_character_only() {
    let piece = Bytes::from_static(
        b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xffb\"},\"finish_reason\":\"stop\"}]}\n\n",
    );
    assert_eq!(ask_with(raw_bytes(vec![piece])).await.text, "a\u{fffd}b");
}

#[tokio::test]
async fn finish_reasons_become_endings() {
    for (reason, expected) in
        [("length", FinishReason::Length), ("content_filter", FinishReason::Filtered), ("eos", FinishReason::Stop)]
    {
        let event = format!(r#"data: {{"choices":[{{"delta":{{"content":"a"}},"finish_reason":"{reason}"}}]}}"#);
        let answer = ask_with(raw_bytes(vec![Bytes::from(event)])).await;
        assert_eq!(answer.finish, Some(expected));
    }
    let upstream = upstream([]).await;
    let answer = read(model(&config(upstream.addr)).stream(request(3))).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("A rivulet is", Some(FinishReason::Length)));
}

#[tokio::test]
async fn either_proof_is_enough() {
    for fault in [Fault::NoDone, Fault::NoFinish] {
        let answer = ask_with(fault).await;
        assert_eq!((answer.text.as_str(), answer.finish), (DEFAULT_TEXT, Some(FinishReason::Stop)));
    }
}

#[tokio::test]
async fn without_proof_an_answer_is_truncated_and_its_text_kept() {
    for fault in [Fault::Cut(3), Fault::End(3)] {
        let answer = ask_with(fault.clone()).await;
        assert_eq!((answer.text.as_str(), answer.finish), ("A rivulet is", None), "{fault:?}");
        assert!(matches!(answer.error, Some(ModelError::Truncated { .. })), "{:?}", answer.error);
        assert_eq!(answer.usage.map(|usage| (usage.output, usage.estimated)), Some((3, true)), "12 bytes");
    }
}

#[tokio::test]
async fn errors_inside_a_stream_are_errors() {
    for event in [
        "data: {\"error\":{\"message\":\"boom\",\"code\":500}}\n\n",
        "error: {\"message\":\"boom\",\"code\":500}\n\n",
        "event: error\ndata: {\"message\":\"boom\"}\n\n",
        "data: {\"choices\":[],\"x_groq\":{\"error\":\"boom\"}}\n\n",
    ] {
        let answer =
            ask_with(raw(&["data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", event, "data: [DONE]\n\n"]))
                .await;
        assert_eq!((answer.text.as_str(), answer.finish), ("a", None));
        match answer.error {
            Some(ModelError::Unavailable { detail, .. }) => assert!(detail.contains("boom"), "{detail}"),
            other => panic!("{event}: {other:?}"),
        }
    }
    let answer = ask_with(raw(&["data: [DONE]\n\n"])).await;
    assert!(matches!(answer.error, Some(ModelError::Unavailable { .. })), "nothing is no answer: {answer:?}");
}

#[tokio::test]
async fn an_answer_ends_where_something_of_it_cannot_be_read() {
    for (fault, text) in [("garbage:3", "word word word "), ("torn:2", "word word "), ("garbage:0", "")] {
        let answer = ask_with(fault.parse().unwrap()).await;
        assert_eq!((answer.text.as_str(), answer.finish), (text, None), "{fault}");
        assert!(matches!(answer.error, Some(ModelError::Truncated { .. })), "{:?}", answer.error);
    }
}

#[tokio::test]
async fn whole_completions_are_answers_too() {
    let answer = ask_with(Fault::Json).await;
    assert_eq!((answer.text.as_str(), answer.finish), (DEFAULT_TEXT, Some(FinishReason::Stop)));
    assert!(!answer.usage.unwrap().estimated);
}

pub(crate) fn status(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { status, headers, body: body.to_owned() }
}

#[tokio::test]
async fn refusals_are_classed() {
    let key = status(401, &[], r#"{"error":{"message":"Incorrect API key sk-secret","code":"invalid_api_key"}}"#);
    match ask_with(key).await.error {
        Some(ModelError::Rejected { status: 401, detail, .. }) => {
            assert_eq!(detail, "Incorrect API key *** (invalid_api_key)");
        }
        other => panic!("{other:?}"),
    }
    match ask_with(status(429, &[("retry-after", "7")], r#"{"error":{"message":"slow down","code":429}}"#)).await.error
    {
        Some(ModelError::Unavailable { retry_after, .. }) => assert_eq!(retry_after, Some(Duration::from_secs(7))),
        other => panic!("{other:?}"),
    }
    let html = "<html><title>502 Bad Gateway</title></html>";
    for fault in [status(502, &[], html), status(200, &[("content-type", "text/html; charset=utf-8")], html)] {
        match ask_with(fault).await.error {
            Some(ModelError::Unavailable { detail, .. }) => assert_eq!(detail, "a web page: 502 Bad Gateway"),
            other => panic!("{other:?}"),
        }
    }
    let json = [("content-type", "application/json; charset=utf-8")];
    match ask_with(status(200, &json, r#"{"error":{"message":"context overflow","code":400}}"#)).await.error {
        Some(ModelError::Rejected { status: 400, detail, .. }) => assert_eq!(detail, "context overflow (400)"),
        other => panic!("{other:?}"),
    }
    for (code, retryable) in [(400, false), (404, false), (422, false), (500, true), (503, true)] {
        let error = ask_with(status(code, &[], "")).await.error.unwrap();
        assert_eq!(error.is_retryable(), retryable, "{code}: {error}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = upstream([]).await;
    let to = format!("http://{}/v1/chat/completions", elsewhere.addr);
    for code in [302, 307, 308] {
        let answer = ask_with(status(code, &[("location", &to)], "")).await;
        assert!(matches!(answer.error, Some(ModelError::Rejected { status, .. }) if status == code), "{answer:?}");
    }
    assert_eq!(elsewhere.stats.counts().requests, 0);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(ask(&config(addr)).await.error, Some(ModelError::Unavailable { .. })));

    let upstream = upstream([Fault::Refuse]).await;
    assert!(matches!(ask(&config(upstream.addr)).await.error, Some(ModelError::Unavailable { .. })));
    assert_eq!(upstream.stats.counts().requests, 1, "the client library's own retries are off");
    let upstream = self::upstream([status(500, &[], "")]).await;
    ask(&config(upstream.addr)).await;
    assert_eq!(upstream.stats.counts().requests, 1, "the client library's own retries are off");
}

fn clock_of(answer: &Answer) -> Option<Clock> {
    match &answer.error {
        Some(ModelError::Timeout { clock, .. }) => Some(*clock),
        _ => None,
    }
}

#[tokio::test]
async fn the_first_token_clock_counts_neither_heads_nor_roles_nor_comments() {
    for fault in [Fault::StallHeaders, Fault::Stall(0), Fault::StallPinging(0)] {
        let upstream = upstream([fault.clone()]).await;
        let answer = ask(&LlmConfig { first_token_s: 0.15, gap_s: 10.0, ..config(upstream.addr) }).await;
        assert_eq!(clock_of(&answer), Some(Clock::FirstToken), "{fault:?}");
        upstream.stats.wait_until(|counts| counts.open == 0).await;
    }
}

#[tokio::test]
async fn the_gap_clock_is_not_held_up_by_comments() {
    for fault in [Fault::Stall(3), Fault::StallPinging(3)] {
        let upstream = upstream([fault.clone()]).await;
        let start = Instant::now();
        let answer = ask(&LlmConfig { first_token_s: 10.0, gap_s: 0.15, ..config(upstream.addr) }).await;
        assert!(start.elapsed() < Duration::from_secs(5), "the first token's clock has nothing to say any more");
        assert_eq!((clock_of(&answer), answer.text.as_str()), (Some(Clock::Gap), "A rivulet is"), "{fault:?}");
        upstream.stats.wait_until(|counts| counts.open == 0).await;
    }
}

#[tokio::test]
async fn the_total_clock_ends_an_answer_that_does_not_end() {
    let options = Options { rate: 100.0, tokens: Some(1_000_000), ..Options::default() };
    let upstream = upstream_with(options).await;
    let config = LlmConfig { total_s: 0.3, gap_s: 0.2, ..config(upstream.addr) };
    let answer = read(model(&config).stream(request(1_000_000))).await;
    assert_eq!(clock_of(&answer), Some(Clock::Total));
    assert!(answer.text.starts_with("A rivulet is"));
    upstream.stats.wait_until(|counts| counts.cancelled == 1).await;
}

#[tokio::test]
async fn the_connect_clock_ends_an_attempt_that_nobody_accepts() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    // Fills the queue of connections that nobody accepts; the kernel then lets the next one wait.
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(addr)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 64, "the kernel takes them all");
    }
    let answer = ask(&LlmConfig { connect_s: 0.2, ..config(addr) }).await;
    assert_eq!(clock_of(&answer), Some(Clock::Connect), "{answer:?}");
}

#[tokio::test]
async fn what_follows_a_finish_is_waited_for_but_not_for_ever() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let late = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
    let answer = ask_with(raw(&[text, finish, late])).await;
    assert_eq!(answer.usage, Some(Usage { input: 4, output: 2, estimated: false }));
    // The finish is the proof, whatever fails after it, as long as it is not text.
    let answer = ask_with(raw(&[text, finish, "data: {\"error\":\"late\"}\n\n"])).await;
    assert_eq!((answer.finish, answer.error.is_none()), (Some(FinishReason::Stop), true));
    let answer = ask_with(raw(&[text, finish, "data: {]\n\n"])).await;
    assert_eq!((answer.finish, answer.error.is_none()), (None, false), "it may have been text");
}

#[tokio::test]
async fn nothing_after_a_finish_costs_two_seconds_and_no_more() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let pieces = vec![Bytes::from([text, finish].concat())];
    let upstream = upstream([Fault::Raw { pieces, pause: Duration::from_secs(600) }]).await;
    let answer = ask(&LlmConfig { gap_s: 0.1, total_s: 1.0, ..config(upstream.addr) }).await;
    assert_eq!((answer.finish, answer.error.is_none()), (Some(FinishReason::Stop), true), "the clocks stand still");
    assert!(answer.usage.unwrap().estimated);
    upstream.stats.wait_until(|counts| counts.open == 0).await;
}

#[tokio::test]
async fn reasoning_is_a_sign_of_life() {
    let thought = Bytes::from("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n");
    let mut pieces = vec![thought; 8];
    pieces.push(Bytes::from("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n"));
    let upstream = upstream([Fault::Raw { pieces, pause: Duration::from_millis(100) }]).await;
    let answer = ask(&LlmConfig { first_token_s: 0.5, gap_s: 0.5, ..config(upstream.addr) }).await;
    assert_eq!((answer.text.as_str(), answer.thought), ("a", 16), "{:?}", answer.error);
}

#[tokio::test]
async fn dropping_an_answer_closes_an_idle_upstream_at_once() {
    let upstream = upstream([Fault::Stall(2)]).await;
    let mut stream = model(&config(upstream.addr)).stream(request(1024));
    let mut said = String::new();
    while said != "A rivulet" {
        // What comes together is one piece.
        match timeout(PATIENCE, stream.next()).await.unwrap().unwrap().unwrap() {
            ModelEvent::By(author) => assert_eq!((author, said.as_str()), (Author::new("some-model"), "")),
            ModelEvent::Text(text) => said.push_str(&text),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(upstream.stats.counts().open, 1);
    drop(stream);
    let counts = timeout(PATIENCE, upstream.stats.wait_until(|counts| counts.open == 0)).await.expect("it notices");
    assert_eq!(counts.cancelled, 1);
}

#[tokio::test]
async fn dropping_an_answer_before_its_head_closes_the_upstream_at_once() {
    let upstream = upstream([Fault::StallHeaders]).await;
    let mut stream = model(&config(upstream.addr)).stream(request(1024));
    tokio::select! {
        event = stream.next() => panic!("{event:?}"),
        _ = upstream.stats.wait_until(|counts| counts.open == 1) => {}
    }
    drop(stream);
    let counts = timeout(PATIENCE, upstream.stats.wait_until(|counts| counts.open == 0)).await.expect("it notices");
    assert_eq!(counts.cancelled, 1);
}

#[tokio::test]
async fn nothing_is_asked_before_the_stream_is_polled() {
    let upstream = upstream([]).await;
    let model = model(&config(upstream.addr));
    drop(model.stream(request(1024)));
    let answer = read(model.stream(request(1024))).await;
    assert_eq!(answer.finish, Some(FinishReason::Stop));
    assert_eq!(upstream.stats.counts().requests, 1);
}

#[tokio::test]
async fn a_server_that_does_not_keep_to_the_limit_is_cut() {
    let event = r#"data: {"choices":[{"delta":{"content":"0123456789012345678901234567890123456789012345678"#;
    let body = events(200, event, "\"}}]}\n\n");
    let upstream = upstream([raw_bytes(vec![Bytes::from(body)])]).await;
    let answer = read(model(&config(upstream.addr)).stream(request(10))).await;
    assert_eq!((answer.text.len(), answer.finish), (10 * 32 + 1024, Some(FinishReason::Length)));
    assert!(answer.error.is_none());

    let line = Bytes::from(format!("data: {}", "x".repeat(2 << 20)));
    let upstream = self::upstream([raw_bytes(vec![line])]).await;
    let answer = read(model(&config(upstream.addr)).stream(request(4096))).await;
    assert!(matches!(answer.error, Some(ModelError::Truncated { .. })), "{:?}", answer.error);
}

#[tokio::test]
async fn the_mock_keeps_its_rate_and_tells_what_it_did() {
    let upstream = upstream_with(Options { rate: 100.0, tokens: Some(21), ..Options::default() }).await;
    let start = Instant::now();
    let answer = ask(&config(upstream.addr)).await;
    assert!(start.elapsed() >= Duration::from_millis(200), "21 tokens at 100 a second");
    let script = Script::new(DEFAULT_TEXT);
    assert_eq!(answer.text, script.text(21));

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| -> serde_json::Value {
        client.get(format!("http://{}{path}", upstream.addr)).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(get("/v1/models").await["data"][0]["id"], "mock");
    upstream.stats.wait_until(|counts| counts.open == 0).await;
    let stats = get("/stats").await;
    assert_eq!((&stats["tokens"], &stats["completions"]["finished"]), (&21.into(), &1.into()));

    let body = serde_json::json!({ "model": "m", "messages": [], "max_tokens": 2 });
    let url = format!("http://{}/v1/chat/completions", upstream.addr);
    let whole = client.post(&url).json(&body).send().await.unwrap();
    let whole: serde_json::Value = whole.json().await.unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], script.text(2));
    assert_eq!((&whole["choices"][0]["finish_reason"], &whole["model"]), (&"length".into(), &"m".into()));
    let refused = client.post(&url).body("{").send().await.unwrap();
    assert_eq!(refused.status(), 400);
}
