//! What a search is told beside the question. Pure.

/// How far a search looks.
#[derive(Debug, Clone)]
pub(crate) struct Within {
    /// The most chunks of one leg.
    pub(crate) depth: usize,
    /// Documents that are not looked at.
    pub(crate) without: Vec<String>,
}
