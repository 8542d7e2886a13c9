//! Content on its way in: a file that is being written, counted and hashed as it comes.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use tokio::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::AsyncWriteExt,
};

/// The ending of what is not whole yet.
pub(super) const PART: &str = "part";

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
    pub(super) async fn begin(folder: PathBuf) -> io::Result<Self> {
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

    /// Where all that was written lies, until this is dropped.
    pub(super) async fn flushed(&mut self) -> io::Result<&Path> {
        self.file.flush().await?;
        Ok(&self.path)
    }

    /// Puts it in its place in its folder, so that it survives.
    pub(super) async fn put(mut self, name: &str) -> io::Result<()> {
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
