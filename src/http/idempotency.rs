//! By which id a repetition is known: the one in the body, or that of the header that many programs have for it. Pure.

use axum::http::HeaderMap;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::chat::MessageId;

const HEADER: &str = "idempotency-key";

/// The header, as it is described.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it is read from the headers, by `key`")]
pub(super) struct Key {
    /// Makes the request safe to repeat: what was done for it once is not done again.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<MessageId>,
}

/// The id of the body, or else of the header, whose standard has the key in quotes while most write it without.
///
/// # Errors
/// The problem to answer with when the header's key cannot be an id.
pub(super) fn key(id: Option<MessageId>, headers: &HeaderMap) -> Result<Option<MessageId>, Problem> {
    let Some(header) = headers.get(HEADER) else { return Ok(id) };
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let key = MessageId::parse(text).map_err(|error| Problem::invalid_field("Idempotency-Key", &error.to_string()))?;
    Ok(Some(id.unwrap_or(key)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_stands_in_the_body_or_in_the_header() {
        let of = |id: Option<&str>, header: Option<&'static str>| {
            let headers = header.map(|text| (HEADER.parse().unwrap(), HeaderValue::from_static(text)));
            let id = id.map(|id| MessageId::parse(id).unwrap());
            key(id, &headers.into_iter().collect()).map(|key| key.map(|key| key.to_string())).map_err(|_| ())
        };
        let known = |key: &str| Ok(Some(key.to_owned()));
        assert_eq!(of(None, None), Ok(None));
        assert_eq!(of(None, Some("a-1")), known("a-1"));
        assert_eq!(of(None, Some("\"a-1\"")), known("a-1"));
        assert_eq!(of(Some("b"), Some("a-1")), known("b"));
        assert_eq!((of(None, Some("\"\"")), of(None, Some(""))), (Err(()), Err(())));
        assert_eq!(of(Some("b"), Some("")), Err(()), "what is wrong is told also where it does not count");
    }
}
