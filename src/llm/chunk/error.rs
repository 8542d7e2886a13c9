//! What a provider says about a failure: in the body of a refusal, or in an event of a stream that began well. Pure.

use serde_json::Value;

use crate::llm::{error::Rejection, refusal};

/// What a provider says about a failure, wherever it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// The HTTP status that it means, if one can be told.
    pub status: Option<u16>,
    /// What it does not take, when it takes the server otherwise for well.
    pub reason: Rejection,
    /// Its words, all of them: a key must be taken out before anything is cut, or half of it would stay.
    pub detail: String,
}

impl UpstreamError {
    /// `detail` without any white space around it.
    pub(in crate::llm) fn new(status: Option<u16>, detail: &str) -> Self {
        let detail = detail.trim();
        let detail = if detail.is_empty() { "no reason given" } else { detail };
        let reason = match refusal::is_too_long(None, detail) {
            true => Rejection::ContextLength,
            false => Rejection::Request,
        };
        Self { status, reason, detail: detail.to_owned() }
    }

    /// Reads the value of an `error` field: a text, or an object with a message and a code of any type.
    pub(in crate::llm) fn from_value(error: &Value) -> Self {
        let text = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let status = ["code", "status_code", "status", "type"].iter().find_map(|name| status_of(error.get(name)?));
        let Some(message) = error.as_str().or_else(|| text("message")) else {
            return Self::new(status, &error.to_string());
        };
        let code = error.get("code").map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
        let said = match code.filter(|code| code != "null").or_else(|| text("type").map(str::to_owned)) {
            Some(code) => Self::new(status, &format!("{message} ({code})")),
            None => Self::new(status, message),
        };
        let codes = || ["code", "type"].into_iter().filter_map(text);
        if codes().any(|code| FILTERS.contains(&code)) {
            return Self { reason: Rejection::Filter, ..said };
        }
        if codes().any(|code| refusal::is_too_long(Some(code), "")) {
            return Self { reason: Rejection::ContextLength, ..said };
        }
        said
    }

    /// Reads an error body: JSON in any of the usual shapes, a web page, or plain text.
    pub(in crate::llm) fn from_body(body: &[u8]) -> Self {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            return Self::from_json(&value).unwrap_or_else(|| Self::new(None, &value.to_string()));
        }
        let text = String::from_utf8_lossy(body);
        if !text.trim_start().starts_with('<') {
            return Self::new(None, &text);
        }
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        Self::new(None, &format!("a web page: {}", title.map_or("without a title", |(title, _)| title.trim())))
    }

    /// The error in a JSON document, if it is one: `{"error": …}`, `{"message": …}` or `{"detail": …}`, also in a list.
    pub(in crate::llm) fn from_json(value: &Value) -> Option<Self> {
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

/// `"error": null`, `""` and `false` say that there is none.
pub(super) fn is_error(error: &Value) -> bool {
    !matches!(error, Value::Null | Value::Bool(false)) && error.as_str() != Some("")
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
        // Says that what the model wrote could not be used, and is sent with a 400: another time it writes otherwise.
        "tool_use_failed" | "json_validate_failed" => Some(500),
        other => other.parse().ok().filter(|status| (400..600).contains(status)),
    }
}
