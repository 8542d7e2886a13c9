//! What came of a call. A leaf.

use serde_json::Value;

use crate::{chat::ArtifactKind, knowledge::Passage};

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    /// A line for people.
    pub summary: String,
    /// The result, for the model and for programs.
    pub data: Value,
    /// What was found in the documents; the model is given that in place of the result, with numbers to cite it by.
    pub passages: Vec<Passage>,
    /// What it has made, for people: the model is told of it in the result, or not at all.
    pub files: Vec<Made>,
}

/// A file that a tool has made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// What sort it is.
    pub kind: ArtifactKind,
    /// What people call it.
    pub title: String,
    /// Its media type.
    pub media: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}
