//! The mock and tools, over HTTP: what it calls, each way to write that otherwise, and what it does not take.

use std::fmt::Write as _;

use rivulet::mock_llm::{DEFAULT_TEXT, Fault, Options};
use serde_json::{Value, json};

use crate::harness::{Upstream, upstream};

const QUESTION: &str = r#"call calc {"q":"2+2"} and call time {}"#;

async fn mock(faults: &[&str]) -> Upstream {
    let faults = faults.iter().map(|name| name.parse::<Fault>().expect(name)).collect();
    upstream(Options { rate: 0.0, faults, ..Options::default() }).await
}

fn tool(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } })
}

/// A conversation in which two tools are offered.
fn request(messages: &[Value]) -> Value {
    json!({ "model": "m", "stream": true, "messages": messages, "tools": [tool("calc"), tool("time")] })
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

fn calls(calls: &[Value]) -> Value {
    json!({ "role": "assistant", "content": null, "tool_calls": calls })
}

fn result(id: &str, text: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": text })
}

fn with(mut request: Value, name: &str, value: Value) -> Value {
    request[name] = value;
    request
}

/// Status and body; a body that breaks off is what came of it.
async fn post(mock: &Upstream, request: &Value) -> (u16, String) {
    let url = format!("{}/chat/completions", mock.url);
    let mut response = reqwest::Client::new().post(url).json(request).send().await.unwrap();
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend(piece);
    }
    (response.status().as_u16(), String::from_utf8(body).unwrap())
}

/// A line of these values, `-` for those that are not there.
fn piece(parts: &[&Value]) -> String {
    let told = parts.iter().map(|part| match part {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    format!("\n{}", told.collect::<Vec<_>>().join(" ").trim_end())
}

/// What a stream says: its text, then its calls as they come, one event a line, and its end behind `=`.
async fn streamed(mock: &Upstream, request: &Value) -> String {
    let (status, body) = post(mock, request).await;
    assert_eq!(status, 200, "{body}");
    let (mut text, mut events) = (String::new(), String::new());
    for line in body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
        let event: Value = serde_json::from_str(line).unwrap();
        let choice = &event["choices"][0];
        text += choice["delta"]["content"].as_str().unwrap_or_default();
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            events += &piece(&[&call["index"], &call["id"], &function["name"], &function["arguments"]]);
        }
        if let Some(call) = choice["delta"].get("function_call") {
            events += &piece(&[&json!("old"), &call["name"], &call["arguments"]]);
        }
        if let Some(finish) = choice["finish_reason"].as_str() {
            write!(events, "\n= {finish}").unwrap();
        }
    }
    text + &events
}

