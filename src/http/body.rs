//! JSON bodies: bounded in size and time, with errors that name what is wrong.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::timeout;

use super::problem::Problem;
use crate::dialect::json;

/// The largest JSON body, in bytes: a message of the longest kind with every character escaped fits.
const MAX_BODY_BYTES: usize = 256 << 10;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        json(request, MAX_BODY_BYTES).await.map(Self)
    }
}

/// A JSON body of at most `most` bytes: an object, since every field has a name.
pub(super) async fn json<T: DeserializeOwned>(request: Request, most: usize) -> Result<T, Problem> {
    let (is_json, is_plain) = (is_json(request.headers()), is_plain(request.headers()));
    let bytes = read(request, most).await?;
    if bytes.is_empty() {
        return parse(b"{}"); // No body is an object without fields.
    }
    if !is_json || !is_plain {
        let detail = if is_json { "the body must not be compressed" } else { "the body must be `application/json`" };
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    parse(&bytes)
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // Structures would be read from lists as well, by the order of their fields.
    let is_object = text.trim_ascii_start().starts_with(b"{");
    if !is_object && json::parse::<IgnoredAny>(text).is_ok() {
        return Err(Problem { param: Some("body".to_owned()), ..Problem::invalid_field("body", "must be an object") });
    }
    json::parse(text).map_err(|error| {
        let code = if error.is_data() { "invalid_field" } else { "bad_json" };
        Problem::new(StatusCode::BAD_REQUEST, code, error.to_string())
    })
}

async fn read(request: Request, most: usize) -> Result<Bytes, Problem> {
    let body = Limited::new(request.into_body(), most);
    match timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body is larger than {most} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail))
        }
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad_json", "the body broke off")),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body took too long")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}

/// Whether the body stands there as it is.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| value.as_bytes());
    let mut codings = codings.flat_map(|value| value.split(|byte| *byte == b','));
    codings.all(|coding| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    })
}
