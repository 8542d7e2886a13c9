//! Tools of a caller's: its program makes the calls, the gateway passes them on whole, whichever way a model's server wrote
//! them, and the results back.

use std::fs;

use rivulet::mock_llm::{Fault, Options};
use serde_json::{Value, json};

use super::{Told, ask, question, with};
use crate::{
    calls::OTHER_WAYS,
    harness::{Setup, TestGateway, Upstream, upstream},
};

const QUESTION: &str = r#"say "Let me see." and call calc {"x":"1+1"} and call time {}"#;

fn tool(name: &str) -> Value {
    let parameters = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    json!({"type": "function", "function": {"name": name, "description": "Does it.", "parameters": parameters}})
}

fn offering(text: &str, fields: Value) -> Value {
    with(with(question(text), json!({"tools": [tool("calc"), tool("time")]})), fields)
}

async fn at(faults: &[&str]) -> Upstream {
    let faults = faults.iter().map(|name| name.parse::<Fault>().unwrap()).collect();
    upstream(Options { faults, rate: 0.0, ..Options::default() }).await
}

/// The calls of an answer, put together as clients do it: by index, names and ids from the first piece.
fn calls(told: &Told) -> Vec<Value> {
    if let Some(calls) = told.body["choices"][0]["message"]["tool_calls"].as_array() {
        return calls.clone();
    }
    let mut calls: Vec<Value> = Vec::new();
    let pieces = told.chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array());
    for piece in pieces.flatten() {
        let at = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if at == calls.len() {
            let mut call = piece.clone();
            call.as_object_mut().unwrap().remove("index");
            calls.push(call);
        } else {
            assert!(piece.get("id").is_none() && piece["function"].get("name").is_none(), "{piece}");
            let more = piece["function"]["arguments"].as_str().unwrap();
            let arguments = &mut calls[at]["function"]["arguments"];
            *arguments = json!(arguments.as_str().unwrap().to_owned() + more);
        }
    }
    calls
}

/// What is called, with what.
fn called(told: &Told) -> Vec<(String, Value)> {
    let call = |call: Value| {
        assert!(call["id"].as_str().unwrap().starts_with("call_") && call["type"] == "function", "{call}");
        let function = &call["function"];
        let arguments = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        (function["name"].as_str().unwrap().to_owned(), arguments)
    };
    calls(told).into_iter().map(call).collect()
}

fn both() -> Vec<(String, Value)> {
    vec![("calc".to_owned(), json!({"x": "1+1"})), ("time".to_owned(), json!({}))]
}

async fn ask_twice(gateway: &TestGateway, body: &Value) -> [Told; 2] {
    [ask(gateway, body).await, ask(gateway, &with(body.clone(), json!({"stream": true}))).await]
}

fn asked(upstream: &Upstream) -> Value {
    serde_json::from_slice(&upstream.stats.requests().pop().unwrap().body).unwrap()
}

