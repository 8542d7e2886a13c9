//! Which pages may talk to the gateway. Pure.
//!
//! Exact comparison, no wildcards within a name: a prefix or a suffix that looks right is how allow-lists fail. A gateway
//! for this machine alone also insists on a name of this machine: otherwise any page could have its own name resolved
//! to 127.0.0.1 (DNS rebinding) and be of "the same host".

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::{Environment, ServerConfig};

/// The allow-list.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allowed: Vec<String>,
    any: bool,
    this_machine_only: bool,
}

impl Origins {
    /// `server.allowed_origins` besides the gateway's own host; `*` allows all. Behind a loopback address, in development,
    /// the gateway is for this machine alone.
    #[must_use]
    pub fn new(config: &ServerConfig) -> Self {
        let allowed = &config.allowed_origins;
        Self {
            allowed: allowed.iter().map(|origin| origin.to_ascii_lowercase()).collect(),
            any: allowed.iter().any(|origin| origin == "*"),
            this_machine_only: config.bind.ip().is_loopback() && config.environment == Environment::Development,
        }
    }

    /// Whether the gateway answers to the name that the request calls it by.
    #[must_use]
    pub fn answers_to(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else { return true };
        let Ok(host) = host.to_str() else { return false };
        let host = host.to_ascii_lowercase();
        let listed = |origin: &String| origin.split_once("://").is_some_and(|(_, authority)| authority == host);
        !self.this_machine_only || self.any || is_this_machine(&host) || self.allowed.iter().any(listed)
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
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        matches!(scheme, "http" | "https") && host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
    }
}

/// Whether an authority (`host` or `host:port`) can only mean this machine.
fn is_this_machine(authority: &str) -> bool {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &[&str], from: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("chat.example:8080"));
        for origin in from {
            headers.append(header::ORIGIN, HeaderValue::from_static(origin));
        }
        origins(allowed, "0.0.0.0:8080").allow_request(&headers)
    }

    fn origins(allowed: &[&str], bind: &str) -> Origins {
        let allowed_origins = allowed.iter().map(|&s| s.to_owned()).collect();
        Origins::new(&ServerConfig { allowed_origins, bind: bind.parse().unwrap(), ..ServerConfig::default() })
    }

    #[test]
    fn a_gateway_for_this_machine_answers_to_its_names_only() {
        let host = |host: &'static str| HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        let local = origins(&["https://shop.example"], "127.0.0.1:8080");
        for name in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST", "chat.localhost:1", "shop.example"]
        {
            assert!(local.answers_to(&host(name)), "{name}");
        }
        for name in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example:8080", "shop.example:1", ""]
        {
            assert!(!local.answers_to(&host(name)), "{name}");
        }
        assert!(origins(&[], "0.0.0.0:8080").answers_to(&host("evil.example")));
    }

    #[test]
    fn the_own_host_the_list_and_programs_may() {
        assert!(allows(&[], &[]));
        assert!(allows(&[], &["http://chat.example:8080"]));
        assert!(allows(&["https://shop.example"], &["https://SHOP.example"]));
        assert!(allows(&["*"], &["https://anything.example"]));
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
