//! The content of documents, and the texts that were read from it, as files: each tenant in a folder of its own, whose
//! name is a hash. Content lies under its own hash, so that the same is kept once for a tenant, and never for two. Uses
//! `documents` for its tenants.
//!
//! A file is written beside its place, synced, and put there in one step; so what has its name is whole.
//!
//! Where several gateways have the files, nobody can know who is about to refer to one. So whoever does marks it as new first,
//! and what was new lately stays: a file is taken aside before it goes, and put back when it was marked meanwhile.

use std::{
    collections::HashSet,
    fmt,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::AsyncWriteExt,
    sync::{RwLock, RwLockReadGuard},
};

use super::documents::Tenant;

/// The ending of what is not whole yet.
const PART: &str = "part";
/// What nobody refers to goes after this: who refers to it may be about to say so.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);
/// Where other gateways have the files, too, what was put there lately stays for so long: its row may be on its way. Clocks may
/// differ by half of it.
const GRACE: Duration = Duration::from_secs(120);
/// The ending of what is about to go.
const ASIDE: &str = "aside";

/// The files of all tenants.
pub struct Blobs {
    contents: PathBuf,
    texts: PathBuf,
    /// How old contents are that go; zero where nobody else has them.
    grace: Duration,
    /// Held by who puts a file in its place until it is referred to, so that nobody takes it for an orphan.
    placing: RwLock<()>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blobs").field("contents", &self.contents).finish_non_exhaustive()
    }
}

/// What is there, and will be until this is dropped.
#[derive(Debug)]
pub struct Placed<'a> {
    /// The hash of the bytes.
    pub hash: String,
    /// How many they are.
    pub bytes: u64,
    _referring: RwLockReadGuard<'a, ()>,
}

