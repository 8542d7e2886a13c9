//! What a search is told beside the question. Pure.

use crate::knowledge::filter::Filter;

/// How far a search looks.
#[derive(Debug, Clone)]
pub struct Within {
    /// The most chunks of one leg.
    pub depth: usize,
    /// Documents that are not looked at.
    pub without: Vec<String>,
    /// What holds for every chunk that is looked at.
    pub filter: Option<Filter>,
}
