//! What a document is made of, with places for values or filled in. Plain values.

/// What stands below one another.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block<T> {
    Heading(T),
    Paragraph(T),
    Table(Table<T>),
}

/// Rows of as many cells as there are columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table<T> {
    /// Whether the first row is a head.
    pub(super) has_head: bool,
    /// Which columns stand at the right.
    pub(super) at_right: Vec<bool>,
    pub(super) rows: Vec<Vec<T>>,
}
