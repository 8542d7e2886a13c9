//! Contents and texts as files. A file is written beside its place, synced, and put there in one step; so what has its name is
//! whole.
//!
//! Where several gateways have the files, nobody can know who is about to refer to one. So whoever does marks it as new first,
//! and what was new lately stays: a file is taken aside before it goes, and put back when it was marked meanwhile.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{BoxStream, try_unfold},
};
use tokio::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::AsyncReadExt,
    sync::{RwLock, RwLockReadGuard},
};

use super::{
    names::{self, Kind, PLACE, folder_of},
    part::{PART, Part},
};
use crate::store::documents::Tenant;

/// What nobody refers to goes after this: who refers to it may be about to say so.
pub(super) const ORPHAN_AGE: Duration = Duration::from_secs(3600);
/// Where other gateways have the files, too, what was put there lately stays for so long: its row may be on its way. Clocks may
/// differ by half of it.
pub(super) const GRACE: Duration = Duration::from_secs(120);
/// The ending of what is about to go.
const ASIDE: &str = "aside";
/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// The files of all tenants in a folder.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// How old contents are that go; zero where nobody else has them.
    grace: Duration,
    /// Held by who puts a file in its place until it is referred to, so that nobody takes it for an orphan.
    placing: RwLock<()>,
}

impl Folder {
    pub(super) fn new(root: &Path, grace: Duration) -> Self {
        Self { root: root.to_owned(), grace, placing: RwLock::new(()) }
    }

    /// A file that is about to be referred to stays until the answer is dropped.
    pub(super) async fn referring(&self) -> RwLockReadGuard<'_, ()> {
        self.placing.read().await
    }

    pub(super) fn path(&self, tenant: &Tenant, name: &str) -> PathBuf {
        self.of(tenant, Kind::of(name)).join(name)
    }

    fn of(&self, tenant: &Tenant, kind: Kind) -> PathBuf {
        self.root.join(kind.folder()).join(folder_of(tenant))
    }

    pub(super) async fn begin(&self, tenant: &Tenant) -> io::Result<Part> {
        Part::begin(self.of(tenant, Kind::Content)).await
    }

    pub(super) async fn hold(&self, tenant: &Tenant, name: &str) -> io::Result<Option<u64>> {
        let path = self.path(tenant, name);
        if !self.grace.is_zero() && !mark(&path).await? {
            return Ok(None);
        }
        // Once it is marked: who takes it aside from now on sees that.
        none_when_missing(fs::metadata(&path).await.map(|found| found.len()))
    }

    pub(super) async fn has(&self, tenant: &Tenant, name: &str) -> io::Result<bool> {
        fs::try_exists(self.path(tenant, name)).await
    }

    pub(super) async fn open(
        &self,
        tenant: &Tenant,
        name: &str,
    ) -> io::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        let Some(file) = none_when_missing(File::open(self.path(tenant, name)).await)? else { return Ok(None) };
        let pieces = try_unfold(file, |mut file| async move {
            let mut piece = Vec::with_capacity(PIECE);
            let read = file.read_buf(&mut piece).await?;
            Ok((read > 0).then(|| (Bytes::from(piece), file)))
        });
        Ok(Some(pieces.boxed()))
    }

    pub(super) async fn keep_text(&self, tenant: &Tenant, name: &str, text: &str) -> io::Result<()> {
        let mut part = Part::begin(self.of(tenant, Kind::Text)).await?;
        part.write(text.as_bytes()).await?;
        part.put(name).await
    }

    pub(super) async fn entries(&self, tenant: &Tenant, kind: Kind) -> io::Result<Vec<(String, SystemTime)>> {
        entries(&self.of(tenant, kind)).await
    }

    /// Removes the files that `unused` tells; what is put in its place meanwhile waits.
    pub(super) async fn remove<E>(
        &self,
        tenant: &Tenant,
        unused: impl Future<Output = Result<Vec<String>, E>>,
    ) -> Result<usize, E> {
        let _nobody_places = self.placing.write().await;
        let names = unused.await?;
        for name in &names {
            let path = self.path(tenant, name);
            let grace = match Kind::of(name) {
                // A version never comes again.
                Kind::Text => Duration::ZERO,
                Kind::Content => self.grace,
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

    /// Removes what another process has begun to write, or to remove, and has not gone on with.
    pub(super) async fn clear(&self) -> io::Result<()> {
        let most = if self.grace.is_zero() { Duration::ZERO } else { ORPHAN_AGE };
        for kind in [Kind::Content, Kind::Text] {
            let root = self.root.join(kind.folder());
            for (tenant, _) in entries(&root).await? {
                for (name, modified) in entries(&root.join(&tenant)).await? {
                    let is_left = names::age(modified).is_some_and(|age| age >= most);
                    if is_left && (name.ends_with(PART) || name.ends_with(ASIDE)) {
                        fs::remove_file(root.join(&tenant).join(name)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) async fn id(&self) -> io::Result<Option<String>> {
        none_when_missing(fs::read_to_string(self.root.join(PLACE)).await)
    }

    /// Of several who make one at the same moment all have the same afterwards.
    pub(super) async fn make_id(&self, id: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root).await?;
        let beside = self.root.join(format!("{PLACE}.{id}"));
        fs::write(&beside, format!("{id}\n")).await?;
        File::open(&beside).await?.sync_all().await?;
        let linked = fs::hard_link(&beside, self.root.join(PLACE)).await;
        fs::remove_file(&beside).await?;
        match linked {
            Ok(()) => File::open(&self.root).await?.sync_all().await,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether a name is of a file that is whole, and not about to go.
pub(super) fn is_whole(name: &str) -> bool {
    !name.ends_with(PART) && !name.ends_with(ASIDE)
}

fn none_when_missing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
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
    let Some(file) = none_when_missing(OpenOptions::new().append(true).open(path).await)? else { return Ok(false) };
    file.into_std().await.set_modified(SystemTime::now()).map(|()| true)
}

/// Whether a file is not as old as `most`. The clock of who marked it may be ahead.
async fn is_new(path: &Path, most: Duration) -> io::Result<bool> {
    Ok(names::age(fs::metadata(path).await?.modified()?).is_none_or(|age| age < most))
}

/// Names and times in a folder; none when there is no folder.
async fn entries(folder: &Path) -> io::Result<Vec<(String, SystemTime)>> {
    let Some(mut reading) = none_when_missing(fs::read_dir(folder).await)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    while let Some(entry) = reading.next_entry().await? {
        // Gone meanwhile, or not ours.
        if let (Ok(name), Ok(about)) = (entry.file_name().into_string(), entry.metadata().await) {
            found.push((name, about.modified()?));
        }
    }
    Ok(found)
}
