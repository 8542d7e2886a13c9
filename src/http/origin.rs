//! Which pages may talk to the gateway. Pure.
//!
//! Exact comparison, no wildcards within a name: a prefix or a suffix that looks right is how allow-lists fail.

use axum::http::{HeaderMap, HeaderValue, header};

/// The allow-list.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allowed: Vec<String>,
    any: bool,
}

impl Origins {
    /// Exact origins (`scheme://host[:port]`) besides the gateway's own; `*` allows all.
    #[must_use]
    pub fn new(allowed: &[String]) -> Self {
        let any = allowed.iter().any(|origin| origin == "*");
        Self { allowed: allowed.iter().map(|origin| origin.to_ascii_lowercase()).collect(), any }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &[&str], origins: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("chat.example:8080"));
        for origin in origins {
            headers.append(header::ORIGIN, HeaderValue::from_static(origin));
        }
        let allowed: Vec<_> = allowed.iter().map(|&s| s.to_owned()).collect();
        Origins::new(&allowed).allow_request(&headers)
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
