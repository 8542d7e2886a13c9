//! By which id a repetition is known: the one in the body, or that of the header that many programs have for it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use utoipa::IntoParams;

use super::problem::Problem;
use crate::chat::MessageId;

const HEADER: &str = "idempotency-key";

/// The header. What is wrong with it is told also where the body has an id.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Key {
    /// Makes the request safe to repeat: what was done for it once is not done again.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<MessageId>,
}

impl Key {
    /// The id that it is.
    pub(super) fn id(self) -> Option<MessageId> {
        self.idempotency_key
    }
}

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self { idempotency_key: read(&head.headers)? })
    }
}

/// The standard has the key in quotes, while most write it without.
fn read(headers: &HeaderMap) -> Result<Option<MessageId>, Problem> {
    let Some(header) = headers.get(HEADER) else { return Ok(None) };
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let key = MessageId::parse(text).map_err(|error| Problem::invalid_field("Idempotency-Key", &error.to_string()))?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_stands_in_quotes_or_without() {
        let of = |header: Option<&'static str>| {
            let headers = header.map(|text| (HEADER.parse().unwrap(), HeaderValue::from_static(text)));
            read(&headers.into_iter().collect()).map(|key| key.map(|key| key.to_string())).map_err(|_| ())
        };
        let known = |key: &str| Ok(Some(key.to_owned()));
        assert_eq!(of(None), Ok(None));
        assert_eq!((of(Some("a-1")), of(Some("\"a-1\""))), (known("a-1"), known("a-1")));
        assert_eq!((of(Some("\"\"")), of(Some(""))), (Err(()), Err(())));
    }
}
