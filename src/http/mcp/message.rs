//! Messages of the Model Context Protocol: JSON-RPC 2.0, one at a time, and the version that each is of. Pure.

use axum::{
    Json as Reply,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Versions that begin with `initialize`, the newest first.
const WITH_INITIALIZE: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The version in which each request stands for itself.
const STATELESS: &str = "2026-07-28";
/// Where such a request has it in its body.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A request, or with no `id` what needs no answer.
#[derive(Deserialize, ToSchema)]
#[schema(as = McpMessage)]
pub(in crate::http) struct Message {
    #[expect(dead_code, reason = "there is one that it can be")]
    jsonrpc: JsonRpc,
    pub(super) id: Option<Id>,
    pub(super) method: String,
    #[schema(value_type = Option<Object>)]
    pub(super) params: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
enum JsonRpc {
    #[serde(rename = "2.0")]
    Two,
}

/// What an answer is known by.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = McpId)]
pub(in crate::http) enum Id {
    Number(Whole),
    Text(String),
}

/// A number that all programs read as the same.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "i64")]
#[schema(minimum = -9_007_199_254_740_991i64, maximum = 9_007_199_254_740_991i64)]
pub(in crate::http) struct Whole(i64);

impl TryFrom<i64> for Whole {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if number.unsigned_abs() < 1 << 53 { Ok(Self(number)) } else { Err("a number of at most 53 bits") }
    }
}

/// What comes of a request: a result, or an error.
#[derive(Serialize, ToSchema)]
#[schema(as = McpAnswer)]
pub(in crate::http) struct Said {
    jsonrpc: JsonRpc,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
}

impl Said {
    pub(super) fn result(id: Id, result: Value) -> Response {
        Reply(Self { jsonrpc: JsonRpc::Two, id: Some(id), result: Some(result), error: None }).into_response()
    }

    pub(super) fn fault(id: Option<Id>, fault: Fault) -> Response {
        let status = fault.status;
        (status, Reply(Self { jsonrpc: JsonRpc::Two, id, result: None, error: Some(fault) })).into_response()
    }
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = McpError)]
pub(in crate::http) struct Fault {
    #[serde(skip)]
    status: StatusCode,
    code: i32,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
}

impl Fault {
    const fn of(status: StatusCode, code: i32, message: &'static str) -> Self {
        Self { status, code, message, data: None }
    }

    pub(super) const fn params(message: &'static str) -> Self {
        Self::of(StatusCode::OK, -32602, message)
    }

    pub(super) const fn no_method(spoken: Spoken) -> Self {
        let status = if spoken.is_stateless { StatusCode::NOT_FOUND } else { StatusCode::OK };
        Self::of(status, -32601, "there is no such method here")
    }

    const fn head(message: &'static str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, -32020, message)
    }

    fn version(requested: &str) -> Self {
        let data = Some(json!({"supported": versions(), "requested": requested}));
        Self { data, ..Self::of(StatusCode::BAD_REQUEST, -32022, "this version of the protocol is not spoken here") }
    }
}

/// The versions that are spoken, the newest first.
pub(super) fn versions() -> Vec<&'static str> {
    [STATELESS].into_iter().chain(WITH_INITIALIZE).collect()
}

/// The version that `initialize` comes to: the one that is asked for, or the newest of these.
pub(super) fn with_initialize(asked: Option<&str>) -> &'static str {
    let known = WITH_INITIALIZE.into_iter().find(|known| asked == Some(known));
    known.unwrap_or(WITH_INITIALIZE[0])
}

/// Which version a message is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spoken {
    /// Whether it stands for itself, with nothing before it.
    pub(super) is_stateless: bool,
}

