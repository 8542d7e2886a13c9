//! A data folder as it is at one moment: a snapshot of the database, and links to all files beside it. In a folder within
//! it, for links do not leave a file system.
//!
//! First the database, and the files after it: what it refers to has been there since before, and is only removed a while
//! after nothing refers to it any more. Of an index first its versions, and what they are made of after them, for the same
//! reason. What does not fit together all the same, the gateway mends when it starts, as after a crash.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use super::{
    error::{BackupError, at},
    workspace::Workspace,
};
use crate::store::sqlite::{FILE_NAME, SqliteStore};

/// What the folder's name begins with.
const PREFIX: &str = "backup-";
/// The folders with files that are never changed.
pub(super) const FOLDERS: [&str; 3] = ["blobs", "texts", "lancedb"];
/// In an index, what names the files of each of its versions.
const VERSIONS: &str = "_versions";

/// What is of one moment; removed when this is dropped.
pub(super) struct Staged(Workspace);

impl Staged {
    /// Takes a snapshot.
    pub(super) fn take(data_dir: &Path) -> Result<Self, BackupError> {
        // Before there is a folder: where there is no database, there is nothing of ours.
        SqliteStore::open_to_read(data_dir.join(FILE_NAME))?;
        for entry in fs::read_dir(data_dir).map_err(at(data_dir))? {
            Workspace::remove_left(&entry.map_err(at(data_dir))?.path(), PREFIX)?;
        }
        let staged = Self(Workspace::new(data_dir, PREFIX)?);
        SqliteStore::snapshot(data_dir.join(FILE_NAME), staged.0.path().join(FILE_NAME))?;
        for name in FOLDERS {
            staged.link(data_dir, name)?;
        }
        Ok(staged)
    }

    /// Its files by name, and where they are.
    pub(super) fn files(&self) -> Result<Vec<(String, PathBuf)>, BackupError> {
        let mut files = Vec::new();
        for path in walk(self.0.path())? {
            let name = path.strip_prefix(self.0.path()).ok().and_then(Path::to_str).map(str::to_owned);
            let name = name.ok_or_else(|| at(&path)(io::Error::other("its name is not text")))?;
            files.push((name, path));
        }
        Ok(files)
    }

    fn link(&self, data_dir: &Path, name: &str) -> Result<(), BackupError> {
        let source = data_dir.join(name);
        if !source.exists() {
            return Ok(());
        }
        let is_version = |path: &Path| path.components().any(|part| part.as_os_str() == VERSIONS);
        for versions in [true, false] {
            for path in walk(&source)?.into_iter().filter(|path| is_version(path) == versions) {
                let Ok(below) = path.strip_prefix(data_dir) else { continue };
                let link = self.0.path().join(below);
                if let Some(folder) = link.parent() {
                    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
                }
                match fs::hard_link(&path, &link) {
                    // It was removed since it was listed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Ok(()) => {}
                    // A file system without links.
                    Err(_) => drop(fs::copy(&path, &link).map_err(at(&path))?),
                }
            }
        }
        Ok(())
    }
}

/// The files below a folder, in the order of their names. What goes while it is looked through is left out.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => {}
            Err(error) => return Err(at(folder)(error.into())),
        }
    }
    Ok(files)
}
