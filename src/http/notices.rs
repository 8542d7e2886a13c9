//! What operators are told in the log once, with the remedy: what is wrong with a set-up comes with every request, and
//! would bury everything else.

use std::collections::HashSet;

use parking_lot::Mutex;
use tracing::warn;

/// The most different things that are told of one kind. Strangers can invent any number of them.
const MOST: usize = 32;
/// The most characters that are shown of what a request says.
const EXCERPT: usize = 200;

/// What was told of requests that were refused.
#[derive(Debug, Default)]
pub struct Notices {
    origins: SaidOnce,
    hosts: SaidOnce,
}

impl Notices {
    /// A page of `origin` was refused by a gateway that it called `host`.
    pub(super) fn origin_refused(&self, origin: &str, host: &str) {
        let (origin, host) = (excerpt(origin), excerpt(host));
        if self.origins.is_new(&format!("{origin} {host}")) {
            warn!(
                ?origin,
                ?host,
                "pages of this origin are refused with 403: if it is the gateway's own page behind a proxy, have the \
                 proxy pass the `Host` header on; if it is another page of yours, list it in server.allowed_origins"
            );
        }
    }

    /// A request by this name was refused.
    pub(super) fn host_refused(&self, host: &str) {
        let host = excerpt(host);
        if self.hosts.is_new(host) {
            warn!(
                ?host,
                "requests by this name are refused with 421, because nobody has to say who they are: if it is the \
                 gateway's, list its origin (http://name:port, or https://name) in server.allowed_origins, or set \
                 auth.required"
            );
        }
    }
}

/// Things of one kind that were told.
#[derive(Debug, Default)]
pub(super) struct SaidOnce(Mutex<HashSet<String>>);

impl SaidOnce {
    /// Whether this is told for the first time. Beyond the bound nothing is.
    pub(super) fn is_new(&self, what: &str) -> bool {
        let mut told = self.0.lock();
        told.len() < MOST && !told.contains(what) && told.insert(what.to_owned())
    }
}

fn excerpt(text: &str) -> &str {
    text.char_indices().nth(EXCERPT).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_once_and_not_without_end() {
        let told = SaidOnce::default();
        assert!(told.is_new("a") && !told.is_new("a") && told.is_new("b"));
        let new = (0..1000).filter(|n| told.is_new(&n.to_string())).count();
        assert_eq!((new, told.is_new("c"), excerpt(&"ü".repeat(300)).chars().count()), (MOST - 2, false, EXCERPT));
    }
}
