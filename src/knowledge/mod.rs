//! What the model should know: documents cut into chunks, embedded, indexed and found again.
//!
//! [`Retriever`] is one of the few traits of the house; [`Knowledge`] is the real one. Uses its section of `config`, the
//! names in `telemetry`, `store` for what should be in it, and `chat`.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    chat::{Owner, SessionId},
    telemetry::caches::CacheReport,
};

pub mod archive;
mod base;
mod blocking;
pub mod chunk;
mod collection;
pub mod embed;
mod error;
pub mod extract;
pub mod fields;
mod filter;
pub mod fuse;
pub mod index;
mod ingest;
pub mod jobs;
mod joined;
mod markdown;
mod memo;
pub mod parser;
pub(crate) mod terms;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tombstones;
mod vectors;

pub use base::Knowledge;
pub use collection::Collection;
pub use error::KnowledgeError;
pub use filter::{Filter, FilterError, Pages};
pub use index::Compacted;
pub use ingest::{
    Handed, IngestError, IngestFailure, IngestProgress, IngestSummary, Intake, Own, Receipt, WORK_GONE, WatchEvent,
    ingest, preload, watch, work_outcome,
};
pub use vectors::{Embedded, Vectors};

/// The collection used when nobody names one.
pub use crate::store::documents::DEFAULT_COLLECTION;

/// The most characters of a question that any search reads.
pub const MAX_QUESTION_CHARS: usize = 2000;

/// What was found: a chunk, or neighbouring chunks of one document as one.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Passage {
    /// The id of its document.
    pub document: String,
    /// The title of its document.
    pub title: String,
    /// Where the original lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The number of its first chunk within the document, from 0.
    pub chunk: u32,
    /// The page, from 1, in formats that have pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The page that it ends on, when that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_end: Option<u32>,
    /// Its sheet, slide, chapter or rows, in words: `sheet “Prices”, rows 2–9`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The byte of the document's text that it begins at.
    pub start: u32,
    /// The byte that it ends before.
    pub end: u32,
    /// The headings above it, outermost first, joined by ` › `.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// The text as it was indexed.
    pub text: String,
    /// How well it fits, 0 to 1, higher is better. Of a search by words alone it compares the passages of one answer only.
    pub score: f32,
}

/// Which index answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// Vectors and words; the score of a passage combines its cosine and its BM25.
    #[default]
    Hybrid,
    /// Vectors alone.
    Vector,
    /// Words alone (BM25).
    Text,
}

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchQuery {
    /// What is asked.
    pub text: String,
    /// Where. Whoever asks may read it: a search does not look at that.
    pub collection: Collection,
    /// The most passages wanted.
    pub top_k: usize,
    /// Which index answers.
    pub mode: SearchMode,
    /// Passages that fit worse than this are left out; `None` keeps all. A search by words alone compares it with the
    /// share of the question's words that a passage has, not with its score.
    pub min_score: Option<f32>,
    /// What holds for every passage; `None` for nothing in particular.
    pub filter: Option<Filter>,
    /// Who asks; `None` where nobody need say so.
    pub owner: Option<Owner>,
    /// The conversation; `None` outside of one.
    pub session: Option<SessionId>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrieved {
    /// Best first.
    pub passages: Vec<Passage>,
    /// The state of the collection, or an earlier one: it changes with everything that could change what is found.
    /// `None` when it cannot be told.
    pub version: Option<u64>,
}

/// How far the knowledge base is, for `/ready` and `/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "state", content = "detail")]
pub enum KnowledgeStatus {
    /// Switched off by the configuration.
    Disabled,
    /// The model is being loaded or documents are being ingested; words can be searched.
    Loading,
    /// Everything works.
    Ready,
    /// It cannot be used, and why; chat goes on without passages.
    Failed(String),
}

/// Finds passages.
#[async_trait]
pub trait Retriever: Send + Sync + fmt::Debug + 'static {
    /// The passages that fit best, and of which state of the collection they are.
    async fn retrieve(&self, query: &SearchQuery) -> Result<Retrieved, KnowledgeError>;

    /// How far it is.
    fn status(&self) -> KnowledgeStatus;

    /// How its caches stand; none when nothing is kept.
    async fn caches(&self) -> Vec<CacheReport> {
        Vec::new()
    }
}

/// The retriever of a gateway without knowledge: finds nothing, and that is no error.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKnowledge;

#[async_trait]
impl Retriever for NoKnowledge {
    async fn retrieve(&self, _: &SearchQuery) -> Result<Retrieved, KnowledgeError> {
        Ok(Retrieved { passages: Vec::new(), version: Some(0) })
    }

    fn status(&self) -> KnowledgeStatus {
        KnowledgeStatus::Disabled
    }
}
