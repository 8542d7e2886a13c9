//! What follows from settings where it takes more than one of them, or where one that is not set means several things. Pure.

use std::{fmt::Write, path::Path, time::Duration};

use super::{
    choices::Environment,
    settings::{Config, KnowledgeConfig, LlmConfig},
};

/// The most connections of one client address, when nothing is set.
const CONNECTIONS_PER_IP: usize = 100;
/// What values of headers are hashed with.
const HEADERS: &str = "rivulet 2026-11-28 values of headers that answers depend on";
/// Headers that say who may ask, and nothing of the answer. In lower case.
const CREDENTIALS: &[&str] =
    &["authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"];

impl Config {
    /// `limits.connections_per_ip`, or else 100; but no limit (0) for a gateway in development behind a loopback
    /// address, whose clients all have the same one.
    #[must_use]
    pub fn connections_per_ip(&self) -> usize {
        self.limits.connections_per_ip.unwrap_or(if self.is_for_this_machine_only() { 0 } else { CONNECTIONS_PER_IP })
    }

    /// How often what may be asked for: as `limits.*` says, or else 100 requests in `limits.window_s`, 30 questions a
    /// minute, 600 sessions and 1,000 documents an hour. But no limit for a gateway in development behind a loopback
    /// address, whose clients all have the same one.
    #[must_use]
    pub fn rate_rules(&self) -> RateRules {
        let (limits, is_own) = (&self.limits, self.is_for_this_machine_only());
        let or = |set: Option<u64>, usual: u64| set.unwrap_or(if is_own { 0 } else { usual });
        RateRules {
            requests: or(limits.requests, 100),
            window: Duration::from_secs(limits.window_s),
            messages_per_min: or(limits.messages_per_min, 30),
            sessions_per_hour: or(limits.sessions_per_hour, 600),
            uploads_per_hour: or(limits.uploads_per_hour, 1000),
        }
    }

    fn is_for_this_machine_only(&self) -> bool {
        let server = &self.server;
        server.environment == Environment::Development && server.bind.ip().is_loopback()
    }
}

/// How often what may be asked for; 0 = no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateRules {
    /// Requests in a `window`.
    pub requests: u64,
    /// So long.
    pub window: Duration,
    /// Questions.
    pub messages_per_min: u64,
    /// New sessions.
    pub sessions_per_hour: u64,
    /// Documents that are sent.
    pub uploads_per_hour: u64,
}

/// For how long, and how many, answers and what was found are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRule {
    /// From then on it is asked anew.
    pub ttl: Duration,
    /// The next one takes the place of the one that was longest unused.
    pub entries: u64,
    /// Whether users of one tenant are given what was made for each other.
    pub shared: bool,
}

impl KnowledgeConfig {
    /// Where the index lies: a folder, or an object storage. The files of the documents of a database lie there, too.
    #[must_use]
    pub fn place(&self, data_dir: &Path) -> String {
        self.uri.clone().unwrap_or_else(|| data_dir.join("lancedb").to_string_lossy().into_owned())
    }
}

impl LlmConfig {
    /// What is kept; `None`: nothing.
    #[must_use]
    pub fn cache(&self) -> Option<CacheRule> {
        let ttl = Duration::try_from_secs_f64(self.cache_ttl_s).ok().filter(|ttl| !ttl.is_zero())?;
        (self.cache_entries > 0).then_some(CacheRule { ttl, entries: self.cache_entries, shared: self.cache_shared })
    }

    /// All that answers may depend on: gateways where it is the same give again what others were told. Of a header's value it
    /// has a hash. Keys are not in it, so new ones of the same servers lose nothing.
    #[must_use]
    pub fn of_answers(&self) -> String {
        let mut of_answers = format!("{self:?}"); // Secrets are not shown.
        for (at, target) in self.targets.iter().enumerate() {
            let headers = target.headers.iter().filter(|(name, _)| !is_credential(name));
            for (name, value) in headers {
                let hash = blake3::Hasher::new_derive_key(HEADERS).update(value.expose().as_bytes()).finalize();
                let _writing_to_a_string_never_fails = write!(of_answers, "\n{at} {name}: {}", hash.to_hex());
            }
        }
        of_answers
    }
}

fn is_credential(header: &str) -> bool {
    CREDENTIALS.iter().any(|name| name.eq_ignore_ascii_case(header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, TargetConfig};

    #[test]
    fn answers_depend_on_headers_and_not_on_keys() {
        let of = |key: &str, header: &str, value: &str| {
            let target = TargetConfig {
                api_key: Some(Secret::new(key)),
                headers: [(header.to_owned(), Secret::new(value))].into(),
                ..TargetConfig::default()
            };
            LlmConfig { targets: vec![target], ..LlmConfig::default() }.of_answers()
        };
        let known = of("key-of-one", "X-Region", "europe");
        assert_eq!(known, of("key-of-two", "X-Region", "europe"));
        assert_ne!(known, of("key-of-one", "X-Region", "asia"));
        assert_ne!(known, of("key-of-one", "X-Team", "europe"));
        assert!(!known.contains("europe") && !known.contains("key-of-one"));
        assert_eq!(of("key-of-one", "X-Api-Key", "one"), of("key-of-one", "X-Api-Key", "two"));
    }
}
