//! What a provider says about a failure: in the body of a refusal, or in an event of a stream that began well. Pure.

use serde_json::Value;

use super::{json::Json, refusal};

/// What is to blame for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The server, or the request: its status tells which.
    Status,
    /// What was asked: a content filter refused it.
    Filter,
    /// The length of the prompt.
    ContextLength,
    /// What the model wrote.
    Output,
    /// That there are tools in the request.
    Tools,
}

/// What a provider says about a failure, wherever it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// The HTTP status that it means, if one can be told.
    pub status: Option<u16>,
    /// What is to blame.
    pub blame: Blame,
    /// Its words, all of them: a key must be taken out before anything is cut, or half of it would stay.
    pub detail: String,
    /// What the model wrote, where that is to blame and is told.
    pub generation: Option<String>,
}

impl UpstreamError {
    /// `detail` without any white space around it.
    pub(super) fn new(status: Option<u16>, detail: &str) -> Self {
        let detail = detail.trim();
        let detail = if detail.is_empty() { "no reason given" } else { detail };
        let blame = match () {
            () if refusal::is_too_long(None, detail) => Blame::ContextLength,
            () if refusal::is_of_tools(detail) => Blame::Tools,
            () => Blame::Status,
        };
        Self { status, blame, detail: detail.to_owned(), generation: None }
    }

    /// Reads the value of an `error` field: a text, or an object with a message and a code of any type.
    pub(super) fn from_value(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let status = ["code", "status_code", "status", "type"].iter().find_map(|name| status_of(error.get(name)?));
        let Some(message) = error.as_str().or_else(|| text("message")) else {
            return Self::new(status, &error.to_string());
        };
        let code = error.get("code").map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
        // What is to blame, where the message does not say it.
        let message = match text("param").filter(|param| !message.contains(param)) {
            Some(param) => format!("{message} ({param})"),
            None => message.to_owned(),
        };
        let said = match code.filter(|code| code != "null").or_else(|| text("type").map(str::to_owned)) {
            Some(code) => Self::new(status, &format!("{message} ({code})")),
            None => Self::new(status, &message),
        };
        let codes = || ["code", "type"].into_iter().filter_map(text);
        let is = |names: &[&str]| codes().any(|code| names.contains(&code));
        let blame = match () {
            () if is(FILTERS) => Blame::Filter,
            () if is(OUTPUTS) => Blame::Output,
            () if codes().any(|code| refusal::is_too_long(Some(code), "")) => Blame::ContextLength,
            () => said.blame,
        };
        let generation = text("failed_generation").filter(|_| blame == Blame::Output).map(str::to_owned);
        Self { blame, generation, ..said }
    }

    /// Reads an error body: JSON in any of the usual shapes, a web page, or plain text.
    pub(super) fn from_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        if text.trim_start().starts_with(['{', '[', '"'])
            && let Ok(value) = Json::new(&text).tree()
        {
            return Self::from_json(&value).unwrap_or_else(|| Self::new(None, &value.to_string()));
        }
        if !text.trim_start().starts_with('<') {
            return Self::new(None, &text);
        }
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        Self::new(None, &format!("a web page: {}", title.map_or("without a title", |(title, _)| title.trim())))
    }

    /// The error in a JSON document, if it is one: `{"error": …}`, `{"message": …}` or `{"detail": …}`, also in a list.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        let value = value.get(0).unwrap_or(value);
        if let Some(error) = value.get("error").filter(|error| is_error(error)) {
            return Some(Self::from_value(error));
        }
        if value.get("choices").is_some() {
            return None;
        }
        match value.get("detail") {
            Some(detail) if value.get("message").is_none() => Some(Self::from_value(detail)),
            _ => value.get("message").map(|_| Self::from_value(value)),
        }
    }
}

/// The names that content filters go by in errors.
const FILTERS: &[&str] = &["content_filter", "content_policy_violation", "moderation_blocked"];

/// The names of failures in which what the model wrote could not be used; they come with a 400.
const OUTPUTS: &[&str] = &["tool_use_failed", "json_validate_failed", "output_parse_failed"];

/// `"error": null`, `""`, `false`, 0 and what has nothing in it say that there is none.
pub(super) fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(code) => code.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// The HTTP status behind a code: a number, a number in quotes, or one of the names that providers use.
fn status_of(code: &Value) -> Option<u16> {
    if let Some(number) = code.as_u64() {
        return u16::try_from(number).ok().filter(|status| (400..600).contains(status));
    }
    match code.as_str()? {
        "invalid_api_key" | "authentication_error" => Some(401),
        "insufficient_quota" | "rate_limit_exceeded" | "rate_limit_error" => Some(429),
        "model_not_found" | "not_found_error" => Some(404),
        "invalid_request_error" | "context_length_exceeded" => Some(400),
        other => other.parse().ok().filter(|status| (400..600).contains(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_of_every_shape() {
        let of = |body: &str| UpstreamError::from_body(body.as_bytes());
        for (body, status, detail) in [
            (
                r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#,
                Some(429),
                "m (rate_limit_exceeded)",
            ),
            (r#"{"error":{"message":"m","code":429}}"#, Some(429), "m (429)"),
            (r#"{"error":{"message":"m","code":null}}"#, None, "m"),
            (r#"{'error': {'message': "it's m", 'code': None}}"#, None, "it's m"),
            (r#"{"error":"m"}"#, None, "m"),
            (r#"{"detail":"m"}"#, None, "m"),
            (r#"{"detail":[{"loc":["body"]}]}"#, None, r#"[{"loc":["body"]}]"#),
            (r#"{"message":"m"}"#, None, "m"),
            (r#"{"odd":1}"#, None, r#"{"odd":1}"#),
            (r#"[{"error":{"message":"m","code":503,"status":"UNAVAILABLE"}}]"#, Some(503), "m (503)"),
            ("<html><head><title> 502 Bad Gateway </title></head></html>", None, "a web page: 502 Bad Gateway"),
            ("<!doctype html>", None, "a web page: without a title"),
            ("{ not JSON", None, "{ not JSON"),
            ("plain", None, "plain"),
            (" ", None, "no reason given"),
        ] {
            let expected = UpstreamError { status, blame: Blame::Status, detail: detail.to_owned(), generation: None };
            assert_eq!(of(body), expected, "{body}");
        }
        let blame = |body: &str| of(body).blame;
        assert_eq!(blame(r#"{"error":{"message":"no","code":"content_filter"}}"#), Blame::Filter);
        assert_eq!(blame(r#"{"error":{"message":"no","type":"exceed_context_size_error"}}"#), Blame::ContextLength);
        assert_eq!(blame(r#"{"detail":"prompt is too long: 9 tokens > 8 maximum"}"#), Blame::ContextLength);
        assert_eq!(blame(r#"{"error":{"message":"gemma does not support tools","code":404}}"#), Blame::Tools);
        let failed = of(r#"{"error":{"message":"m","code":"tool_use_failed","failed_generation":"<function=f>"}}"#);
        assert_eq!((failed.blame, failed.generation.as_deref()), (Blame::Output, Some("<function=f>")));
    }
}
