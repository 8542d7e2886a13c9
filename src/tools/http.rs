//! Tools of kind `http`: a server is asked, and JSON is what it answers. It is asked at the address that the operator has
//! written and nowhere else: no redirects, no proxies, and no address that [`Guard`] refuses.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{
    Response, Url,
    header::{ACCEPT, CONTENT_TYPE},
    redirect::Policy,
};
use serde_json::{Map, Value};

use super::{
    error::ToolError,
    guard::{Guard, REFUSED},
    output::Output,
};
use crate::{
    config::{HttpCall, Method},
    formula::{Arguments, Filling, number},
    llm::innermost,
};

/// By which a server knows what it was told before (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Until the connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Longer answers are refused, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// So much of a value stands in the line for people, in characters.
const SHOWN: usize = 80;

/// The connections of one tool: made with the first call.
#[derive(Debug, Clone, Default)]
pub(super) struct Client(Arc<OnceLock<Result<reqwest::Client, String>>>);

impl Client {
    /// Asks the server of a tool. `once`: what tells it this call, which changes something, from any others.
    pub(super) async fn ask(
        &self,
        call: &HttpCall,
        arguments: &Arguments,
        once: Option<&str>,
    ) -> Result<Output, ToolError> {
        let guard = Guard::new(&call.private_hosts);
        let url = call.location.fill(arguments)?;
        // What is no name is not resolved.
        if literal(&url).is_some_and(|address| !guard.allows(address)) {
            return Err(ToolError::Unreachable(REFUSED.to_owned()));
        }
        let client = self.0.get_or_init(|| client(guard)).as_ref();
        let client = client.map_err(|reason| ToolError::Unreachable(reason.clone()))?;
        let request = match call.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url).json(&body(call, arguments)),
        };
        let headers = call.headers.iter();
        let request = headers.fold(request.header(ACCEPT, "application/json"), |request, (name, value)| {
            request.header(name, value.expose())
        });
        let request = match once {
            Some(once) => request.header(IDEMPOTENCY_KEY, once),
            None => request,
        };
        let response = request.send().await.map_err(|error| ToolError::Unreachable(innermost(error)))?;
        let answer = read(response).await?;
        Ok(picked(call, arguments, answer))
    }
}

fn client(guard: Guard) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(Policy::none())
        .referer(false)
        .no_proxy() // It would be asked for the address in our place.
        .dns_resolver(guard)
        .user_agent(concat!("rivulet/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(innermost)
}

/// The address of a server that is named by one.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// The arguments that do not stand in the address.
fn body(call: &HttpCall, arguments: &Arguments) -> Map<String, Value> {
    let others = arguments.as_json().iter().filter(|(name, _)| !call.location.names().any(|other| other == *name));
    others.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn read(mut response: Response) -> Result<Value, ToolError> {
    if !response.status().is_success() {
        return Err(ToolError::Status(response.status().as_u16()));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && !kind.ends_with("+json") {
        return Err(ToolError::Answer("no JSON"));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| ToolError::Unreachable(innermost(error)))? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(ToolError::Answer("longer than 64 KiB"));
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|_| ToolError::Answer("no JSON"))
}

/// What of an answer is the result.
fn picked(call: &HttpCall, arguments: &Arguments, answer: Value) -> Output {
    if call.pick.is_empty() {
        let summary = call.summary.as_ref().map(|line| line.fill(|name| filling(arguments.as_json().get(name))));
        return Output { summary: summary.unwrap_or_else(|| "answered".to_owned()), data: answer, ..Output::default() };
    }
    let found = call.pick.iter().filter_map(|(name, pointer)| Some((name, answer.pointer(pointer)?)));
    let data: Map<String, Value> = found.map(|(name, value)| (name.clone(), value.clone())).collect();
    let summary = match &call.summary {
        Some(line) => line.fill(|name| filling(data.get(name).or_else(|| arguments.as_json().get(name)))),
        None => data.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect::<Vec<_>>().join(", "),
    };
    Output { summary, data: Value::Object(data), ..Output::default() }
}

fn filling(value: Option<&Value>) -> Filling {
    match value {
        Some(number @ Value::Number(_)) => number.into(),
        Some(other) => shown(other).into(),
        None => String::new().into(),
    }
}

/// A value in a line for people.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(found) => found.as_f64().map_or_else(|| found.to_string(), |value| number::grouped(value, None)),
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
