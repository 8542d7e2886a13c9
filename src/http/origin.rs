//! Which pages may talk to the gateway, and by which names it is called. Pure.
//!
//! Exact comparison, no wildcards within a name: a prefix or a suffix that looks right is how allow-lists fail. Where
//! nobody has to say who they are, the gateway also insists on a name of its own: otherwise any page could have its name
//! resolved to the gateway's address (DNS rebinding) and be of "the same host". An address in the place of a name cannot
//! be rebound.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Config;

/// The allow-list.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allowed: Vec<String>,
    any: bool,
    /// Whether only names are answered to that are known to be the gateway's.
    known_names_only: bool,
}

impl Origins {
    /// `server.allowed_origins` besides the gateway's own host; `*` allows all.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let allowed = &config.server.allowed_origins;
        Self {
            allowed: allowed.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
            any: allowed.iter().any(|origin| origin == "*"),
            known_names_only: !config.auth.required,
        }
    }

    /// Whether the gateway answers to the name that the request calls it by.
    #[must_use]
    pub fn answers_to(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else { return true };
        let Ok(host) = host.to_str() else { return false };
        let host = host.to_ascii_lowercase();
        let is_listed = |origin: &String| is_host_of(&host, origin);
        !self.known_names_only || self.any || cannot_be_rebound(&host) || self.allowed.iter().any(is_listed)
    }

    /// Whether a request with these headers may open a socket. No `Origin` means that no browser sent it.
    #[must_use]
    pub fn allow_request(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).into_iter();
        match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => self.allow(origin, headers),
            (Some(_), Some(_)) => false,
        }
    }

    /// Whether a page of this origin may read answers.
    #[must_use]
    pub fn allow(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        if self.any || self.allowed.contains(&origin) {
            return true;
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        host.is_some_and(|host| is_host_of(&host.to_ascii_lowercase(), &origin))
    }
}

/// Whether `host`, as a request names it, is that of a web page's `origin`. A port that the scheme has by itself may be
/// there or not: some proxies add it.
fn is_host_of(host: &str, origin: &str) -> bool {
    let (authority, port) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, ":80"),
        Some(("https", authority)) => (authority, ":443"),
        _ => return false,
    };
    !authority.is_empty() && (host == authority || host.strip_suffix(port) == Some(authority))
}

/// Whether an authority (`host` or `host:port`) is a name of this machine, or no name but an address: nobody can have
/// them resolved to something else.
fn cannot_be_rebound(authority: &str) -> bool {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthConfig, ServerConfig};

    fn allows(allowed: &[&str], from: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("chat.example:8080"));
        for origin in from {
            headers.append(header::ORIGIN, HeaderValue::from_static(origin));
        }
        origins(allowed, true).allow_request(&headers)
    }

    fn origins(allowed: &[&str], required: bool) -> Origins {
        let allowed_origins = allowed.iter().map(|&s| s.to_owned()).collect();
        let server = ServerConfig { allowed_origins, ..ServerConfig::default() };
        let auth = AuthConfig { required, ..AuthConfig::default() };
        Origins::new(&Config { server, auth, ..Config::default() })
    }

    #[test]
    fn who_asks_nobody_for_a_token_answers_to_known_names_only() {
        let host = |host: &'static str| HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        let open = origins(&["https://shop.example", "http://chat.lan:8080", "tauri://app.example"], false);
        for name in [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "LOCALHOST",
            "chat.localhost:1",
            "192.0.2.7:8080",
            "[2001:db8::1]",
            "shop.example",
            "shop.example:443",
            "chat.lan:8080",
        ] {
            assert!(open.answers_to(&host(name)), "{name}");
        }
        for name in [
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "127.1",
            "2130706433",
            "localhost.evil.example:8080",
            "shop.example:1",
            "shop.example:80",
            "chat.lan",
            "app.example",
            "",
        ] {
            assert!(!open.answers_to(&host(name)), "{name}");
        }
        assert!(origins(&["*"], false).answers_to(&host("evil.example")));
        assert!(origins(&[], true).answers_to(&host("evil.example")), "it could do nothing without a token");
    }

    #[test]
    fn the_own_host_the_list_and_programs_may() {
        assert!(allows(&[], &[]));
        assert!(allows(&[], &["http://chat.example:8080"]));
        assert!(allows(&["https://shop.example"], &["https://SHOP.example"]));
        assert!(allows(&["*"], &["https://anything.example"]));
        let apps = ["tauri://localhost", "http://tauri.localhost", "chrome-extension://abcdef"];
        for app in apps {
            assert!(allows(&apps, &[app]) && !allows(&[], &[app]), "{app}");
        }
    }

    #[test]
    fn a_proxy_may_name_the_port_that_the_scheme_has_anyway() {
        for (host, origin, same) in [
            ("chat.example:443", "https://chat.example", true),
            ("chat.example:80", "http://chat.example", true),
            ("chat.example:443", "http://chat.example", false),
            ("chat.example:80", "https://chat.example", false),
            ("chat.example", "https://chat.example:444", false),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
        ] {
            assert_eq!(is_host_of(host, origin), same, "{host} {origin}");
        }
    }

    #[test]
    fn what_only_looks_right_may_not() {
        for origin in [
            "null",
            "http://chat.example",
            "http://chat.example:80800",
            "http://evil.example/http://chat.example:8080",
            "https://shop.example.evil.example",
            "https://evilshop.example",
            "http://shop.example",
            "https://shop.example:444",
            "chat.example:8080",
            "file://chat.example:8080",
        ] {
            assert!(!allows(&["https://shop.example"], &[origin]), "{origin}");
        }
        assert!(!allows(&[], &["http://chat.example:8080", "http://chat.example:8080"]), "two headers");
    }
}
