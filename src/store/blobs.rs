//! The content of documents, and the texts that were read from it: as files (`blobs/folder.rs`), or as objects
//! (`blobs/bucket.rs`); each tenant's in a folder of its own, whose name is a hash. Uses `documents` for its tenants and what
//! files are called.
//!
//! In a folder content lies under its own hash, so that the same is kept once for a tenant, and never for two. In an object
//! storage each placement has a name of its own, and a row refers to it.

use std::{collections::HashSet, io, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use tokio::{sync::RwLockReadGuard, time::Instant};

use self::{
    bucket::Bucket,
    folder::{Folder, GRACE, ORPHAN_AGE, is_whole},
    names::Kind,
};
use super::documents::Tenant;

mod bucket;
mod folder;
mod names;
mod part;

pub use part::Part;

/// The contents and texts of all tenants.
#[derive(Debug)]
pub struct Blobs(Place);

#[derive(Debug)]
enum Place {
    Folder(Folder),
    Bucket(Bucket),
}

/// What is there, and will be until this is dropped.
#[derive(Debug)]
pub struct Placed<'a> {
    /// The name under which it lies.
    pub file: String,
    /// The hash of the bytes.
    pub hash: String,
    /// How many they are.
    pub bytes: u64,
    since: Instant,
    /// In a folder nobody takes it for an orphan; in an object storage nobody does before it is old.
    _referring: Option<RwLockReadGuard<'a, ()>>,
}

impl Placed<'_> {
    /// Whether so much time has passed that other gateways may have taken it for an orphan: whoever refers to it by now has been
    /// held up.
    #[must_use]
    pub fn may_be_gone(&self) -> bool {
        self.since.elapsed() > ORPHAN_AGE / 2
    }
}

