//! What came of a call. A leaf.

use serde_json::Value;

use crate::knowledge::Passage;

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// A line for people.
    pub summary: String,
    /// The result, for the model and for programs.
    pub data: Value,
    /// What was found in the documents; the model is given that in place of the result, with numbers to cite it by.
    pub passages: Vec<Passage>,
}
