//! What is decided without a connection; the rest is tested over HTTP.

use serde_json::json;

use super::*;
use crate::{
    llm::{KnowledgeUse, Parameters, Sharing},
    telemetry::spans::RunSpan,
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
        assert!(!endpoint.failed(status, String::new(), None).is_retryable(), "{status}");
    }
    for status in [408, 429, 498, 500, 503, 529] {
        assert!(endpoint.failed(status, String::new(), None).is_retryable(), "{status}");
    }
    let shown = endpoint.failed(401, "the key sk-key is wrong".to_owned(), None).to_string();
    assert!(shown.contains("the key *** is wrong"), "{shown}");
    assert!(!format!("{endpoint:?}").contains("sk-key"));
    let long = format!("{}sk-key", "ä".repeat(MAX_DETAIL_BYTES / 2 - 2));
    let body = UpstreamError::from_body(long.as_bytes());
    let shown = endpoint.failed(401, body.detail, None).to_string();
    assert!(!shown.contains("sk-") && shown.ends_with("***"), "a key at the cut is taken out whole");
    let ModelError::Rejected { detail, .. } = endpoint.failed(401, "ä".repeat(4000), None) else { panic!() };
    assert_eq!(detail.len(), MAX_DETAIL_BYTES);
}

#[test]
fn openai_gets_the_newer_name_of_the_limit() {
    let request = ChatRequest {
        prompt: Arc::new([]),
        question: "".into(),
        passages: Arc::new([]),
        knowledge: KnowledgeUse::default(),
        max_output_tokens: 7,
        parameters: Arc::new(Parameters { temperature: Some(0.5), ..Parameters::default() }),
        may_withdraw: true,
        asker: None,
        sharing: Sharing::default(),
        span: RunSpan::default(),
    };
    let body = |base_url| Endpoint::new(config(base_url)).unwrap().body(&request, true);
    assert_eq!(body("http://h/v1")["max_tokens"], 7);
    assert_eq!((&body("http://h/v1")["temperature"], body("http://h/v1").get("seed")), (&json!(0.5), None));
    assert_eq!(body("http://h/v1")["stream_options"]["include_usage"], true);
    let openai = body("https://api.openai.com/v1");
    assert_eq!((&openai["max_completion_tokens"], openai.get("max_tokens")), (&7.into(), None));
}