impl Blobs {
    /// The files in a gateway's data folder. Does no I/O.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        let (contents, texts) = (data_dir.join("blobs"), data_dir.join("texts"));
        Self { contents, texts, grace: Duration::ZERO, placing: RwLock::new(()) }
    }

    /// The files in a folder that other gateways have, too. Does no I/O.
    #[must_use]
    pub fn shared(folder: &Path) -> Self {
        Self { grace: GRACE, ..Self::new(folder) }
    }

    /// Begins to write content of unknown length.
    ///
    /// # Errors
    /// When no file can be made.
    pub async fn begin(&self, tenant: &Tenant) -> io::Result<Part> {
        Part::begin(folder(&self.contents, tenant)).await
    }

    /// Puts what was written in its place. Until the answer is dropped nobody takes it for an orphan, so it should be
    /// referred to by then.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub async fn place(&self, part: Part) -> io::Result<Placed<'_>> {
        let referring = self.placing.read().await;
        let (hash, bytes) = (part.hash(), part.bytes);
        part.put(&hash).await?;
        Ok(Placed { hash, bytes, _referring: referring })
    }

    /// Content that is there already, which stays until the answer is dropped; `None` when it is not there.
    ///
    /// # Errors
    /// When the disk does not tell.
    pub async fn hold(&self, tenant: &Tenant, hash: &str) -> io::Result<Option<Placed<'_>>> {
        let referring = self.placing.read().await;
        let path = self.content_path(tenant, hash);
        if !self.grace.is_zero() && !mark(&path).await? {
            return Ok(None);
        }
        // Once it is marked: who takes it aside from now on sees that.
        match fs::metadata(&path).await {
            Ok(found) => Ok(Some(Placed { hash: hash.to_owned(), bytes: found.len(), _referring: referring })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where content lies.
    #[must_use]
    pub fn content_path(&self, tenant: &Tenant, hash: &str) -> PathBuf {
        folder(&self.contents, tenant).join(hash)
    }

    /// Where a text lies.
    #[must_use]
    pub fn text_path(&self, tenant: &Tenant, name: &str) -> PathBuf {
        folder(&self.texts, tenant).join(name)
    }

    /// Keeps a text.
    ///
    /// # Errors
    /// When the disk refuses; nothing is left then.
    pub async fn keep_text(&self, tenant: &Tenant, name: &str, text: &str) -> io::Result<()> {
        let mut part = Part::begin(folder(&self.texts, tenant)).await?;
        part.write(text.as_bytes()).await?;
        part.put(name).await
    }

    /// The names of all texts of a tenant.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn texts(&self, tenant: &Tenant) -> io::Result<HashSet<String>> {
        Ok(entries(&folder(&self.texts, tenant)).await?.into_iter().map(|(name, _)| name).collect())
    }

    /// Removes those of these files that `unused` says nothing refers to. What is put in its place meanwhile waits.
    ///
    /// # Errors
    /// That of `unused`. What cannot be removed is told in the log, and found again by [`orphans`](Self::orphans).
    pub async fn remove<E>(
        &self,
        tenant: &Tenant,
        unused: impl Future<Output = Result<Vec<String>, E>>,
    ) -> Result<usize, E> {
        let _nobody_places = self.placing.write().await;
        let names = unused.await?;
        for name in &names {
            let (path, grace) = match name.contains('.') {
                // A version never comes again.
                true => (self.text_path(tenant, name), Duration::ZERO),
                false => (self.content_path(tenant, name), self.grace),
            };
            match remove_one(&path, grace).await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a file that nobody needs cannot be removed");
                }
                _ => {}
            }
        }
        Ok(names.len())
    }

    /// The files of a tenant that were not put there lately: those among them that nothing refers to should go.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub async fn orphans(&self, tenant: &Tenant) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for (root, age) in [(&self.contents, ORPHAN_AGE), (&self.texts, Duration::ZERO)] {
            for (name, modified) in entries(&folder(root, tenant)).await? {
                let is_old = SystemTime::now().duration_since(modified).is_ok_and(|since| since >= age);
                if is_old && !name.ends_with(PART) && !name.ends_with(ASIDE) {
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    /// Removes what another process has begun to write, or to remove, and has not gone on with. To be called before anything is
    /// written.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub async fn clear_parts(&self) -> io::Result<()> {
        for root in [&self.contents, &self.texts] {
            for (tenant, _) in entries(root).await? {
                for (name, modified) in entries(&root.join(&tenant)).await? {
                    let most = if self.grace.is_zero() { Duration::ZERO } else { ORPHAN_AGE };
                    let is_left = SystemTime::now().duration_since(modified).is_ok_and(|since| since >= most);
                    if is_left && (name.ends_with(PART) || name.ends_with(ASIDE)) {
                        fs::remove_file(root.join(&tenant).join(name)).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Removes a file unless it is new. Who marks it until it is aside keeps it; who comes later finds none.
async fn remove_one(path: &Path, grace: Duration) -> io::Result<()> {
    if grace.is_zero() {
        return fs::remove_file(path).await;
    }
    if is_new(path, grace).await? {
        return Ok(());
    }
    let aside = path.with_added_extension(ASIDE);
    fs::rename(path, &aside).await?;
    if is_new(&aside, grace).await? { fs::rename(&aside, path).await } else { fs::remove_file(&aside).await }
}

/// Marks a file as new; false when there is none.
async fn mark(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new().append(true).open(path).await {
        Ok(file) => file.into_std().await,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    file.set_modified(SystemTime::now()).map(|()| true)
}

/// Whether a file is not as old as `most`. The clock of who marked it may be ahead.
async fn is_new(path: &Path, most: Duration) -> io::Result<bool> {
    Ok(fs::metadata(path).await?.modified()?.elapsed().map_or(true, |age| age < most))
}

/// The folder of a tenant: no name of a client becomes a path.
fn folder(root: &Path, tenant: &Tenant) -> PathBuf {
    root.join(&blake3::hash(tenant.as_str().as_bytes()).to_hex()[..32])
}

/// Names and times in a folder; none when there is no folder.
async fn entries(folder: &Path) -> io::Result<Vec<(String, SystemTime)>> {
    let mut reading = match fs::read_dir(folder).await {
        Ok(reading) => reading,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    while let Some(entry) = reading.next_entry().await? {
        // Gone meanwhile, or not ours.
        if let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata().await) {
            found.push((name, about.modified()?));
        }
    }
    Ok(found)
}

/// A file that is being written. Dropping it removes it.
#[derive(Debug)]
pub struct Part {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    hasher: Box<blake3::Hasher>,
    bytes: u64,
}

impl Part {
    async fn begin(folder: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).await?;
        let path = folder.join(format!("{}.{PART}", uuid::Uuid::new_v4().simple()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).await?;
        Ok(Self { folder, path, file, hasher: Box::default(), bytes: 0 })
    }

    /// Writes on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// How many bytes were written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The hash of what was written.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    async fn put(mut self, name: &str) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        fs::rename(&self.path, self.folder.join(name)).await?;
        // The name has to survive, too.
        File::open(&self.folder).await?.sync_all().await
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After it was put in its place there is nothing of this name.
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "a file that is not whole stays until the next start");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
