//! What models call, over real HTTP: told whole and once, whoever of several targets makes the calls, and how a prompt has
//! them.

use rivulet::{
    config::{Fallback, LlmConfig},
    llm::{
        Answered, Call, ChatModel, ChatRequest, FinishReason, ModelError, PromptMessage, PromptRole, Rejection,
        ToolChoice, ToolOffer, ToolSpec,
    },
    mock_llm::{Fault, Options, Script},
};
use serde_json::{Value, json};

use crate::{
    targets::targets,
    upstream::{Answer, Upstream, config, model, raw, read, request, status, upstream, upstream_with},
};

/// A call in two pieces, at the index that every call has here, then another one, and a stop.
const TWO_CALLS: &[&str] = &[
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"calc","arguments":"{\"x\":"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"1+1\"}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"time","arguments":"{}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":7}}"#,
    "\n\ndata: [DONE]\n\n",
];
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Let me see.\"}}]}\n\n";
/// Nothing but that.
const NO_CALLS: &[&str] = &[TEXT, "data: [DONE]\n\n"];

fn two() -> Vec<Call> {
    vec![call("calc", json!({ "x": "1+1" })), call("time", json!({}))]
}

fn call(name: &str, arguments: Value) -> Call {
    Call { name: name.to_owned(), arguments }
}

fn tools() -> ToolOffer {
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: format!("What {name} does."),
        parameters: json!({ "type": "object" }),
        is_strict: false,
    };
    ToolOffer { tools: [tool("calc"), tool("time")].into(), ..ToolOffer::default() }
}

fn offering() -> ChatRequest {
    ChatRequest { tools: tools(), ..request(1024) }
}

async fn ask(config: &LlmConfig) -> Answer {
    read(model(config).stream(offering())).await
}

fn saying(text: &str) -> impl Future<Output = Upstream> {
    upstream_with(Options { rate: 0.0, script: Script::new(text), ..Options::default() })
}

/// The bodies of the requests so far.
fn asked(upstream: &Upstream) -> Vec<Value> {
    upstream.stats.requests().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
}

fn called(answer: &Answer, text: &str, by: &str) {
    assert_eq!((answer.text.as_str(), &answer.calls), (text, &two()), "{answer:?}");
    assert_eq!((answer.finish, answer.error.is_none()), (Some(FinishReason::Stop), true), "{answer:?}");
    assert_eq!(answer.by.last().map(|author| &*author.model), Some(by), "somebody has called");
}

#[tokio::test]
async fn calls_are_told_whole_behind_the_text_and_before_the_end() {
    let with_text = [&[TEXT], TWO_CALLS].concat();
    let upstream = upstream([raw(TWO_CALLS), raw(&with_text)]).await;
    let model = model(&config(upstream.addr));
    for text in ["", "Let me see."] {
        let answer = read(model.stream(offering())).await;
        called(&answer, text, "some-model");
        assert!(answer.thought > 0, "every piece is a sign of life");
        assert_eq!(answer.usage.map(|usage| (usage.input, usage.output)), Some((9, 7)));
    }
    let body = asked(&upstream).remove(0);
    assert_eq!(body["tools"][1]["function"]["name"], "time");
    assert_eq!(body.get("tool_choice"), None);
    assert_eq!(model.targets()[0].breaker.as_str(), "closed");
}

#[tokio::test]
async fn calls_that_break_off_were_never_made_and_somebody_is_asked_again() {
    let (begun, cut) = (&TWO_CALLS[..4], [&TWO_CALLS[..2], &["data: {\"choices\":[{\"del"]].concat());
    for fault in [raw(begun), raw(&cut)] {
        let (first, second) = (upstream([fault.clone(), raw(TWO_CALLS)]).await, saying("second").await);
        let answer = ask(&LlmConfig { retries: 1, ..targets([&first, &second]) }).await;
        called(&answer, "", "model-a");
        assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (2, 0));

        let (first, second) = (upstream([fault]).await, upstream([raw(TWO_CALLS)]).await);
        let answer = ask(&targets([&first, &second])).await;
        called(&answer, "", "model-b");
        assert_eq!((answer.by.len(), answer.failover.is_none()), (1, true), "nobody saw the first one");
    }
}

