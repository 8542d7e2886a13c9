//! What came of a call. A leaf.

use serde_json::Value;

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// A line for people.
    pub summary: String,
    /// The result, for the model and for programs.
    pub data: Value,
}
