//! Checks of the WebSocket handshake (RFC 6455, section 4.2.1). Pure: headers in, headers out.
//!
//! Ours, because the framework signs any key and reads no subprotocol strictly.

use axum::http::{HeaderMap, HeaderName, Method, Version, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What the 101 answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// `Sec-WebSocket-Accept`.
    pub accept_key: String,
    /// `Sec-WebSocket-Protocol`, when the client offered protocols.
    pub protocol: Option<&'static str>,
}

/// Why a handshake is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// An ordinary request came to the WebSocket's address.
    #[error("this address speaks WebSocket: `Connection: Upgrade` and `Upgrade: websocket` are missing")]
    NotAnUpgrade,
    /// Version 13 is the only one.
    #[error("`Sec-WebSocket-Version` must be 13")]
    Version,
    /// The key proves that the client means WebSocket.
    #[error("`Sec-WebSocket-Key` must be there once, 16 bytes in base64")]
    Key,
    /// None of the offered subprotocols is spoken here.
    #[error("none of the offered subprotocols is known; `{0}` is")]
    Protocol(&'static str),
}

/// Checks a handshake with somebody who wants to speak `protocol`.
///
/// # Errors
/// [`HandshakeError`]: the first thing that is wrong.
pub fn check(
    (method, version): (&Method, Version),
    headers: &HeaderMap,
    protocol: &'static str,
) -> Result<Accepted, HandshakeError> {
    let upgrade =
        has_token(headers, &header::CONNECTION, "upgrade") && has_token(headers, &header::UPGRADE, "websocket");
    if method != Method::GET || version != Version::HTTP_11 || !upgrade {
        return Err(HandshakeError::NotAnUpgrade);
    }
    if single(headers, &header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(HandshakeError::Version);
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(HandshakeError::Key)?;
    Ok(Accepted { accept_key: derive_accept_key(key), protocol: choose_protocol(headers, protocol)? })
}

/// The credentials among the offered subprotocols, where a browser can put them. They are never chosen.
pub fn bearers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).filter_map(|name| name.strip_prefix("bearer."))
}

/// What is spoken, when it is offered; nothing when nothing is: some libraries and proxies send the header all the same, empty
/// or with JavaScript's word for nothing.
fn choose_protocol(headers: &HeaderMap, spoken: &'static str) -> Result<Option<&'static str>, HandshakeError> {
    let mut offered = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).filter(|name| *name != "null").peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    if offered.any(|name| name == spoken) { Ok(Some(spoken)) } else { Err(HandshakeError::Protocol(spoken)) }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none()).map(|value| value.as_bytes())
}

/// 16 bytes in base64 are 22 letters and two `=`; the last letter carries four bits that must be zero.
fn is_key(key: &[u8]) -> bool {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/';
    key.len() == 24 && key[..22].iter().all(letter) && b"AQgw".contains(&key[21]) && key.ends_with(b"==")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::dialect::chat_v1::SUBPROTOCOL;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn with(extra: &[(&'static str, &'static str)]) -> Result<Accepted, HandshakeError> {
        let replaced = |name: &str| extra.iter().any(|(n, _)| *n == name);
        let mut pairs: Vec<_> = GOOD.iter().copied().filter(|(n, _)| !replaced(n)).collect();
        pairs.extend(extra.iter().filter(|(_, v)| *v != "-"));
        check((&Method::GET, Version::HTTP_11), &headers(&pairs), SUBPROTOCOL)
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let accepted = with(&[]).unwrap();
        assert_eq!(accepted.accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted.protocol, None);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        use HandshakeError::{Key, NotAnUpgrade, Protocol, Version as Unsupported};
        for (extra, expected) in [
            (vec![("upgrade", "-")], NotAnUpgrade),
            (vec![("upgrade", "h2c")], NotAnUpgrade),
            (vec![("connection", "keep-alive")], NotAnUpgrade),
            (vec![("sec-websocket-version", "8")], Unsupported),
            (vec![("sec-websocket-version", "13"), ("sec-websocket-version", "8")], Unsupported),
            (vec![("sec-websocket-key", "-")], Key),
            (vec![("sec-websocket-key", "abc")], Key),
            (vec![("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZR==")], Key),
            (vec![("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-key", "x")], Key),
            (vec![("sec-websocket-protocol", "graphql-ws")], Protocol(SUBPROTOCOL)),
            (vec![("sec-websocket-protocol", "null, graphql-ws")], Protocol(SUBPROTOCOL)),
        ] {
            assert_eq!(with(&extra), Err(expected), "{extra:?}");
        }
        let good = headers(&GOOD);
        assert_eq!(check((&Method::POST, Version::HTTP_11), &good, SUBPROTOCOL), Err(NotAnUpgrade));
        assert_eq!(check((&Method::GET, Version::HTTP_10), &good, SUBPROTOCOL), Err(NotAnUpgrade));
    }

    #[test]
    fn an_offer_of_nothing_is_none() {
        for nothing in ["", " , ", "null"] {
            assert_eq!(with(&[("sec-websocket-protocol", nothing)]).unwrap().protocol, None, "{nothing:?}");
        }
    }

    #[test]
    fn chat_v1_is_chosen_among_several() {
        let accepted = with(&[("sec-websocket-protocol", "soap, chat.v1"), ("sec-websocket-protocol", "bearer.x")]);
        assert_eq!(accepted.unwrap().protocol, Some("chat.v1"));
        let offered = headers(&[
            ("sec-websocket-protocol", "soap, bearer.a.b.c,chat.v1"),
            ("sec-websocket-protocol", "bearer.x"),
        ]);
        assert_eq!(bearers(&offered).collect::<Vec<_>>(), ["a.b.c", "x"]);
    }
}
