//! What the whole knowledge base fails with.

use super::embed::EmbedError;

/// Why nothing can be said about the knowledge.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KnowledgeError {
    /// The embedding model is still being loaded; words can be searched already.
    #[error("the embedding model is being loaded")]
    Loading,
    /// There is no knowledge base, or it could not be opened.
    #[error("the knowledge base is not available: {0}")]
    Unavailable(String),
    /// The collection's name cannot be one.
    #[error("a collection's name has 1 to 64 of the characters a-z, A-Z, 0-9, `-`, `_` and `.`")]
    InvalidCollection,
    /// More is waiting than may wait.
    #[error("too many searches are waiting")]
    Busy,
}

impl From<EmbedError> for KnowledgeError {
    fn from(error: EmbedError) -> Self {
        match error {
            EmbedError::Loading => Self::Loading,
            EmbedError::Busy => Self::Busy,
            error => Self::Unavailable(error.to_string()),
        }
    }
}
