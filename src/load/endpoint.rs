//! The addresses of a gateway, made from the one that was given. Pure.

use std::fmt::Write;

use tokio_tungstenite::tungstenite::http::Uri;

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: must look like ws://host:port or http://host:port, optionally with the path of the WebSocket")]
pub struct BadUrl(String);

/// Where a gateway's WebSocket and its HTTP interface are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    authority: String,
    /// Of the WebSocket, ending in `/ws`.
    path: String,
}

impl Endpoint {
    /// Reads `ws://host:port` or `ws://host:port/path/to/ws`, or the same with `http`. There is no TLS: it would be
    /// measured too.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let bad = || BadUrl(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        if !matches!(uri.scheme_str(), Some("ws" | "http")) || uri.query().is_some() || authority.as_str().contains('@')
        {
            return Err(bad());
        }
        let path = match uri.path().trim_end_matches('/') {
            "" => "/api/v1/ws",
            path if path.ends_with("/ws") => path,
            _ => return Err(bad()),
        };
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { authority: format!("{}:{port}", authority.host()), path: path.to_owned() })
    }

    /// `host:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.clone()
    }

    /// The address of the socket of a new session with an assistant; with the default one when none is named.
    #[must_use]
    pub fn begin(&self, assistant: Option<&str>) -> String {
        let asked = assistant.map_or(String::new(), |name| format!("?assistant={}", escaped(name)));
        self.socket(None) + &asked
    }

    /// The address of the socket: of a new session, or of one that is continued from a cursor.
    pub(super) fn socket(&self, resume: Option<(&str, &str)>) -> String {
        let Self { authority, path } = self;
        match resume {
            None => format!("ws://{authority}{path}"),
            Some((session, cursor)) => {
                format!("ws://{authority}{path}/{}?resume={}", escaped(session), escaped(cursor))
            }
        }
    }

    /// The address that tells what is stored of a session: its newest `limit` messages, or those before one.
    pub(super) fn session(&self, session: &str, limit: usize, before: Option<&str>) -> String {
        let base = self.path.trim_end_matches("/ws");
        let before = before.map_or(String::new(), |id| format!("&before={}", escaped(id)));
        format!("http://{}{base}/sessions/{}?limit={limit}{before}", self.authority, escaped(session))
    }
}

/// Everything but what may stand anywhere in an address is written as `%XX`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_made_from_a_host_or_a_path() {
        let plain = Endpoint::parse("ws://localhost:8080").expect("fine");
        assert_eq!(plain.socket(None), "ws://localhost:8080/api/v1/ws");
        assert_eq!(plain.begin(Some("a b")), "ws://localhost:8080/api/v1/ws?assistant=a%20b");
        assert_eq!(plain.session("s_1", 9, None), "http://localhost:8080/api/v1/sessions/s_1?limit=9");
        assert_eq!(plain.socket(Some(("s_1", "e:7:r_2:30"))), "ws://localhost:8080/api/v1/ws/s_1?resume=e:7:r_2:30");
        assert_eq!(Endpoint::parse("ws://localhost:8080/").expect("fine"), plain);
        assert_eq!(Endpoint::parse("http://localhost:8080").expect("fine"), plain);
        let under = Endpoint::parse("ws://[::1]/chat/api/v1/ws").expect("fine");
        assert_eq!(
            under.session("a b/ä", 200, Some("q&1")),
            "http://[::1]:80/chat/api/v1/sessions/a%20b%2F%C3%A4?limit=200&before=q%261"
        );
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in ["", "localhost:8080", "https://a", "wss://a", "ws://", "ws://a/ws?x=1", "ws://u@a", "ws://a/other"]
        {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
