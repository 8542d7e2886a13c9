//! What tools make is kept before anybody is told of it: who hears of a file can have it. Uses `store`.

use std::{sync::Arc, time::Duration};

use tracing::{error, info};

use crate::{
    chat::{Artifact, ArtifactId, Owner, SessionId, Timestamp, printable},
    config::ArtifactsConfig,
    store::{
        ArtifactStore, StoreError,
        artifacts::{KeptArtifact, MAX_ARTIFACT_BYTES, MAX_OLD_ARTIFACTS},
    },
    tools::{Made, ToolError},
};

/// The longest title, in bytes.
const TITLE_BYTES: usize = 120;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Keeps files, for a time.
#[derive(Debug, Default)]
pub struct Artifacts(Option<Kept>);

#[derive(Debug)]
struct Kept {
    store: Arc<dyn ArtifactStore>,
    most: usize,
    stay: Duration,
}

impl Artifacts {
    /// Files in `store`, as the configuration has it.
    #[must_use]
    pub fn kept_in(store: Arc<dyn ArtifactStore>, config: &ArtifactsConfig) -> Self {
        Self(Some(Kept { store, most: config.keep, stay: DAY * config.keep_days }))
    }

    /// Keeps what a tool has made in an answer of this session, one after the other.
    ///
    /// # Errors
    /// [`ToolError::NotKept`].
    pub(super) async fn keep(&self, session: Option<&SessionId>, files: Vec<Made>) -> Result<Vec<Artifact>, ToolError> {
        let mut kept = Vec::with_capacity(files.len());
        for Made { kind, title, media, bytes } in files {
            let (Some(Kept { store, most, .. }), Some(session)) = (&self.0, session) else {
                return Err(ToolError::NotKept("this answer is in no conversation"));
            };
            if bytes.len() > MAX_ARTIFACT_BYTES {
                return Err(ToolError::NotKept("it is too long"));
            }
            let artifact = Artifact {
                artifact: ArtifactId::random(),
                kind,
                title: printable(&title, TITLE_BYTES),
                media: media.to_owned(),
                bytes: bytes.len() as u64,
            };
            let new = KeptArtifact { artifact: artifact.clone(), content: bytes.into(), created_at: Timestamp::now() };
            store.keep_artifact(session, new, *most).await.map_err(|error| {
                error!(%error, %session, "what a tool has made could not be kept");
                ToolError::NotKept("the storage is not available")
            })?;
            kept.push(artifact);
        }
        Ok(kept)
    }

    /// One of `owner`, or of nobody in particular.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find(&self, owner: Option<&Owner>, id: &ArtifactId) -> Result<Option<KeptArtifact>, StoreError> {
        match &self.0 {
            Some(kept) => kept.store.artifact(owner, id).await,
            None => Ok(None),
        }
    }

    /// Deletes those that have been there for long enough.
    pub async fn sweep(&self) {
        let Some(Kept { store, stay, .. }) = &self.0 else { return };
        let stay = u64::try_from(stay.as_millis()).unwrap_or(u64::MAX);
        let cutoff = Timestamp(Timestamp::now().0.saturating_sub(stay));
        loop {
            match store.delete_old_artifacts(cutoff, MAX_OLD_ARTIFACTS).await {
                Ok(0) => return,
                Ok(files) => info!(files, "deleted old files of tools"),
                Err(error) => return error!(%error, "old files of tools could not be deleted"),
            }
        }
    }
}
