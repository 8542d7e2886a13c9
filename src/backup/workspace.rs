//! A folder within the data folder in which something is put together, and of which nothing is left: removed when it is
//! dropped, and when its process was ended before that, by the next one.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use tracing::warn;

use super::error::{BackupError, at};

/// A folder that is removed when this is dropped.
pub(super) struct Workspace {
    folder: PathBuf,
    /// Locked for as long as the folder is in use.
    _handle: File,
}

impl Workspace {
    /// A new one in `parent`, whose name begins with `prefix`.
    pub(super) fn new(parent: &Path, prefix: &str) -> Result<Self, BackupError> {
        let folder = parent.join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(at(&folder))?;
        let handle = File::open(&folder).map_err(at(&folder))?;
        let workspace = Self { folder, _handle: handle };
        workspace._handle.lock().map_err(at(&workspace.folder))?;
        Ok(workspace)
    }

    /// Removes `folder` when it is one that was left, and says whether it was.
    pub(super) fn remove_left(folder: &Path, prefix: &str) -> Result<bool, BackupError> {
        let is_one = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        let is_left = is_one && File::open(folder).is_ok_and(|folder| folder.try_lock().is_ok());
        if is_left {
            fs::remove_dir_all(folder).map_err(at(folder))?;
        }
        Ok(is_left)
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            warn!(folder = %self.folder.display(), %error, "what was put together here could not be removed");
        }
    }
}
