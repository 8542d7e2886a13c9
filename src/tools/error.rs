//! Why a tool had no result. A leaf.

use crate::formula::{ArithmeticError, SyntaxError};

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
    /// There is no such day.
    #[error("there is no day `{0}` in the years 1 to 9999: write it like 2026-02-28")]
    Day(String),
}