impl Spoken {
    /// What head and body say of the version, and of the message itself: they must not differ, for who stands in between may
    /// have looked at the head alone.
    pub(super) fn of(
        headers: &HeaderMap,
        method: &str,
        params: &Map<String, Value>,
        is_request: bool,
    ) -> Result<Self, Fault> {
        let head = one(headers, "mcp-protocol-version")?;
        let body = params.get("_meta").and_then(|meta| meta.get(VERSION)).and_then(Value::as_str);
        if let Some(unknown) = [head, body].into_iter().flatten().find(|version| !versions().contains(version)) {
            return Err(Fault::version(unknown));
        }
        if method == "initialize" {
            return Ok(Self { is_stateless: false });
        }
        if body.is_some() && head != body {
            return Err(Fault::head("`MCP-Protocol-Version` and the version in `params._meta` differ"));
        }
        let is_stateless = head == Some(STATELESS);
        if is_stateless && is_request {
            if body.is_none() {
                let missing = "`params._meta` must have the version of the protocol";
                return Err(Fault::of(StatusCode::BAD_REQUEST, -32602, missing));
            }
            if one(headers, "mcp-method")? != Some(method) {
                return Err(Fault::head("`Mcp-Method` must be the method of the request"));
            }
            let name = params.get("name").and_then(Value::as_str).filter(|_| method == "tools/call");
            if name.is_some() && one(headers, "mcp-name")?.and_then(plain).as_deref() != name {
                return Err(Fault::head("`Mcp-Name` must be the name of the tool"));
            }
        }
        Ok(Self { is_stateless })
    }
}

/// A header that stands there once, or not at all.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Fault> {
    let mut found = headers.get_all(name).into_iter();
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Fault::head("a header is no plain text")),
        _ => Err(Fault::head("a header stands there twice")),
    }
}

/// A name as it stands in a head: what does not fit there is in Base64.
fn plain(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|value| value.strip_suffix("?=")) {
        Some(coded) => String::from_utf8(STANDARD.decode(coded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn spoken(head: &[(&'static str, &'static str)], method: &str, params: Value) -> Result<Spoken, i32> {
        let mut headers = HeaderMap::new();
        for (name, value) in head {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Spoken::of(&headers, method, params.as_object().unwrap(), true).map_err(|fault| fault.code)
    }

    #[test]
    fn a_request_of_the_newest_version_says_the_same_in_head_and_body() {
        const HEAD: (&str, &str) = ("mcp-protocol-version", STATELESS);
        let call = json!({"_meta": {VERSION: STATELESS}, "name": "ä"});
        let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "=?base64?w6Q=?="));
        let of = |head: &[_]| spoken(head, "tools/call", call.clone());
        assert_eq!(of(&[HEAD, method, name]), Ok(Spoken { is_stateless: true }));
        for head in [&[HEAD, method][..], &[HEAD, name], &[method, name], &[HEAD, method, method, name]] {
            assert_eq!(of(head), Err(-32020), "{head:?}");
        }
        assert_eq!(of(&[HEAD, method, ("mcp-name", "other")]), Err(-32020));
        assert_eq!(of(&[("mcp-protocol-version", "2025-06-18"), method, name]), Err(-32020));
        assert_eq!(spoken(&[HEAD, method], "tools/call", json!({})), Err(-32602));
    }

    #[test]
    fn older_ones_may_say_nothing_and_unknown_ones_are_refused() {
        let before = Ok(Spoken { is_stateless: false });
        assert_eq!(spoken(&[], "tools/list", json!({})), before);
        assert_eq!(spoken(&[("mcp-protocol-version", "2025-06-18")], "ping", json!({})), before);
        assert_eq!(spoken(&[("mcp-protocol-version", "2031-01-01")], "ping", json!({})), Err(-32022));
        assert_eq!(spoken(&[], "server/discover", json!({"_meta": {VERSION: "2031-01-01"}})), Err(-32022));
        assert_eq!(with_initialize(Some("2025-03-26")), "2025-03-26");
        assert_eq!(with_initialize(Some(STATELESS)), "2025-11-25");
    }
}
