//! Arithmetic as people write it, like `principal * (1 + r) ^ months`: read once, evaluated as often as one likes. Pure.
//!
//! `+ - * / ^`, parentheses, comparisons (`< <= > >= == !=`, which are 1 or 0), functions and names. `^` binds from the right
//! and stronger than a minus before it (`-2 ^ 2` is -4); `**` is the same. `%` is the remainder where something follows that
//! it could divide by (`17 % 5`, with the sign of the left side), and hundredths where nothing does (`200 * 15%`).

use std::fmt;

use super::{
    node::{ArithmeticError, Node},
    parse::{Parser, SyntaxError},
};

/// Arithmetic that was read. Written out, it reads as the same one.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression(Node);

impl Expression {
    /// Reads one.
    ///
    /// # Errors
    /// [`SyntaxError`] for what is none, is longer than [`MAX_CHARS`](super::MAX_CHARS), or nested deeper than 64.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Parser::parse(text).map(Self)
    }

    /// Its value, with what `value` has for each of its names.
    ///
    /// # Errors
    /// [`ArithmeticError`] when it has none.
    pub fn evaluate(&self, value: &dyn Fn(&str) -> Option<f64>) -> Result<f64, ArithmeticError> {
        self.0.evaluate(value)
    }

    /// The names that it needs values for, each as often as it stands there.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.0.collect(&mut names);
        names
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, 0)
    }
}

#[cfg(test)]
mod tests;