#[tokio::test]
async fn who_takes_over_may_call_without_a_word() {
    for (continues, text, keep) in [(false, "", 0), (true, "A rivulet is", 12)] {
        let (first, second) = (upstream([Fault::Cut(3)]).await, upstream([raw(TWO_CALLS)]).await);
        let mut config = targets([&first, &second]);
        config.targets[1].continues = continues;
        let answer = ask(&config).await;
        called(&answer, text, "model-b");
        assert_eq!(answer.failover.map(|failover| failover.keep), Some(keep));
    }
}

#[tokio::test]
async fn a_target_without_tools_is_passed_by_where_some_are_offered() {
    let (first, second) = (saying("first").await, upstream([raw(TWO_CALLS), raw(NO_CALLS)]).await);
    let mut config = targets([&first, &second]);
    config.targets[0].tools = false;
    called(&ask(&config).await, "", "model-b");
    assert_eq!(crate::upstream::ask(&config).await.text, "first", "without tools it answers");
    // Nor is it told of calls that were made.
    let answered = Answered { call: call("time", json!({})), result: "noon".to_owned() };
    let made = PromptMessage { calls: vec![answered], ..PromptMessage::new(PromptRole::Assistant, "") };
    let prompt = [&request(9).prompt[..], &[made]].concat();
    let second_round = ChatRequest { prompt: prompt.into(), ..request(1024) };
    assert_eq!(read(model(&config).stream(second_round)).await.text, "Let me see.");
    assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (1, 2));

    config.targets.truncate(1);
    let answer = ask(&config).await;
    assert!(
        matches!(&answer.error, Some(ModelError::Unavailable { detail, .. }) if detail.contains("no tools")),
        "{answer:?}"
    );
    let answer = ask(&LlmConfig { fallback: Fallback::Extractive, ..config }).await;
    assert!(answer.error.is_none() && answer.calls.is_empty() && !answer.text.is_empty(), "{answer:?}");
    assert_eq!(first.stats.counts().requests, 1);
}

#[tokio::test]
async fn a_refusal_of_tools_leads_to_the_next_target_at_once_and_says_nothing_of_the_server() {
    let words = r#"{"error":{"message":"registry.ollama.ai/library/gemma:latest does not support tools"}}"#;
    let event = "data: {\"error\":{\"message\":\"this model does not support tools\"}}\n\n";
    for fault in [status(400, &[], words), status(404, &[], words), status(500, &[], words), raw(&[event])] {
        let (first, second) = (upstream([fault]).await, upstream([raw(TWO_CALLS)]).await);
        let model = model(&LlmConfig { retries: 2, breaker_failures: 1, ..targets([&first, &second]) });
        called(&read(model.stream(offering())).await, "", "model-b");
        assert_eq!((first.stats.counts().requests, second.stats.counts().requests), (1, 1));
        assert_eq!(model.targets()[0].breaker.as_str(), "closed", "without tools it may answer");
    }
    let upstream = upstream([status(400, &[], words)]).await;
    let error = ask(&LlmConfig { retries: 2, ..config(upstream.addr) }).await.error;
    assert!(matches!(error, Some(ModelError::Rejected { reason: Rejection::Tools, .. })), "{error:?}");
}

#[tokio::test]
async fn a_call_that_the_server_could_not_read_is_made_all_the_same_when_it_was_offered() {
    let failed = |generation: &str| {
        json!({ "error": { "message": "Failed to call a function.", "type": "invalid_request_error",
            "code": "tool_use_failed", "failed_generation": generation } })
        .to_string()
    };
    let generation = r#"<function=calc>{"x":"1+1"}</function><function=time>{}</function>"#;
    let within: &'static str = Box::leak(format!("event: error\ndata: {}\n\n", failed(generation)).into_boxed_str());
    for (fault, text) in [(status(400, &[], &failed(generation)), ""), (raw(&[TEXT, within]), "Let me see.")] {
        let upstream = upstream([fault.clone()]).await;
        let answer = ask(&LlmConfig { retries: 2, ..config(upstream.addr) }).await;
        called(&answer, text, "some-model");
        assert!(answer.usage.is_some_and(|usage| usage.output > 0 && usage.estimated), "{answer:?}");
        assert_eq!(upstream.stats.counts().requests, 1);
    }
    // What was not offered, or is no call, is asked for again; and nobody looks for calls where none are wanted.
    for generation in [r#"{"name":"wipe","arguments":{}}"#, "I cannot."] {
        let upstream = upstream([status(400, &[], &failed(generation)), raw(TWO_CALLS)]).await;
        called(&ask(&LlmConfig { retries: 1, ..config(upstream.addr) }).await, "", "some-model");
        assert_eq!(upstream.stats.counts().requests, 2);
    }
    let upstream = upstream([status(400, &[], &failed(generation))]).await;
    let without = ChatRequest { tools: ToolOffer::default(), ..offering() };
    let error = read(model(&config(upstream.addr)).stream(without)).await.error;
    assert!(matches!(error, Some(ModelError::Unusable { .. })), "{error:?}");
}