#[tokio::test]
async fn a_caller_makes_the_calls_and_the_answer_goes_on_with_what_came_of_them() {
    let upstream = at(&[]).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let body = offering(&format!("{QUESTION} then say \"Done.\""), json!({"temperature": 0}));
    for told in ask_twice(&gateway, &body).await {
        assert_eq!((told.status, told.text().as_str(), told.finish()), (200, "Let me see.", Some("tool_calls")));
        assert_eq!(called(&told), both());
        assert_eq!(told.headers["cache-status"], "rivulet; fwd=bypass");
        assert!(told.chunks.is_empty() || told.done);
        let sent = asked(&upstream);
        assert_eq!((&sent["tools"], sent.get("tool_choice")), (&json!([tool("calc"), tool("time")]), None));

        // As a package sends it back, and the results in another order.
        let calls = calls(&told);
        let result = |at: usize, text: &str| json!({"role": "tool", "tool_call_id": calls[at]["id"], "content": text});
        let said = json!({"role": "assistant", "content": told.text(), "refusal": null, "tool_calls": calls});
        let messages = json!([body["messages"][0], said, result(1, "noon"), result(0, "two")]);
        for next in ask_twice(&gateway, &with(body.clone(), json!({"messages": messages}))).await {
            assert_eq!((next.status, next.text().as_str(), next.finish()), (200, "Done.", Some("stop")), "{next:?}");
            assert!(called(&next).is_empty());
        }
        let sent = asked(&upstream);
        let sent = sent["messages"].as_array().unwrap();
        let [said, two, noon] = &sent[sent.len() - 3..] else { panic!("{sent:?}") };
        assert_eq!(
            (&said["content"], &said["tool_calls"][0]["function"]["arguments"]),
            (&json!("Let me see."), &json!(r#"{"x":"1+1"}"#))
        );
        assert_eq!((&two["content"], &noon["content"]), (&json!("two"), &json!("noon")), "in the order of the calls");
        assert_eq!((&two["role"], &two["tool_call_id"]), (&json!("tool"), &said["tool_calls"][0]["id"]));
    }
    assert_eq!(gateway.metric("runs_total{status=\"complete\"}").await, 6.0);
}

#[tokio::test]
async fn whichever_way_a_server_writes_calls_a_caller_gets_them_whole() {
    for fault in OTHER_WAYS.iter().chain(&["tools-loop", "tool-use-failed", "json", "no-done", "no-finish"]) {
        let upstream = at(&[fault]).await;
        let gateway = Setup::with_upstream(&upstream.url).start().await;
        for told in ask_twice(&gateway, &offering(QUESTION, json!({}))).await {
            assert_eq!((told.status, told.finish()), (200, Some("tool_calls")), "{fault}: {told:?}");
            assert_eq!(called(&told), both(), "{fault}");
        }
    }
    // What a server cuts is no call, and what it made of no JSON is passed on as it is.
    let upstream = at(&["tools-length"]).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    for told in ask_twice(&gateway, &offering(QUESTION, json!({}))).await {
        assert_eq!((told.finish(), calls(&told).len()), (Some("length"), 0));
    }
    let upstream = at(&["tools-args-broken"]).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    for told in ask_twice(&gateway, &offering(QUESTION, json!({}))).await {
        assert_eq!(calls(&told)[0]["function"]["arguments"], r#"{"x":"1+1""#);
    }
}

#[tokio::test]
async fn what_is_to_be_called_is_passed_on() {
    let upstream = at(&[]).await;
    let gateway = Setup::with_upstream(&upstream.url).start().await;
    let named = json!({"type": "function", "function": {"name": "time"}});
    for choice in [json!("required"), named] {
        let told = ask(&gateway, &offering(QUESTION, json!({"tool_choice": choice}))).await;
        assert_eq!((told.finish(), &asked(&upstream)["tool_choice"]), (Some("tool_calls"), &choice));
    }
    // One at a time, also where the server knows nothing of that.
    let told = ask(&gateway, &offering(QUESTION, json!({"parallel_tool_calls": false}))).await;
    assert_eq!((called(&told).as_slice(), &asked(&upstream)["parallel_tool_calls"]), (&both()[..1], &json!(false)));
    // Who may call nothing is told of nothing, unless there were calls.
    let told = ask(&gateway, &offering("say \"Hi.\"", json!({"tool_choice": "none"}))).await;
    assert_eq!((told.text().as_str(), asked(&upstream).get("tools")), ("Hi.", None));
    let call = json!({"id": "a", "type": "function", "function": {"name": "calc", "arguments": "{}"}});
    let messages = json!([
        {"role": "user", "content": "call calc {} then say \"Hi.\""}, {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "2"},
    ]);
    let told = ask(&gateway, &offering("", json!({"tool_choice": "none", "messages": messages}))).await;
    assert_eq!((told.text().as_str(), &asked(&upstream)["tool_choice"]), ("Hi.", &json!("none")));
}

#[tokio::test]
async fn who_takes_no_tools_is_left_out_and_a_text_is_an_answer_where_it_may_be() {
    let (first, second) = (at(&[]).await, at(&[]).await);
    let targets = |second_takes: bool| {
        json!([
            {"name": "a", "base_url": first.url, "model": "model-a", "tools": false},
            {"name": "b", "base_url": second.url, "model": "model-b", "tools": second_takes},
        ])
        .to_string()
    };
    let setup = |second_takes| Setup::bare().set("RIVULET_LLM_TARGETS", &targets(second_takes));
    let gateway = setup(true).start().await;
    let told = ask(&gateway, &offering(QUESTION, json!({}))).await;
    assert_eq!((&told.body["model"], called(&told)), (&json!("model-b"), both()));

    let refused = |told: Told, param: &str| {
        assert_eq!((told.status, told.code()), (400, Some("unsupported_parameter")), "{told:?}");
        assert_eq!(told.body["error"]["param"], param);
    };
    let gateway = setup(false).start().await;
    refused(ask(&gateway, &offering(QUESTION, json!({}))).await, "tools");
    let gateway = setup(false).set("RIVULET_LLM_UNSUPPORTED", "text").start().await;
    let told = ask(&gateway, &offering("Hello?", json!({}))).await;
    assert_eq!((told.status, told.finish(), asked(&first).get("tools")), (200, Some("stop"), None));
    refused(ask(&gateway, &offering(QUESTION, json!({"tool_choice": "required"}))).await, "tool_choice");

    // The built-in model answers in text.
    let gateway = Setup::bare().start().await;
    let told = ask(&gateway, &offering("Hello?", json!({}))).await;
    assert_eq!((told.status, told.finish()), (200, Some("stop")));
    refused(ask(&gateway, &offering("Hello?", json!({"tool_choice": "required"}))).await, "tool_choice");
}

#[tokio::test]
async fn another_target_makes_the_calls_and_nobody_stands_in_where_they_are_wanted() {
    let (first, second) = (at(&["status:500"]).await, at(&[]).await);
    let targets = |urls: &[&str]| {
        let target = |(at, url): (usize, &&str)| json!({"name": at.to_string(), "base_url": url, "model": "m"});
        urls.iter().enumerate().map(target).collect::<Value>().to_string()
    };
    let setup =
        |urls: &[&str]| Setup::bare().set("RIVULET_LLM_TARGETS", &targets(urls)).set("RIVULET_LLM_RETRIES", "0");
    let gateway = setup(&[&first.url, &second.url]).start().await;
    for told in ask_twice(&gateway, &offering(QUESTION, json!({}))).await {
        assert_eq!(called(&told), both(), "{told:?}");
    }
    let gateway = setup(&[&first.url]).set("RIVULET_LLM_FALLBACK", "extractive").start().await;
    let told = ask(&gateway, &offering(QUESTION, json!({}))).await;
    assert_eq!((told.status, told.finish()), (200, Some("stop")));
    let told = ask(&gateway, &offering(QUESTION, json!({"tool_choice": "required"}))).await;
    assert_eq!((told.status, told.code()), (502, Some("upstream_unavailable")));
}

#[tokio::test]
async fn an_assistants_own_tools_are_run_here_and_a_callers_take_their_place() {
    let upstream = at(&[]).await;
    let setup = Setup::with_upstream(&upstream.url);
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("loan.toml"), include_str!("../../assistants/loan.toml")).unwrap();
    let gateway = setup.start().await;
    let names = |sent: &Value| -> Vec<String> {
        sent["tools"].as_array().unwrap().iter().map(|tool| tool["function"]["name"].to_string()).collect()
    };
    let loan = json!({"model": "assistant:loan"});
    let told = ask(&gateway, &with(question(r#"call calc {"expression":"6 * 7"}"#), loan.clone())).await;
    assert_eq!((told.finish(), calls(&told).len(), names(&asked(&upstream)).len()), (Some("stop"), 0, 4));
    assert!(told.text().contains("42"), "{}", told.text());
    let told = ask(&gateway, &offering(QUESTION, loan)).await;
    assert_eq!((called(&told), names(&asked(&upstream))), (both(), vec!["\"calc\"".to_owned(), "\"time\"".to_owned()]));
}
