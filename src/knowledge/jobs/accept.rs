//! Content that comes in, and becomes a version of a document with the work on it.

use std::io;

use super::{Documents, DocumentsError, Submission};
use crate::{
    chat::{DocumentId, MessageId, Timestamp},
    store::{
        blobs::{Part, Placed},
        documents::{Accepted, Content, DocumentFilter, NewVersion, Target, Tenant, VersionRecord},
    },
};

impl Documents {
    /// Begins to take content in.
    ///
    /// # Errors
    /// When no file can be made.
    pub async fn begin(&self, tenant: &Tenant) -> Result<Part, DocumentsError> {
        Ok(self.blobs.begin(tenant).await?)
    }

    /// Takes content on that came in whole. When this returns it is durable, and so is the work on it.
    ///
    /// # Errors
    /// When the disk or the store refuses; nothing is left then.
    pub async fn accept(
        &self,
        tenant: &Tenant,
        part: Part,
        submission: Submission,
    ) -> Result<Accepted, DocumentsError> {
        let placed = self.blobs.place(tenant, part).await?;
        self.placed(tenant, placed, submission).await
    }

    /// The same for content that is in memory. What is kept already is not written again.
    ///
    /// # Errors
    /// When the disk or the store refuses; nothing is left then.
    pub async fn accept_bytes(
        &self,
        tenant: &Tenant,
        bytes: &[u8],
        submission: Submission,
    ) -> Result<Accepted, DocumentsError> {
        let hash = blake3::hash(bytes).to_hex();
        if self.blobs.are_named_by_hash() {
            if let Some(placed) = self.blobs.hold(tenant, &hash, &hash).await? {
                return self.placed(tenant, placed, submission).await;
            }
        } else if let Some(held) = self.newest(tenant, &submission.target, &hash).await? {
            let accepted = self.version(tenant, &submission, &held, true).await?;
            // Its file may have gone since it was looked at.
            if accepted != Accepted::NotFound {
                self.let_go(tenant, accepted.left_over(None)).await;
                return Ok(accepted);
            }
        }
        let mut part = self.begin(tenant).await?;
        part.write(bytes).await?;
        self.accept(tenant, part, submission).await
    }

    /// The content of the newest version of the document that is meant, when it has this hash and is there.
    async fn newest(&self, tenant: &Tenant, target: &Target, hash: &str) -> Result<Option<Placed<'_>>, DocumentsError> {
        let found = match target {
            Target::Document(id) => self.store.document(tenant, id).await?,
            Target::Key { collection, key } => {
                let (collection, key) = (Some(collection.clone()), Some(key.clone()));
                let filter = DocumentFilter { collection, key, ..DocumentFilter::default() };
                let page = self.store.documents(tenant, filter, None, 1).await?;
                page.and_then(|page| page.items.into_iter().next())
            }
        };
        match found.filter(|found| found.newest.blob == hash) {
            Some(found) => Ok(self.blobs.hold(tenant, &found.newest.file, hash).await?),
            None => Ok(None),
        }
    }

    async fn placed(
        &self,
        tenant: &Tenant,
        placed: Placed<'_>,
        submission: Submission,
    ) -> Result<Accepted, DocumentsError> {
        let accepted = self.version(tenant, &submission, &placed, false).await;
        let (file, may_be_gone) = (placed.file.clone(), placed.may_be_gone());
        drop(placed);
        // When it is not known what became of it, it goes as an orphan does.
        let accepted = accepted?;
        if may_be_gone {
            let held_up = "it was held up between its content and its row";
            return Err(DocumentsError::Files(io::Error::new(io::ErrorKind::TimedOut, held_up)));
        }
        self.let_go(tenant, accepted.left_over(Some(file))).await;
        Ok(accepted)
    }

    /// Makes an older version of a document its newest one; `None` when there is no such version. Without a number it is
    /// the one before the newest.
    ///
    /// # Errors
    /// When the disk or the store refuses.
    pub async fn roll_back(
        &self,
        tenant: &Tenant,
        id: &DocumentId,
        version: Option<u32>,
        request: Option<MessageId>,
    ) -> Result<Option<Accepted>, DocumentsError> {
        let Some(versions) = self.store.versions(tenant, id).await? else { return Ok(None) };
        let wanted = match version {
            Some(number) => versions.into_iter().find(|version| version.version == number),
            None => versions.into_iter().nth(1),
        };
        let Some(VersionRecord { name, title, uri, media_type, blob, file, .. }) = wanted else { return Ok(None) };
        let Some(held) = self.blobs.hold(tenant, &file, &blob).await? else { return Ok(None) };
        let target = Target::Document(id.clone());
        let submission = Submission { target, name, media_type, title, uri, metadata: None, request };
        let accepted = self.version(tenant, &submission, &held, true).await?;
        drop(held);
        self.let_go(tenant, accepted.left_over(None)).await;
        Ok(Some(accepted))
    }

    async fn version(
        &self,
        tenant: &Tenant,
        submission: &Submission,
        placed: &Placed<'_>,
        is_kept: bool,
    ) -> Result<Accepted, DocumentsError> {
        let Submission { target, name, media_type, title, uri, metadata, request } = submission.clone();
        let (blob, file, bytes) = (placed.hash.clone(), placed.file.clone(), placed.bytes);
        let content = Content { name, title, uri, media_type, blob, file, bytes };
        let (most, at) = (self.bounds.documents, Timestamp::now());
        let new = NewVersion { target, content, is_kept, metadata, request, most, at };
        let accepted = self.store.accept(tenant, new).await?;
        if let Accepted::Queued { job, superseded, .. } = &accepted {
            self.board.publish(job);
            self.indexing.notify_one();
            self.tell_to_end(tenant, superseded).await;
        }
        Ok(accepted)
    }
}
