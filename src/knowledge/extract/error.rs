//! Why a document cannot be read.

use serde::{Deserialize, Serialize};

use super::{document::MAX_FILE_BYTES, kind::ACCEPTED};
use crate::chat::printable;

/// The most bytes of the words of whoever noticed that a document is damaged.
const MAX_WORDS: usize = 160;

/// Why a document cannot be read. [`code`](Self::code) names it for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ExtractError {
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("larger than {} MiB", MAX_FILE_BYTES / (1024 * 1024))]
    TooLarge,
    /// What is packed in it is too large, or it says too much.
    #[error("too large when it is unpacked")]
    TooLargeUnpacked,
    /// There is more of something in it than may be.
    #[error("{0}")]
    TooMany(String),
    /// No format that can be read.
    #[error("not a format that can be read; these can: {ACCEPTED}")]
    UnsupportedType,
    /// Its content is not what its name says; what it is instead.
    #[error("its name and its content disagree: the content is {0}")]
    TypeMismatch(String),
    /// It opens with a password only.
    #[error("it is encrypted; save it without a password first")]
    Encrypted,
    /// It is broken, and how.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// There is no text in it.
    #[error("there is no text in it; it may be scanned")]
    NoText,
    /// Reading it took too long.
    #[error("reading it takes too long")]
    Timeout,
    /// Reading it takes too much memory.
    #[error("reading it takes too much memory")]
    OutOfMemory,
    /// Documents cannot be read at all, and why.
    #[error("documents cannot be read: {0}")]
    Unavailable(String),
}

impl ExtractError {
    /// A name for it that stays.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge | Self::TooMany(_) => "too_large",
            Self::TooLargeUnpacked => "too_large_unpacked",
            Self::UnsupportedType => "unsupported_type",
            Self::TypeMismatch(_) => "type_mismatch",
            Self::Encrypted => "encrypted",
            Self::Damaged(_) => "damaged",
            Self::NoText => "no_text",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Broken, in the words of whoever noticed; at most a line of them.
    pub(super) fn damaged(how: impl ToString) -> Self {
        Self::Damaged(printable(&how.to_string(), MAX_WORDS))
    }
}
