//! What an answer rests on. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A passage shown beside an answer. All of a run's sources together stay under 16 KiB of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// The number by which the text cites it, from 1.
    pub n: u32,
    /// The document's id.
    pub document: String,
    /// The passage's number within the document, from 0.
    #[serde(default)]
    pub chunk: u32,
    /// The document's title.
    pub title: String,
    /// Where the original lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The page, from 1, in formats that have pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The page that the passage ends on, when that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_end: Option<u32>,
    /// Its sheet, slide, chapter or rows, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The heading above the passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// How well it fits, 0 to 1.
    pub score: f32,
    /// The beginning of the passage.
    pub snippet: String,
}

/// A stretch of an answer that rests on source `n`; offsets in UTF-16 code units, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// The source's number.
    pub n: u32,
    /// Where the stretch begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
}
