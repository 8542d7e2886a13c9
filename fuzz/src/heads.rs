//! Heads of requests: the handshake of a WebSocket, whose address counts, and which pages may talk to the gateway.

use std::{net::IpAddr, sync::OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use rivulet::{
    config::Config,
    dialect::chat_v1::SUBPROTOCOL,
    http::{Origins, client::TrustedProxies},
    ws::handshake::{bearers, check},
};

use super::parts::first_line;

/// A page that is allowed besides the gateway's own.
const PAGE: &str = "https://chat.example";

/// An upgrade needs all that the RFC says, a page must be named or be of the host itself, and nobody is believed but
/// proxies. The input is the peer's address in a line, then fields in lines.
pub fn heads(bytes: &[u8]) {
    let (peer, rest) = first_line(bytes);
    let peer: IpAddr = String::from_utf8_lossy(peer).trim().parse().unwrap_or(IpAddr::from([10, 0, 0, 1]));
    let headers = fields(rest);
    if let Ok(accepted) = check((&Method::GET, Version::HTTP_11), &headers, SUBPROTOCOL) {
        assert_eq!(accepted.accept_key.len(), 28);
        assert_eq!(headers.get_all(header::SEC_WEBSOCKET_KEY).iter().count(), 1);
        let offers = |name: &[u8]| {
            let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
            offered.iter().any(|value| value.as_bytes().windows(name.len()).any(|part| part == name))
        };
        assert!(accepted.protocol.is_none_or(|name| offers(name.as_bytes())), "{accepted:?}");
    }
    assert!(check((&Method::POST, Version::HTTP_11), &headers, SUBPROTOCOL).is_err());
    assert!(bearers(&headers).all(|token| !token.contains(',')), "{headers:?}");
    let proxies = proxies();
    let client = proxies.client(peer, &headers);
    assert!(proxies.contains(peer) || client == peer.to_canonical(), "{client}");
    pages(&headers);
}

fn fields(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), value) {
            headers.append(name, value);
        }
    }
    headers
}

fn proxies() -> &'static TrustedProxies {
    static PROXIES: OnceLock<TrustedProxies> = OnceLock::new();
    PROXIES
        .get_or_init(|| TrustedProxies::new(&["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("one"))))
}

fn pages(headers: &HeaderMap) {
    static ORIGINS: OnceLock<Origins> = OnceLock::new();
    let origins = ORIGINS.get_or_init(|| {
        let mut config = Config::default();
        config.server.allowed_origins = vec![PAGE.to_owned()];
        Origins::new(&config)
    });
    let lower = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_ascii_lowercase);
    let (host, origin) = (lower(header::HOST), lower(header::ORIGIN));
    if origins.allow_request(headers) && headers.contains_key(header::ORIGIN) {
        let origin = origin.expect("what is allowed is text");
        let is_own =
            || host.is_some_and(|host| origin.ends_with(&host) || host.contains(&origin[origin.len().min(7)..]));
        assert!(origin == PAGE || is_own(), "{origin}");
    }
    if let Some(host) = lower(header::HOST)
        && origins.answers_to(headers)
    {
        let is_address = host.contains(|c: char| c.is_ascii_digit() || c == ':');
        assert!(is_address || host.contains("localhost") || host.starts_with("chat.example"), "{host}");
    }
}
