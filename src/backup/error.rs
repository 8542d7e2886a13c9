//! Why there is no backup, and what is in one.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::store::StoreError;

/// Why there is no backup, or nothing was made of one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database cannot be copied, or is none.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is a file of this name.
    #[error("{} is there already, and is left as it is", .0.display())]
    Exists(PathBuf),
    /// The folder is not empty.
    #[error("{} has {found} in it: a backup is restored into an empty folder", folder.display())]
    NotEmpty {
        /// Which folder.
        folder: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// It is encrypted, and there is no key for it.
    #[error("the backup is encrypted: name the file with its key by --identity")]
    Encrypted,
    /// It is encrypted for somebody else.
    #[error("the backup is encrypted for another key")]
    WrongKey,
    /// A key is none.
    #[error("{0} is no key of age: one to encrypt for begins with age1, one to decrypt with AGE-SECRET-KEY-1")]
    NoKey(String),
    /// It is damaged, cut off, or no backup.
    #[error("this is not a whole backup: {0}")]
    Damaged(String),
}

/// What a backup has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files, the database among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What to say of a file.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}
