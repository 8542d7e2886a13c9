//! Why a tool had no result. Uses plain values alone.

use tracing::warn;

use crate::{
    config::BadPlace,
    datasets::DatasetError,
    forecast::Unfit,
    formula::{ArithmeticError, SyntaxError},
    letter::LetterError,
    memory::MemoryError,
};

/// Why a tool had no result, in words for the model and for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// What was to be worked out is no expression.
    #[error("not an expression: {0}")]
    Syntax(#[from] SyntaxError),
    /// It has no value.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
    /// Nobody knows the time zone.
    #[error("there is no time zone `{0}`: name one like Europe/Berlin, or an offset like +05:30")]
    Zone(String),
    /// The documents are away.
    #[error("the documents cannot be searched at the moment")]
    Documents,
    /// What it has made cannot be kept for people.
    #[error("what it made cannot be kept: {0}")]
    NotKept(&'static str),
    /// A dataset could not be asked.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// It is not remembered, known or forgotten.
    #[error("{0}")]
    Memory(String),
    /// A series cannot be gone on with.
    #[error(transparent)]
    Series(#[from] Unfit),
    /// There is no such day.
    #[error("there is no day `{0}` in the years 1 to 9999: write it like 2026-02-28")]
    Day(String),
    /// An argument cannot stand where it would in an address.
    #[error(transparent)]
    Place(#[from] BadPlace),
    /// No document can be made of it.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// It is not there at the moment; nothing was asked.
    #[error("the tool is not available: {0}")]
    Off(String),
    /// Its server says so.
    #[error("the tool says: {0}")]
    Said(String),
    /// The server could not be asked.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It refused, or sent elsewhere.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// What it answered is of no use.
    #[error("the server's answer is {0}")]
    Answer(&'static str),
}

impl From<MemoryError> for ToolError {
    fn from(error: MemoryError) -> Self {
        if let MemoryError::Unavailable(reason) = &error {
            warn!(%reason, "the memory is not available");
            return Self::Memory("the memory is not available at the moment".to_owned());
        }
        Self::Memory(error.to_string())
    }
}

impl ToolError {
    /// Whether a server may have done what it was asked for all the same.
    #[must_use]
    pub const fn is_uncertain(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Answer(_) => true,
            Self::Status(status) => *status >= 500,
            _ => false,
        }
    }
}