impl Blobs {
    /// The files in a gateway's data folder. Does no I/O.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self(Place::Folder(Folder::new(data_dir, Duration::ZERO)))
    }

    /// What other gateways have, too: in a folder, or in the object storage of an address with `://`. Content comes in by way of
    /// the data folder then.
    ///
    /// # Errors
    /// When the address says nothing, or nobody tells where the storage is.
    pub async fn shared(place: &str, data_dir: &Path) -> io::Result<Self> {
        Ok(Self(if place.contains("://") {
            Place::Bucket(Bucket::open(place, data_dir).await?)
        } else {
            Place::Folder(Folder::new(place.as_ref(), GRACE))
        }))
    }

    /// Whether content lies under its own hash, so that it is there once.
    #[must_use]
    pub fn are_named_by_hash(&self) -> bool {
        matches!(self.0, Place::Folder(_))
    }

    /// The id of the place, if it has one.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn id(&self) -> io::Result<Option<String>> {
        let id = match &self.0 {
            Place::Folder(folder) => folder.id().await,
            Place::Bucket(bucket) => bucket.id().await,
        };
        Ok(id?.map(|id| id.trim().to_owned()))
    }

    /// Gives the place an id, unless it has one; of several who do so all have the same afterwards.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn make_id(&self) -> io::Result<String> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        match &self.0 {
            Place::Folder(folder) => folder.make_id(&id).await?,
            Place::Bucket(bucket) => bucket.make_id(&id).await?,
        }
        self.id().await?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Begins to write content of unknown length.
    ///
    /// # Errors
    /// When no file can be made.
    pub async fn begin(&self, tenant: &Tenant) -> io::Result<Part> {
        match &self.0 {
            Place::Folder(folder) => folder.begin(tenant).await,
            Place::Bucket(bucket) => bucket.begin(tenant).await,
        }
    }

    /// Puts what was written in its place. Until the answer is dropped nobody takes it for an orphan, so it should be
    /// referred to by then.
    ///
    /// # Errors
    /// When the disk or the storage refuses; nothing is left then but what a storage does not let go.
    pub async fn place(&self, tenant: &Tenant, part: Part) -> io::Result<Placed<'_>> {
        let (hash, bytes, since) = (part.hash(), part.bytes(), Instant::now());
        match &self.0 {
            Place::Folder(folder) => {
                let referring = folder.referring().await;
                part.put(&hash).await?;
                Ok(Placed { file: hash.clone(), hash, bytes, since, _referring: Some(referring) })
            }
            Place::Bucket(bucket) => {
                let file = bucket.place(tenant, part).await?;
                Ok(Placed { file, hash, bytes, since, _referring: None })
            }
        }
    }

    /// Content with this hash that is there already under this name, which stays until the answer is dropped; `None` when it is
    /// not there.
    ///
    /// # Errors
    /// When the disk or the storage does not tell.
    pub async fn hold(&self, tenant: &Tenant, file: &str, hash: &str) -> io::Result<Option<Placed<'_>>> {
        let since = Instant::now();
        let (referring, bytes) = match &self.0 {
            Place::Folder(folder) => {
                let referring = folder.referring().await;
                (Some(referring), folder.hold(tenant, file).await?)
            }
            Place::Bucket(bucket) => (None, bucket.hold(tenant, file).await?),
        };
        let placed =
            |bytes| Placed { file: file.to_owned(), hash: hash.to_owned(), bytes, since, _referring: referring };
        Ok(bytes.map(placed))
    }

    /// Whether a content or a text is there.
    ///
    /// # Errors
    /// When the disk or the storage does not tell.
    pub async fn has(&self, tenant: &Tenant, name: &str) -> io::Result<bool> {
        match &self.0 {
            Place::Folder(folder) => folder.has(tenant, name).await,
            Place::Bucket(bucket) => bucket.has(tenant, name).await,
        }
    }

    /// A content or a text, in pieces; `None` when it is not there.
    ///
    /// # Errors
    /// When the disk or the storage refuses, also in the middle.
    pub async fn open(&self, tenant: &Tenant, name: &str) -> io::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        match &self.0 {
            Place::Folder(folder) => folder.open(tenant, name).await,
            Place::Bucket(bucket) => bucket.open_one(tenant, name).await,
        }
    }

    /// A whole content or text, which has at most so many bytes; `None` when it is not there.
    ///
    /// # Errors
    /// When the disk or the storage refuses; [`FileTooLarge`](io::ErrorKind::FileTooLarge) when it has more.
    pub async fn read(&self, tenant: &Tenant, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut pieces) = self.open(tenant, name).await? else { return Ok(None) };
        let mut whole = Vec::new();
        while let Some(piece) = pieces.next().await.transpose()? {
            if (whole.len() + piece.len()) as u64 > most {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole))
    }

    /// Keeps a text.
    ///
    /// # Errors
    /// When the disk or the storage refuses; nothing is left then.
    pub async fn keep_text(&self, tenant: &Tenant, name: &str, text: &str) -> io::Result<()> {
        match &self.0 {
            Place::Folder(folder) => folder.keep_text(tenant, name, text).await,
            Place::Bucket(bucket) => bucket.keep_text(tenant, name, text).await,
        }
    }

    /// The names of all texts of a tenant.
    ///
    /// # Errors
    /// When the disk or the storage does not tell.
    pub async fn texts(&self, tenant: &Tenant) -> io::Result<HashSet<String>> {
        Ok(self.entries(tenant, Kind::Text).await?.into_iter().map(|(name, _)| name).collect())
    }

    async fn entries(&self, tenant: &Tenant, kind: Kind) -> io::Result<Vec<(String, std::time::SystemTime)>> {
        match &self.0 {
            Place::Folder(folder) => folder.entries(tenant, kind).await,
            Place::Bucket(bucket) => bucket.entries(tenant, kind).await,
        }
    }

    /// Removes those contents and texts that `unused` says nothing refers to. What is put in its place meanwhile waits.
    ///
    /// # Errors
    /// That of `unused`. What cannot be removed is told in the log, and found again by [`orphans`](Self::orphans).
    pub async fn remove<E>(
        &self,
        tenant: &Tenant,
        unused: impl Future<Output = Result<Vec<String>, E>>,
    ) -> Result<usize, E> {
        match &self.0 {
            Place::Folder(folder) => folder.remove(tenant, unused).await,
            Place::Bucket(bucket) => {
                let names = unused.await?;
                bucket.remove(tenant, &names).await;
                Ok(names.len())
            }
        }
    }

    /// The contents and texts of a tenant that were not put there lately: those among them that nothing refers to should go.
    ///
    /// # Errors
    /// When the disk or the storage does not tell.
    pub async fn orphans(&self, tenant: &Tenant) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for (kind, least) in [(Kind::Content, ORPHAN_AGE), (Kind::Text, Duration::ZERO)] {
            let entries = self.entries(tenant, kind).await?.into_iter();
            let is_old = |modified| names::age(modified).is_some_and(|age| age >= least);
            found.extend(entries.filter(|(name, modified)| is_whole(name) && is_old(*modified)).map(|(name, _)| name));
        }
        Ok(found)
    }

    /// Removes what another process has begun to write, or to remove, and has not gone on with. To be called before anything is
    /// written.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub async fn clear_parts(&self) -> io::Result<()> {
        match &self.0 {
            Place::Folder(folder) => folder.clear().await,
            Place::Bucket(bucket) => bucket.clear().await,
        }
    }
}

#[cfg(test)]
mod tests;
