//! What is decided without a connection; the rest is tested over HTTP.

use serde_json::{Value, json};

use super::*;
use crate::llm::{
    call::{Answered, Call, ToolChoice, ToolOffer, ToolSpec},
    request::{Parameters, PromptMessage, PromptRole},
    upstream_error::UpstreamError,
};

fn config(base_url: &str) -> EndpointConfig {
    EndpointConfig {
        name: "t".to_owned(),
        provider: "openai",
        base_url: base_url.to_owned(),
        api_key: Some(Secret::new("sk-key")),
        model: "m".to_owned(),
        headers: BTreeMap::new(),
        strip: Vec::new(),
        begins_in_thought: false,
        connect: Duration::from_secs(1),
    }
}

#[test]
fn what_cannot_work_is_refused_at_once() {
    let refusal = |config: EndpointConfig| Endpoint::new(config).err();
    for base_url in ["", "api.groq.com", "ftp://h/v1", "http://u:p@h/v1", "http://h/v1?key=1", "http://h/#x"] {
        assert!(matches!(refusal(config(base_url)), Some(EndpointError::BaseUrl(_))), "{base_url}");
    }
    for key in ["sk\n", "sk\u{7f}"] {
        let config = EndpointConfig { api_key: Some(Secret::new(key)), ..config("http://h/v1") };
        assert_eq!(refusal(config), Some(EndpointError::ApiKey));
    }
    for model in ["", "m\r\n"] {
        let config = EndpointConfig { model: model.to_owned(), ..config("http://h/v1") };
        assert_eq!(refusal(config), Some(EndpointError::Model));
    }
    assert_eq!(refusal(config("http://127.0.0.1:1/v1/")), None);
}

#[test]
fn statuses_are_classed_and_the_key_never_shows() {
    let endpoint = Endpoint::new(config("http://h/v1")).unwrap();
    for status in [307, 400, 401, 403, 404, 413, 422] {
        assert!(!endpoint.failed(status, "", None).is_retryable(), "{status}");
    }
    for status in [408, 429, 498, 500, 503, 529] {
        assert!(endpoint.failed(status, "", None).is_retryable(), "{status}");
    }
    let shown = endpoint.failed(401, "the key sk-key is wrong", None).to_string();
    assert!(shown.contains("the key *** is wrong"), "{shown}");
    assert!(!format!("{endpoint:?}").contains("sk-key"));
    let long = format!("{}sk-key", "ä".repeat(failure::MAX_DETAIL_BYTES / 2 - 2));
    let body = UpstreamError::from_body(long.as_bytes());
    let shown = endpoint.failed(401, &body.detail, None).to_string();
    assert!(!shown.contains("sk-") && shown.ends_with("***"), "a key at the cut is taken out whole");
    let ModelError::Rejected { detail, .. } = endpoint.failed(401, &"ä".repeat(4000), None) else { panic!() };
    assert_eq!(detail.len(), failure::MAX_DETAIL_BYTES);
}

#[test]
fn openai_gets_the_newer_name_of_the_limit() {
    let parameters = Arc::new(Parameters { temperature: Some(0.5), ..Parameters::default() });
    let request = ChatRequest { parameters, ..ChatRequest::new([], "", 7) };
    let body = |base_url| {
        let endpoint = Endpoint::new(config(base_url)).unwrap();
        endpoint.body(&request, endpoint.learnt.manner())
    };
    assert_eq!(body("http://h/v1")["max_tokens"], 7);
    assert_eq!((&body("http://h/v1")["temperature"], body("http://h/v1").get("seed")), (&json!(0.5), None));
    assert_eq!(body("http://h/v1")["stream_options"]["include_usage"], true);
    let openai = body("https://api.openai.com/v1");
    assert_eq!((&openai["max_completion_tokens"], openai.get("max_tokens")), (&7.into(), None));
}

