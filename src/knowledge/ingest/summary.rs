//! What is told of an ingestion: its steps, its end, what went wrong.

use std::time::Duration;

use crate::knowledge::{KnowledgeError, embed::EmbedError, jobs::DocumentsError};

/// A step of an ingestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestProgress<'a> {
    /// Files that are done.
    pub done: usize,
    /// Files in all.
    pub total: usize,
    /// The file that is being handed in or waited for.
    pub document: &'a str,
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
    /// How long it took.
    pub took: Duration,
}

/// Why an ingestion ended early. What was handed in before is worked on.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The knowledge base.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// Documents cannot be kept.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
    /// The gateway that has the documents does not take them; why.
    #[error("the gateway that has the data folder does not take documents: {0}")]
    Gateway(String),
}