/// The message of a whole completion, and why it ended.
async fn whole(mock: &Upstream, request: &Value) -> (Value, String) {
    let (status, body) = post(mock, &with(request.clone(), "stream", json!(false))).await;
    assert_eq!(status, 200, "{body}");
    let completion: Value = serde_json::from_str(&body).unwrap();
    let choice = &completion["choices"][0];
    (choice["message"].clone(), choice["finish_reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_question_says_what_is_called_and_the_answer_quotes_what_came_of_it() {
    let mock = mock(&[]).await;
    let question = r#"say "Let me see." call calc {"q":"π"} and call time {} then call time {"zone":"UTC"}"#;
    let mut messages = vec![user("Hello?"), json!({ "role": "assistant", "content": "Hi." }), user(question)];
    let first = "Let me see.\n0 call_0_0 calc\n0 - - {\"q\n0 - - \":\"\n0 - - π\"}\n1 call_0_1 time\n1 - - {\n1 - - }\n= tool_calls";
    assert_eq!(streamed(&mock, &request(&messages)).await, first);
    let (message, finish) = whole(&mock, &request(&messages)).await;
    let made = [call("call_0_0", "calc", r#"{"q":"π"}"#), call("call_0_1", "time", "{}")];
    assert_eq!((&message["content"], finish.as_str()), (&json!("Let me see."), "tool_calls"));
    assert_eq!(message["tool_calls"], json!(made));

    // Results may come in any order.
    messages.extend([message, result("call_0_1", "noon"), result("call_0_0", "3.14")]);
    let (message, _) = whole(&mock, &request(&messages)).await;
    assert_eq!(message["tool_calls"], json!([call("call_1_0", "time", r#"{"zone":"UTC"}"#)]));
    messages.extend([message, result("call_1_0", "one o'clock")]);
    let said = "time said: noon\ncalc said: 3.14\ntime said: one o'clock";
    assert_eq!(streamed(&mock, &request(&messages)).await, format!("{said}\n= stop"));
    let (message, finish) = whole(&mock, &request(&messages)).await;
    assert_eq!((message, finish.as_str()), (json!({ "role": "assistant", "content": said }), "stop"));

    messages.push(json!({ "role": "assistant", "content": said }));
    messages.push(user("Thanks."));
    assert_eq!(streamed(&mock, &request(&messages)).await, format!("{DEFAULT_TEXT}\n= stop"), "it is another question");
}

#[tokio::test]
async fn it_calls_what_it_may_and_what_it_must() {
    let mock = mock(&[]).await;
    let none = format!("{DEFAULT_TEXT}\n= stop");
    let one = json!({ "type": "function", "function": { "name": "time" } });
    let ask = |question: &str, choice: Value| with(request(&[user(question)]), "tool_choice", choice);
    for (request, expected) in [
        (json!({ "stream": true, "messages": [user(QUESTION)] }), none.as_str()),
        (request(&[user("call emi {} then call me")]), &none),
        (ask(QUESTION, json!("none")), &none),
        (ask("call time {} then say \"Done.\"", json!("none")), &none),
        (ask("Hello?", json!("auto")), &none),
        (ask("call time {}", json!("auto")), "\n0 call_0_0 time\n0 - - {\n0 - - }\n= tool_calls"),
        (ask("Hello?", json!("required")), "\n0 call_0_0 calc\n0 - - {\n0 - - }\n= tool_calls"),
        (ask(QUESTION, one), "\n0 call_0_0 time\n0 - - {\n0 - - }\n= tool_calls"),
    ] {
        assert_eq!(streamed(&mock, &request).await, expected, "{request}");
    }
    let mut messages = vec![user("call time {} then say \"Done.\""), calls(&[call("a", "time", "{}")])];
    messages.push(result("a", "noon"));
    for choice in ["none", "auto"] {
        let request = with(request(&messages), "tool_choice", json!(choice));
        assert_eq!(streamed(&mock, &request).await, "Done.\n= stop");
    }
}

#[tokio::test]
async fn calls_are_written_in_every_way_that_has_a_name() {
    let once = "0 call_0_0 calc {\"q\":\"2+2\"}";
    for (fault, expected) in [
        ("none", "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|1 call_0_1 time|1 - - {|1 - - }|= tool_calls"),
        (
            "tools-index-zero",
            "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|0 call_0_1 time|0 - - {|0 - - }|= tool_calls",
        ),
        (
            "tools-no-index",
            "- call_0_0 calc|- - - {\"q\"|- - - :\"2+|- - - 2\"}|- call_0_1 time|- - - {|- - - }|= tool_calls",
        ),
        ("tools-one-delta", &format!("{once}|1 call_0_1 time {{}}|= tool_calls")),
        ("tools-args-object", &format!("{once}|1 call_0_1 time {{}}|= tool_calls")),
        (
            "tools-args-repeat",
            "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|0 - - {\"q\":\"2+2\"}|1 call_0_1 time|1 - - {|1 - - }|\
             1 - - {}|= tool_calls",
        ),
        (
            "tools-args-broken",
            "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"|1 call_0_1 time|1 - - {|= tool_calls",
        ),
        (
            "tools-name-garbage",
            "0 call_0_0 calc<|channel|>commentary|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|\
             1 call_0_1 time<|channel|>commentary|1 - - {|1 - - }|= tool_calls",
        ),
        (
            "tools-name-every",
            "0 call_0_0 calc|0 - calc {\"q\"|0 - calc :\"2+|0 - calc 2\"}|1 call_0_1 time|1 - time {|1 - time }|\
             = tool_calls",
        ),
        (
            "tools-id-changes",
            "0 call_0_0 calc|0 call_0_0_0 - {\"q\"|0 call_0_0_1 - :\"2+|0 call_0_0_2 - 2\"}|1 call_0_1 time|\
             1 call_0_1_0 - {|1 call_0_1_1 - }|= tool_calls",
        ),
        (
            "tools-finish-stop",
            "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|1 call_0_1 time|1 - - {|1 - - }|= stop",
        ),
        ("tools-old", "old calc|old - {\"q\"|old - :\"2+|old - 2\"}|= function_call"),
        (
            "tools-loop",
            "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|1 call_0_1 time|1 - - {|1 - - }|= tool_calls",
        ),
        ("tools-length", "0 call_0_0 calc|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|1 call_0_1 time|1 - - {|= length"),
        (
            "tools-unknown",
            "0 call_0_0 no_such_tool|0 - - {\"q\"|0 - - :\"2+|0 - - 2\"}|1 call_0_1 no_such_tool|1 - - {|1 - - }|\
             = tool_calls",
        ),
    ] {
        let mock = mock(&[fault]).await;
        let told = streamed(&mock, &request(&[user(QUESTION)])).await;
        assert_eq!(told.trim_start().replace('\n', "|"), expected, "{fault}");
        // Where there is nothing to call, all is as it should be.
        let plain = json!({ "stream": true, "messages": [user("Hello?")] });
        assert_eq!(streamed(&mock, &plain).await, format!("{DEFAULT_TEXT}\n= stop"), "{fault}");
    }
}

#[tokio::test]
async fn one_event_has_all_calls_and_whole_ones_their_arguments_as_they_are() {
    let (_, body) = post(&mock(&["tools-one-delta"]).await, &request(&[user(QUESTION)])).await;
    assert_eq!(body.matches("tool_calls\":[").count(), 1, "{body}");
    for fault in ["tools-args-object", "none"] {
        let (_, body) = post(&mock(&[fault]).await, &request(&[user(QUESTION)])).await;
        assert_eq!(body.contains(r#""arguments":{"q":"2+2"}"#), fault != "none", "{body}");
    }
}

#[tokio::test]
async fn whole_completions_have_the_quirks_that_make_sense_there() {
    let [calc, time] = [call("call_0_0", "calc", r#"{"q":"2+2"}"#), call("call_0_1", "time", "{}")];
    let changed = |name: &str, values: [Value; 2]| {
        let mut both = json!([calc, time]);
        for (at, value) in values.into_iter().enumerate() {
            both[at]["function"][name] = value;
        }
        json!({ "tool_calls": both })
    };
    let as_ever = json!({ "tool_calls": [calc, time] });
    for (fault, expected, finish) in [
        ("none", as_ever.clone(), "tool_calls"),
        ("tools-index-zero", as_ever.clone(), "tool_calls"),
        ("tools-args-object", changed("arguments", [json!({ "q": "2+2" }), json!({})]), "tool_calls"),
        ("tools-args-broken", changed("arguments", [json!("{\"q\":\"2+2\""), json!("{")]), "tool_calls"),
        ("tools-length", changed("arguments", [json!(r#"{"q":"2+2"}"#), json!("{")]), "length"),
        ("tools-unknown", changed("name", [json!("no_such_tool"), json!("no_such_tool")]), "tool_calls"),
        ("tools-finish-stop", as_ever, "stop"),
        ("tools-old", json!({ "function_call": { "name": "calc", "arguments": r#"{"q":"2+2"}"# } }), "function_call"),
    ] {
        let (mut message, why) = whole(&mock(&[fault]).await, &request(&[user(QUESTION)])).await;
        let message = message.as_object_mut().unwrap();
        assert_eq!(message.remove("role"), Some(json!("assistant")));
        assert_eq!(message.remove("content"), Some(Value::Null));
        assert_eq!((json!(message), why.as_str()), (expected, finish), "{fault}");
    }
}

#[tokio::test]
async fn a_loop_ends_where_it_may_not_call_any_more() {
    let mock = mock(&["tools-loop"]).await;
    for (question, name) in [("Hello?", "calc"), ("call time {} then say \"Done.\"", "time")] {
        let mut messages = vec![user(question)];
        for round in 0..8 {
            let (message, finish) = whole(&mock, &request(&messages)).await;
            let id = format!("call_{round}_0");
            assert_eq!((&message["tool_calls"], finish.as_str()), (&json!([call(&id, name, "{}")]), "tool_calls"));
            messages.extend([message, result(&id, "again")]);
        }
        let over = with(request(&messages), "tool_choice", json!("none"));
        let (message, finish) = whole(&mock, &over).await;
        assert!(message["content"].as_str().unwrap().contains("again"), "{message}");
        assert_eq!((message.get("tool_calls"), finish.as_str()), (None, "stop"));
    }
}

#[tokio::test]
async fn a_call_that_could_not_be_read_is_quoted() {
    let generation = r#"<function=calc>{"q":"2+2"}</function><function=time>{}</function>"#;
    let request = request(&[user(QUESTION)]);
    for (fault, stream) in [("tool-use-failed", true), ("tool-use-failed", false), ("tool-use-failed:2", false)] {
        let (status, body) = post(&mock(&[fault]).await, &with(request.clone(), "stream", json!(stream))).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let error = &body["error"];
        assert_eq!((status, error["code"].as_str()), (400, Some("tool_use_failed")), "{body}");
        assert_eq!(error["failed_generation"], generation);
    }
    let (status, body) = post(&mock(&["tool-use-failed:2"]).await, &request).await;
    let (before, error) = body.split_once("event: error\ndata: ").unwrap();
    assert_eq!((status, before.matches("word ").count()), (200, 2), "{body}");
    let error: Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["failed_generation"], generation);
}

#[tokio::test]
async fn a_server_without_tools_refuses_them_and_nothing_else() {
    let mock = mock(&["no-tools"]).await;
    let (status, body) = post(&mock, &request(&[user("Hello?")])).await;
    assert_eq!(status, 400);
    assert!(body.contains("does not support tools"), "{body}");
    let plain = json!({ "stream": true, "messages": [user("Hello?")] });
    assert_eq!(streamed(&mock, &plain).await, format!("{DEFAULT_TEXT}\n= stop"));
}

#[tokio::test]
async fn other_faults_count_pieces_of_calls_as_tokens() {
    let request = request(&[user(QUESTION)]);
    let limited = with(request.clone(), "max_tokens", json!(3));
    let begun = "\n0 call_0_0 calc\n0 - - {\"q\"\n0 - - :\"2+";
    assert_eq!(streamed(&mock(&["none"]).await, &limited).await, format!("{begun}\n= length"));
    assert_eq!(whole(&mock(&["none"]).await, &limited).await.1, "length");
    assert_eq!(streamed(&mock(&["cut:3"]).await, &request).await, begun);
    assert_eq!(whole(&mock(&["json"]).await, &request).await.1, "tool_calls");
}

#[tokio::test]
async fn what_is_wrong_with_tools_is_refused_in_words() {
    let mock = mock(&[]).await;
    let offering = |tools: Value| with(request(&[user("Hello?")]), "tools", tools);
    let named = |name: &str| offering(json!([tool(name)]));
    let choosing = |choice: Value| with(request(&[user("Hello?")]), "tool_choice", choice);
    let talk = |more: &[Value]| {
        let mut messages = vec![user("Hello?")];
        messages.extend_from_slice(more);
        request(&messages)
    };
    let asked = |arguments: &str| calls(&[call("a", "calc", arguments)]);
    let both = || calls(&[call("a", "calc", "{}"), call("b", "time", "{}")]);
    let no_schema = json!([{ "type": "function", "function": { "name": "calc", "parameters": { "type": "string" } } }]);
    let array = json!({ "role": "assistant", "tool_calls":
        [{ "id": "a", "type": "function", "function": { "name": "calc", "arguments": {} } }] });
    for (request, expected) in [
        (offering(json!([])), "empty array"),
        (named(""), "tools[0].function.name"),
        (named("a b"), "tools[0].function.name"),
        (named("crm.find"), "tools[0].function.name"),
        (named(&"x".repeat(65)), "tools[0].function.name"),
        (offering(json!([tool("calc"), tool("calc")])), "another tool 'calc'"),
        (offering(no_schema), "Invalid schema for function 'calc'"),
        (offering(json!([{ "type": "web_search" }])), "unknown variant"),
        (choosing(json!("any")), "ToolChoice"),
        (choosing(tool("emi")), "no tool 'emi'"),
        (json!({ "messages": [], "tool_choice": "auto" }), "only allowed when 'tools'"),
        (talk(&[result("a", "1")]), "must be a response to a preceding message"),
        (talk(&[asked("{}")]), "did not have response messages: a"),
        (talk(&[asked("{}"), user("And?")]), "did not have response messages: a"),
        (talk(&[both(), result("b", "1")]), "did not have response messages: a"),
        (talk(&[both(), result("a", "1"), result("c", "1")]), "must be a response"),
        (talk(&[asked("{}"), result("a", "1"), result("a", "1")]), "must be a response"),
        (talk(&[asked("{}"), result("a", "1"), user("And?"), result("a", "1")]), "must be a response"),
        (talk(&[asked(""), result("a", "1")]), "expected a JSON object as a string"),
        (talk(&[asked("[]"), result("a", "1")]), "expected a JSON object as a string"),
        (talk(&[array, result("a", "1")]), "invalid type: map, expected a string"),
        (talk(&[calls(&[call("a", "c d", "{}")]), result("a", "1")]), "tool_calls[0].function.name"),
        (talk(&[calls(&[call("", "calc", "{}")]), result("", "1")]), "tool_calls[0].id"),
        (talk(&[calls(&[call("a", "calc", "{}"), call("a", "calc", "{}")])]), "tool_calls[1].id"),
        (talk(&[calls(&[])]), "messages[1].tool_calls': empty array"),
        (request(&[with(user("Hello?"), "tool_calls", json!([call("a", "calc", "{}")]))]), "role 'assistant'"),
    ] {
        let (status, body) = post(&mock, &request).await;
        let error: Value = serde_json::from_str(&body).unwrap();
        let error = &error["error"];
        assert_eq!((status, error["type"].as_str()), (400, Some("invalid_request_error")), "{request}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{request}: {body}");
    }
    let counts = mock.stats.wait_until(|counts| counts.open == 0).await;
    assert_eq!(counts.cancelled, 0, "a refusal is an answer");
    let longest = offering(json!([tool(&"x".repeat(64)), { "type": "function", "function": { "name": "a-B_9" } }]));
    assert_eq!(post(&mock, &longest).await.0, 200);
}