#[test]
fn a_beginning_to_go_on_with_ends_without_white_space_and_instructions_may_have_no_role() {
    let endpoint = Endpoint::new(config("http://h/v1")).unwrap();
    let said = |role, content: &str| PromptMessage::new(role, content);
    let prompt = [
        said(PromptRole::System, "Be brief."),
        said(PromptRole::Assistant, "Hello \n"),
        said(PromptRole::User, "Why? "),
        said(PromptRole::Assistant, "Because \n\n"),
    ];
    let request = ChatRequest::new(prompt, "", 7);
    let manner = endpoint.learnt.manner();
    let messages = endpoint.body(&request, manner)["messages"].clone();
    assert_eq!((&messages[1]["content"], &messages[3]["content"]), (&json!("Hello \n"), &json!("Because")));
    let without = manner.after(manner, &request, 400, "system role not supported").unwrap();
    let user = json!({ "role": "user", "content": "Be brief.\n\nWhy? " });
    assert_eq!(endpoint.body(&request, without)["messages"][1], user);
}

#[test]
fn calls_and_what_came_of_them_go_together_under_ids_that_every_server_takes() {
    let answered = |name: &str, arguments, result: &str| Answered {
        call: Call { name: name.to_owned(), arguments },
        result: result.to_owned(),
    };
    let called = |content: &str, calls| PromptMessage { calls, ..PromptMessage::new(PromptRole::Assistant, content) };
    let calc = answered("calc", json!({ "x": "1+1" }), "2");
    let prompt = [
        PromptMessage::new(PromptRole::System, "Be brief."),
        PromptMessage::new(PromptRole::User, "What is 1+1?"),
        called("Let me see. ", vec![calc.clone(), answered("f ü", json!("1+"), "There is no such tool.")]),
        called("", vec![calc]),
    ];
    let calculator = ToolSpec {
        name: "calc".to_owned(),
        description: "Calculates.".to_owned(),
        parameters: json!({ "type": "object" }),
        is_strict: false,
    };
    let tools = ToolOffer { tools: [calculator].into(), ..ToolOffer::default() };
    let request = ChatRequest { tools, ..ChatRequest::new(prompt, "", 7) };
    let endpoint = Endpoint::new(config("http://h/v1")).unwrap();
    let manner = endpoint.learnt.manner();
    let body = endpoint.body(&request, manner);
    let function = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    assert_eq!(
        body["messages"],
        json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "What is 1+1?" },
            { "role": "assistant", "content": "Let me see. ", "tool_calls":
                [function("c00000001", "calc", r#"{"x":"1+1"}"#), function("c00000002", "f__", "{}")] },
            { "role": "tool", "tool_call_id": "c00000001", "content": "2" },
            { "role": "tool", "tool_call_id": "c00000002", "content": "There is no such tool." },
            { "role": "assistant", "content": null, "tool_calls": [function("c00000003", "calc", r#"{"x":"1+1"}"#)] },
            { "role": "tool", "tool_call_id": "c00000003", "content": "2" },
        ])
    );
    let offered = json!({ "name": "calc", "description": "Calculates.", "parameters": { "type": "object" } });
    assert_eq!(body["tools"], json!([{ "type": "function", "function": offered }]));
    assert_eq!(body.get("tool_choice"), None);

    let over =
        ChatRequest { tools: ToolOffer { choice: ToolChoice::Nothing, ..request.tools.clone() }, ..request.clone() };
    let last = endpoint.body(&over, manner);
    assert_eq!((&last["tools"], &last["tool_choice"]), (&body["tools"], &json!("none")));

    // Without a role for instructions, and where the user has to begin.
    let without = manner.after(manner, &request, 400, "system role not supported").unwrap();
    let messages = endpoint.body(&request, without)["messages"].clone();
    assert_eq!(messages[0], json!({ "role": "user", "content": "Be brief.\n\nWhat is 1+1?" }));
    assert_eq!(messages.as_array().unwrap()[1..], body["messages"].as_array().unwrap()[2..]);
    let begun = ChatRequest { prompt: request.prompt[2..].into(), ..request.clone() };
    let first = manner.after(manner, &begun, 400, "the first message must be a user message").unwrap();
    assert_eq!(endpoint.body(&begun, first)["messages"], json!([]), "neither without the other");

    let plain = ChatRequest::new([PromptMessage::new(PromptRole::User, "Hi")], "", 7);
    let expected = r#"{"max_tokens":7,"messages":[{"content":"Hi","role":"user"}],"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let sent: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(endpoint.body(&plain, manner), sent, "nothing of it where there are no tools");
}
