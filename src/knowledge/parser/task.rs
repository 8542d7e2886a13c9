//! What a parser is asked for: what a document says, or the table that it is. Pure.

use crate::knowledge::extract::{ExtractError, Extracted, Grid, extract, table};

/// What is to be done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    Text,
    Table,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Read {
    Text(Extracted),
    Table(Grid),
}

impl Task {
    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Self::Text => b"text",
            Self::Table => b"table",
        }
    }

    pub(super) fn named(name: &[u8]) -> Self {
        if name == Self::Table.name() { Self::Table } else { Self::Text }
    }

    pub(super) fn run(self, name: &str, bytes: &[u8]) -> Result<Read, ExtractError> {
        match self {
            Self::Text => extract(name, bytes).map(Read::Text),
            Self::Table => table(name, bytes).map(Read::Table),
        }
    }
}
