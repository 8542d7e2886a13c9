//! Why work on a document ends before its end.

use crate::{knowledge::KnowledgeError, store::documents::Fault};

/// Why work ends early.
#[derive(Debug)]
pub(super) enum Ended {
    /// It cannot be done.
    Failed(Fault),
    /// It is held back, for these reasons.
    Quarantined(Vec<String>),
    /// Not now.
    Again(Fault),
    /// Somebody wanted it to end.
    Cancelled,
}

impl From<KnowledgeError> for Ended {
    fn from(error: KnowledgeError) -> Self {
        tracing::warn!(%error, "the index refused");
        Self::Again(Fault::new("index_unavailable", "the index is not available"))
    }
}
