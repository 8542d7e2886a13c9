//! A form that a text must have, as a regular expression for the whole of it. Pure.

use regex::{Regex, RegexBuilder};

/// The most memory of one that is compiled, in bytes.
const MAX_SIZE: usize = 64 << 10;

/// A regular expression that a whole text must match.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Why it is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a regular expression of at most 64 KiB when compiled")]
pub struct PatternError;

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// [`PatternError`] when it cannot be read, or would take too much memory.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let whole = format!("^(?:{text})$");
        RegexBuilder::new(&whole).size_limit(MAX_SIZE).build().map(Self).map_err(|_| PatternError)
    }

    /// Whether a text has this form.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As a JSON schema has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
