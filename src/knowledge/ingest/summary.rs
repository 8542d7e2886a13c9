//! What is told of an ingestion: its steps, its end, what went wrong.

use std::time::Duration;

use crate::knowledge::{KnowledgeError, embed::EmbedError};

/// A step of an ingestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestProgress<'a> {
    /// Files that are done.
    pub done: usize,
    /// Files in all.
    pub total: usize,
    /// The file that is worked on, or was done last.
    pub document: &'a str,
    /// Chunks of it that have a vector.
    pub chunks_done: usize,
    /// Chunks of it in all.
    pub chunks_total: usize,
}

/// A file that was not ingested; what the index had of it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestFailure {
    /// Which file.
    pub uri: String,
    /// Why.
    pub reason: String,
}

/// What an ingestion did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IngestSummary {
    /// Files looked at, in formats that can be read.
    pub files: usize,
    /// Documents that are new.
    pub added: usize,
    /// Documents that are as they were.
    pub unchanged: usize,
    /// Documents that have changed.
    pub replaced: usize,
    /// Files in other formats, and files without text.
    pub skipped: usize,
    /// Files that could not be read.
    pub failures: Vec<IngestFailure>,
    /// Chunks written.
    pub chunks: usize,
    /// Chunks of these that kept the vector they had.
    pub kept_vectors: usize,
    /// How long it took.
    pub took: Duration,
}

/// Why an ingestion ended early. What was written before stays and is sound.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IngestError {
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The index.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
}
