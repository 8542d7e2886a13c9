//! What is decided without a connection; the rest is tested over HTTP.

use serde_json::json;

use super::*;
use crate::llm::{
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
