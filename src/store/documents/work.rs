//! Work as the one who works sees it: taken on, and ended.

use std::time::Duration;

use super::records::{Fault, JobRecord, VersionRecord};
use crate::chat::Timestamp;

/// How long somebody who works may not be heard of before somebody else may.
pub const WORK_LEASE: Duration = Duration::from_secs(6);
/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Documents that are to be indexed.
    Index,
    /// Documents and collections that are to be removed; they do not wait for the others.
    Remove,
}

/// Work that somebody has taken on.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The work.
    pub job: JobRecord,
    /// The version that is to be indexed.
    pub version: Option<VersionRecord>,
    /// What the source calls the document.
    pub key: Option<String>,
}

/// What indexing a version brought to light.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Indexed {
    /// The document's title.
    pub title: String,
    /// The hash that stands with its rows in the index.
    pub doc_hash: String,
    /// The encoding it was in, where that could be told.
    pub encoding: Option<String>,
    /// What was noticed.
    pub warnings: Vec<String>,
    /// Why it would have been held back, had an admin not let it.
    pub flags: Vec<String>,
    /// Its pages, in formats that have some.
    pub pages: Option<u32>,
    /// Its chunks.
    pub chunks: u32,
}

/// How work ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The version answers.
    Indexed(Box<Indexed>),
    /// What was to be removed is gone from the index: its rows go, too.
    Removed,
    /// It cannot be done.
    Failed(Fault),
    /// It is held back, for these reasons.
    Quarantined(Vec<String>),
    /// It could not be done now, and is tried again; or has failed, when it was tried [`MAX_ATTEMPTS`](super::MAX_ATTEMPTS) times.
    Again(Fault, Timestamp),
    /// Somebody wanted it to end.
    Cancelled,
    /// The process ends; another one goes on with it, and it was no attempt.
    Released,
}