#[tokio::test]
async fn what_came_of_calls_is_in_the_next_prompt_and_the_last_one_says_that_there_shall_be_none() {
    let upstream = upstream([raw(NO_CALLS), raw(TWO_CALLS)]).await;
    let answered = Answered { call: two().remove(0), result: "2".to_owned() };
    let made = PromptMessage { calls: vec![answered], ..PromptMessage::new(PromptRole::Assistant, "Let me see.") };
    let prompt = [&request(9).prompt[..], &[made]].concat();
    let tools = ToolOffer { choice: ToolChoice::Nothing, ..tools() };
    let last = ChatRequest { prompt: prompt.into(), tools, ..request(1024) };
    let model = model(&config(upstream.addr));
    let answer = read(model.stream(last.clone())).await;
    assert_eq!((answer.text.as_str(), answer.finish), ("Let me see.", Some(FinishReason::Stop)));
    let body = asked(&upstream).remove(0);
    let function = json!({ "name": "calc", "arguments": r#"{"x":"1+1"}"# });
    let calls = json!([{ "id": "c00000001", "type": "function", "function": function }]);
    assert_eq!(body["messages"][2], json!({ "role": "assistant", "content": "Let me see.", "tool_calls": calls }));
    assert_eq!(body["messages"][3], json!({ "role": "tool", "tool_call_id": "c00000001", "content": "2" }));
    assert_eq!((&body["tool_choice"], body["tools"].as_array().map(Vec::len)), (&json!("none"), Some(2)));
    // A model that calls all the same is heard: its server may not have passed that on.
    called(&read(model.stream(last)).await, "", "some-model");
}

/// The faults of the mock with which the same calls are written in other ways.
pub(crate) const OTHER_WAYS: [&str; 9] = [
    "tools-index-zero",
    "tools-no-index",
    "tools-one-delta",
    "tools-args-object",
    "tools-args-repeat",
    "tools-name-garbage",
    "tools-name-every",
    "tools-id-changes",
    "tools-finish-stop",
];

/// What comes of a question that says what is to be called, at a server with this fault.
async fn at(fault: &str) -> Answer {
    let upstream = upstream([fault.parse().expect(fault)]).await;
    let question = PromptMessage::new(PromptRole::User, r#"call calc {"x":"1+1"} and call time {}"#);
    let request = ChatRequest { tools: tools(), ..ChatRequest::new([question], "", 1024) };
    read(model(&config(upstream.addr)).stream(request)).await
}

#[tokio::test]
async fn every_way_in_which_servers_write_calls_comes_to_the_same() {
    for fault in ["none", "tools-loop", "tool-use-failed", "json", "no-done", "no-finish"].iter().chain(&OTHER_WAYS) {
        called(&at(fault).await, "", "some-model");
    }
    called(&at("tool-use-failed:2").await, "word word ", "some-model");
    let older = at("tools-old").await;
    assert_eq!(older.calls, two()[..1], "there can be only one");
    let unknown = at("tools-unknown").await;
    assert!(unknown.calls.iter().all(|call| call.name == "no_such_tool") && unknown.calls.len() == 2, "{unknown:?}");
    let broken = at("tools-args-broken").await;
    assert_eq!(broken.calls, [call("calc", json!(r#"{"x":"1+1""#)), call("time", json!("{"))]);
    let cut = at("tools-length").await;
    assert_eq!((cut.calls.len(), cut.finish), (0, Some(FinishReason::Length)));
    let refused = at("no-tools").await.error;
    assert!(matches!(refused, Some(ModelError::Rejected { reason: Rejection::Tools, .. })), "{refused:?}");
}
