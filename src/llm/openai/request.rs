//! What is asked of a server: headers of its own, and the body of a request without what it refuses. Pure.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Endpoint, EndpointError};
use crate::{
    config::Secret,
    llm::{ChatRequest, PromptRole},
};

/// Asks for the usage at the end of a stream. Not every server knows it.
const USAGE_OPTIONS: &str = "stream_options";

impl Endpoint {
    /// The body of a request, with or without the wish to be told the usage.
    pub(super) fn body(&self, request: &ChatRequest, with_usage: bool) -> Value {
        let messages = request.prompt.iter().map(|message| {
            let role = match message.role {
                PromptRole::System => "system",
                PromptRole::User => "user",
                PromptRole::Assistant => "assistant",
            };
            json!({ "role": role, "content": message.content })
        });
        let limit = if self.new_limit_name { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({
            "model": self.model,
            "messages": messages.collect::<Value>(),
            "stream": true,
            limit: request.max_output_tokens,
        });
        if with_usage {
            body[USAGE_OPTIONS] = json!({ "include_usage": true });
        }
        // What is said of them is valid, and none of them has a name from above.
        if let (Some(body), Ok(Value::Object(said))) =
            (body.as_object_mut(), serde_json::to_value(&*request.parameters))
        {
            body.extend(said);
        }
        for path in &self.strip {
            strip(&mut body, path);
        }
        body
    }
}

/// The configured headers.
pub(super) fn headers(config: BTreeMap<String, Secret>) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::new();
    for (name, value) in config {
        let parsed = (HeaderName::try_from(&name), HeaderValue::from_str(value.expose()));
        let (Ok(key), Ok(mut value)) = parsed else { return Err(EndpointError::Header(name)) };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Whether a refusal is about the wish to be told the usage.
pub(super) fn refuses_usage(status: u16, detail: &str) -> bool {
    matches!(status, 400 | 422) && [USAGE_OPTIONS, "include_usage"].iter().any(|name| detail.contains(name))
}

/// Takes the parameter at `path` out of a request: names parted by dots, `[]` behind a name for all of its items.
fn strip(value: &mut Value, path: &str) {
    let Some((name, rest)) = path.split_once('.') else {
        if let Some(object) = value.as_object_mut() {
            object.remove(path);
        }
        return;
    };
    match name.strip_suffix("[]") {
        Some(name) => {
            for item in value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
                strip(item, rest);
            }
        }
        None => {
            if let Some(inner) = value.get_mut(name) {
                strip(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_stripped_wherever_they_stand() {
        let mut body = json!({
            "n": 2, "logit_bias": {}, "stream_options": { "include_usage": true, "x": 1 },
            "messages": [{ "role": "user", "name": "a" }, { "role": "user", "n": 3 }],
        });
        for path in
            ["n", "logit_bias", "stream_options.include_usage", "messages[].name", "absent", "absent[].n", "n.n"]
        {
            strip(&mut body, path);
        }
        assert_eq!(
            body,
            json!({ "stream_options": { "x": 1 }, "messages": [{ "role": "user" }, { "role": "user", "n": 3 }] })
        );
    }
}
