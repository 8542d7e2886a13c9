//! Files that tools have made: they belong to a session, and go with it, or with their age. Plain values; uses `chat` only.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::chat::{Artifact, ArtifactId, Owner, SessionId, Timestamp};

/// The most bytes of one.
pub const MAX_ARTIFACT_BYTES: usize = 1 << 20;
/// The most that one call of [`ArtifactStore::delete_old_artifacts`] deletes; a larger `limit` is taken for this.
pub const MAX_OLD_ARTIFACTS: usize = 100;

/// A file with its content, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptArtifact {
    /// What is shown of it.
    pub artifact: Artifact,
    /// At most [`MAX_ARTIFACT_BYTES`].
    pub content: Arc<[u8]>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Files that survive, with the sessions that they belong to. Methods that write return after the data is durable.
#[async_trait]
pub trait ArtifactStore: Send + Sync + std::fmt::Debug + 'static {
    /// Keeps a file for a session. Of its owner the newest `most` stay, of nobody in particular those of this session: older
    /// ones go.
    ///
    /// # Errors
    /// [`StoreError::NoSession`] when the session is gone; [`StoreError::Unavailable`] also for one that is too long.
    async fn keep_artifact(&self, session: &SessionId, new: KeptArtifact, most: usize) -> Result<(), StoreError>;

    /// One of `owner`, or of nobody in particular; `None` when there is none, and when it is somebody else's.
    async fn artifact(&self, owner: Option<&Owner>, id: &ArtifactId) -> Result<Option<KeptArtifact>, StoreError>;

    /// Deletes at most `limit` files, and never more than [`MAX_OLD_ARTIFACTS`], that were made before `cutoff`; how many. Fewer than
    /// `limit` does not mean that there are no more: none does.
    async fn delete_old_artifacts(&self, cutoff: Timestamp, limit: usize) -> Result<usize, StoreError>;
}

/// Refuses what is too long to be in a row.
pub(super) fn refuse_long(new: &KeptArtifact) -> Result<(), StoreError> {
    match new.content.len() {
        ..=MAX_ARTIFACT_BYTES => Ok(()),
        bytes => Err(StoreError::Unavailable(format!("a file of {bytes} bytes is too long to be kept"))),
    }
}
