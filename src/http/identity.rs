//! Who makes a request. The credentials are tried in the order of docs/protocol.md; the first that is there decides.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Gateway, problem::Problem};
use crate::{
    auth::{Authenticator, Caller, Refused},
    ws::handshake,
};

/// Lets a request in when it is clear who makes it. Handlers find the [`Caller`] among the request's extensions.
pub(super) async fn identify(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    match caller(&gateway.auth, request.headers()) {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => unauthenticated("this address needs a token: `Authorization: Bearer …`").into_response(),
        Err(Refused) => Problem::from(Refused).into_response(),
    }
}

/// As [`identify`], for clients that insist on sending some key: where nobody has to say who they are, what is no token at
/// all is taken for a placeholder.
pub(super) async fn identify_by_key(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    if !gateway.auth.required() && bearer(headers).is_ok_and(|key| key.is_some_and(|key| !looks_like_token(key))) {
        headers.remove(header::AUTHORIZATION);
    }
    identify(State(gateway), request, next).await
}

/// Whether it has the three parts of a JWT, valid or not, the first of which is a JSON object in base64.
fn looks_like_token(key: &str) -> bool {
    key.split('.').count() == 3 && key.starts_with("eyJ")
}

/// Who opens a socket; `None` when that has to be said in a `hello`.
pub(super) fn socket_caller(
    auth: &Authenticator,
    headers: &HeaderMap,
    ticket: Option<&str>,
) -> Result<Option<Caller>, Refused> {
    let in_header = bearer(headers)?.is_some();
    match ticket {
        Some(ticket) if !in_header => return auth.redeem_ticket(ticket).map(Some),
        _ => {}
    }
    let mut offered = handshake::bearers(headers);
    match (in_header, offered.next(), offered.next()) {
        (false, Some(token), None) => grant(auth, token).map(Some),
        (false, Some(_), Some(_)) => Err(Refused),
        _ => caller(auth, headers),
    }
}

/// The problem of a request without credentials.
pub(super) fn unauthenticated(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}

impl From<Refused> for Problem {
    fn from(error: Refused) -> Self {
        unauthenticated(&error.to_string())
    }
}

/// By the header alone; `None` when there is none and one is needed.
fn caller(auth: &Authenticator, headers: &HeaderMap) -> Result<Option<Caller>, Refused> {
    match bearer(headers)? {
        Some(token) => grant(auth, token).map(Some),
        None => Ok((!auth.required()).then(Caller::default)),
    }
}

fn grant(auth: &Authenticator, token: &str) -> Result<Caller, Refused> {
    Ok(Caller(Some(auth.verify(token)?)))
}

/// The bearer token. Other schemes are none of ours: a proxy in front may use them.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let mut found = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = value.as_bytes();
        let scheme = value.split(|b| *b == b' ').next().unwrap_or_default();
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            continue;
        }
        let token = std::str::from_utf8(&value[scheme.len()..]).map_err(|_| Refused)?.trim_matches(' ');
        if found.replace(token).is_some() {
            return Err(Refused); // Which of them would the caller be?
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_placeholder_has_not_the_three_parts_of_a_token() {
        for key in ["sk-none", "", "a.b", "a.b.c", "eyJ.b.c.d"] {
            assert!(!looks_like_token(key), "{key}");
        }
        assert!(looks_like_token("eyJh.b.c"));
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_once() {
        let read = |values: &[&'static [u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
            }
            bearer(&headers).map(|token| token.map(str::to_owned))
        };
        assert_eq!(read(&[b"bEARER  a.b.c "]), Ok(Some("a.b.c".to_owned())));
        assert_eq!(read(&[b"Bearer"]), Ok(Some(String::new())), "no token is a wrong token");
        assert_eq!(read(&[b"Basic YTpi"]), Ok(None));
        assert_eq!(read(&[b"Basic YTpi", b"Bearer x"]), Ok(Some("x".to_owned())));
        assert_eq!(read(&[b"Bearerx"]), Ok(None));
        assert_eq!(read(&[b"Bearer x", b"Bearer x"]), Err(Refused));
        assert_eq!(read(&[b"Bearer \xff"]), Err(Refused));
        assert_eq!(read(&[]), Ok(None));
    }
}
