//! Bodies of `/v1/chat/completions`.

use rivulet::{
    config::Unsupported,
    dialect::{
        json,
        openai::{Invalid, request::CompletionRequest},
    },
    llm::PromptMessage,
};
use serde_json::Value;

const CODES: [&str; 3] = ["invalid_field", "empty_text", "unsupported_parameter"];

/// A body is taken within its bounds or its wrong field is named; `null` is as good as absent, and an operator who has
/// more answered in text has nothing refused by that.
pub fn completions(bytes: &[u8]) {
    let Ok(body) = json::parse::<Value>(bytes) else { return };
    let strict = CompletionRequest::parse(&body, Unsupported::Refuse);
    let lenient = CompletionRequest::parse(&body, Unsupported::Text);
    for read in [&strict, &lenient] {
        match read {
            Ok(request) => taken(request),
            Err(error) => refused(error),
        }
    }
    if strict.is_ok() {
        assert_eq!(strict, lenient);
    }
    let without = without_nulls(&body);
    assert_eq!(CompletionRequest::parse(&without, Unsupported::Refuse), strict, "{without}");
}

fn taken(request: &CompletionRequest) {
    let says_something = |text: &str| !text.trim().is_empty();
    assert!(says_something(&request.question), "{request:?}");
    let stands = |message: &PromptMessage| says_something(&message.content) || !message.calls.is_empty();
    assert!(request.history.iter().chain(&request.begun).all(stands), "{request:?}");
    let last = request.begun.last().filter(|last| last.calls.is_empty());
    assert!(last.is_none_or(|last| last.content.trim_end() == last.content), "{request:?}");
    assert!(request.tools.tools.len() <= 128, "{request:?}");
    assert!(request.instructions.as_deref().is_none_or(says_something), "{request:?}");
    assert!(request.max_output_tokens.is_none_or(|most| most > 0), "{request:?}");
    let parameters = &request.parameters;
    let within = |number: Option<f64>, from: f64, to: f64| number.is_none_or(|number| (from..=to).contains(&number));
    assert!(within(parameters.temperature, 0.0, 2.0) && within(parameters.top_p, 0.0, 1.0), "{request:?}");
    let penalties = [parameters.frequency_penalty, parameters.presence_penalty];
    assert!(penalties.into_iter().all(|penalty| within(penalty, -2.0, 2.0)), "{request:?}");
    assert!(parameters.stop.len() <= 4 && !parameters.stop.iter().any(String::is_empty), "{request:?}");
}

fn refused(error: &Invalid) {
    assert!(CODES.contains(&error.code), "{error:?}");
    assert!(!error.param.is_empty() && !error.problem.is_empty(), "{error:?}");
}

/// The body without what is `null` in it and in its messages.
fn without_nulls(body: &Value) -> Value {
    let mut body = body.clone();
    let strip = |value: &mut Value| {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
    };
    strip(&mut body);
    if let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) {
        messages.iter_mut().for_each(strip);
    }
    body
}
