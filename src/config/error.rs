//! What can be wrong with a configuration. No text here ever holds a secret.

use std::{fmt, io, path::PathBuf};

/// Why a configuration is refused. The texts are for the person who wrote it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// Nobody knows the key.
    #[error("{origin}: there is no setting `{key}`; the nearest one is `{nearest}`")]
    UnknownKey {
        /// The key, as it was written; of a long one the beginning.
        key: String,
        /// The known key that looks most like it.
        nearest: String,
        /// Where it was written.
        origin: Origin,
    },
    /// A value has the wrong type or lies out of bounds.
    #[error("{origin}: {key} must be {expected}, but is {found}")]
    Value {
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
        /// What it is; never a secret.
        found: String,
        /// Where it was written.
        origin: Origin,
    },
    /// Each setting is fine by itself; together, or in this version, they are not.
    #[error("{0}")]
    Refused(String),
}

/// All that is wrong with a configuration, one or more.
#[derive(Debug)]
pub struct Refusal(pub Vec<ConfigError>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file, on a line counted from 1.
    File(PathBuf, usize),
    /// In an environment variable.
    Variable(String),
    /// On the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(&excerpt(name)),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The beginning of a text that somebody wrote, fit for one line of a log.
pub(super) fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}
