//! Values that are never printed, and what makes one that can be guessed. Pure.

use std::{collections::BTreeSet, fmt};

use serde::Deserialize;

/// Shorter secrets can be tried out.
const MIN_CHARS: usize = 32;
/// A random secret has more different characters.
const MIN_VARIETY: usize = 8;
/// What examples have in the place of a secret, in lower case and with `-` for `_`.
const PLACEHOLDERS: &[&str] = &[
    "change-me",
    "changeme",
    "change-this",
    "in-prod",
    "for-prod",
    "your-secret",
    "your-jwt",
    "your-super",
    "default-secret",
];

/// A value that is never printed.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What a secret must be that is sent as a bearer token.
    pub(super) const BEARER: &str = "letters, digits and signs of ASCII without blanks";

    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it can be sent as a bearer token.
    pub(super) fn is_bearer(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Why it can be found out, so that it must not sign anything in public.
    pub(super) fn weakness(&self) -> Option<String> {
        let lower = self.0.to_ascii_lowercase().replace('_', "-");
        if self.0.chars().count() < MIN_CHARS {
            return Some(format!("has fewer than {MIN_CHARS} characters: make one with `openssl rand -hex 32`"));
        }
        let from_an_example = PLACEHOLDERS.iter().any(|word| lower.contains(word));
        from_an_example
            .then(|| "is a default that everybody can guess: make one with `openssl rand -hex 32`".to_owned())
    }

    /// Whether it looks as if nobody had drawn it at random.
    pub(super) fn is_monotonous(&self) -> bool {
        self.0.chars().collect::<BTreeSet<_>>().len() < MIN_VARIETY
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
