//! One process at a time has a database, and says in its lock file where it can be asked.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::super::StoreError;

/// Where the process can be asked that has a database; both are empty when it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// As everybody does.
    pub url: String,
    /// As operators do.
    pub admin_url: String,
}

/// Makes sure that one process at a time has the database: a second gateway on the same file would take the
/// first one's running answers for interrupted ones. The lock ends with the process, however it ends.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| StoreError::Unavailable(format!("cannot make its folder: {error}")))?;
    }
    let refused = |error: io::Error| StoreError::Unavailable(format!("cannot make its lock file: {error}"));
    let file = own_file().write(true).open(lock_file(path)).map_err(refused)?;
    match file.try_lock() {
        // What the last one said of itself is not true any more.
        Ok(()) => file.set_len(0).map_err(refused).map(|()| file),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}

/// Says where the process that has the database can be asked to do what others cannot do beside it. To be called by that
/// process.
pub(super) fn announce(path: &Path, holder: &Holder) -> io::Result<()> {
    let text = format!("{}\n{}\n", holder.url, holder.admin_url);
    own_file().write(true).truncate(true).open(lock_file(path))?.write_all(text.as_bytes())
}

/// Whether another process has the database, and where it can be asked.
pub(super) fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let mut file = match File::open(lock_file(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            let mut lines = text.lines().map(str::to_owned);
            let url = lines.next().unwrap_or_default();
            Ok(Some(Holder { admin_url: lines.next().unwrap_or_else(|| url.clone()), url }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock_file(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// Files are made for their owner alone. SQLite makes those beside the database as that is.
pub(super) fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).mode(0o600);
    options
}

pub(super) fn in_use() -> StoreError {
    StoreError::Unavailable("another process has it open".to_owned())
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
