//! Files that tools make within an answer, as everybody is shown them and as they are kept. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id::ArtifactId;

/// What sort of file a tool has made, and so how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// A chart, to be drawn.
    Chart,
    /// Rows and columns.
    Table,
    /// One to be opened or saved; also what another version of the gateway has another word for.
    #[serde(other)]
    File,
}

impl ArtifactKind {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Chart => "chart",
            Self::Table => "table",
        }
    }
}

/// A file that a tool has made. Its content is had by its id, for as long as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// Never met twice.
    pub artifact: ArtifactId,
    /// What sort it is.
    pub kind: ArtifactKind,
    /// What people call it.
    pub title: String,
    /// Its media type.
    pub media: String,
    /// How long it is.
    pub bytes: u64,
}

impl Artifact {
    /// What it weighs where it is shown, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.artifact.as_str().len() + self.title.len() + self.media.len()
    }
}
