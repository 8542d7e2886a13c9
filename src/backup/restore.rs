//! A backup made into a data folder again: unpacked beside its place, checked against its list, and put there when all of
//! it is right.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path},
};

use walkdir::WalkDir;

use super::{
    archive::{self, LIST, LIST_BYTES, List, Listed},
    error::{BackupError, Summary, at},
    keys::Identity,
    stage,
    workspace::Workspace,
};
use crate::store::sqlite::{FILE_NAME, SqliteStore};

/// What the name of the folder begins with that it is unpacked into.
const PREFIX: &str = "restoring-";
/// What may be in a folder that counts as empty: a file system puts it there.
const NO_MATTER: &str = "lost+found";

/// Makes of a backup what is in `data_dir`, which must be empty, or not there. The database comes last: a folder without
/// one is none of a gateway. Blocks.
///
/// # Errors
/// [`BackupError`]; then the folder is as it was.
pub fn restore(file: &Path, data_dir: &Path, identity: Option<&Identity>) -> Result<Summary, BackupError> {
    check_empty(data_dir)?;
    let mut archive = archive::open(file, identity)?;
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(at(data_dir))?;
    let unpacked = Unpacked(Workspace::new(data_dir, PREFIX)?);
    let mut found = BTreeMap::new();
    let mut list = None;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let is_file = entry.header().entry_type().is_file();
        match path.to_str() {
            _ if list.is_some() => return Err(BackupError::Damaged("something follows its list".to_owned())),
            Some(LIST) => list = Some(read_list(&mut entry)?),
            Some(name) if is_file && is_expected(&path) => {
                let listed = unpacked.write(&path, &mut entry)?;
                found.insert(name.to_owned(), listed);
            }
            _ => return Err(BackupError::Damaged("it has something in it that is none of a gateway's".to_owned())),
        }
    }
    let list = list.ok_or_else(|| BackupError::Damaged("it is cut off: its list is missing".to_owned()))?;
    if list.files != found || !found.contains_key(FILE_NAME) {
        return Err(BackupError::Damaged("its files are not those of its list".to_owned()));
    }
    SqliteStore::verify(unpacked.0.path().join(FILE_NAME))?;
    unpacked.sync_folders()?;
    unpacked.put_into(data_dir)?;
    Ok(Summary { files: found.len() as u64, bytes: found.values().map(|file| file.bytes).sum() })
}

fn check_empty(folder: &Path) -> Result<(), BackupError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name != NO_MATTER && !Workspace::remove_left(&path, PREFIX)? {
            return Err(BackupError::NotEmpty { folder: folder.to_owned(), found: name.into_owned() });
        }
    }
    Ok(())
}

/// Whether it is the database, or a file in one of the folders; nothing that leads elsewhere.
fn is_expected(path: &Path) -> bool {
    let mut parts = path.components();
    let first = parts.next();
    let is_below = |part| matches!(part, Component::Normal(_));
    match first {
        Some(Component::Normal(name)) if name == FILE_NAME => parts.next().is_none(),
        Some(Component::Normal(name)) => {
            let mut rest = parts.peekable();
            stage::FOLDERS.iter().any(|folder| name == *folder) && rest.peek().is_some() && rest.all(is_below)
        }
        _ => false,
    }
}

fn read_list(entry: &mut impl Read) -> Result<List, BackupError> {
    let mut text = Vec::new();
    entry.take(LIST_BYTES).read_to_end(&mut text).map_err(damaged)?;
    let list: List = serde_json::from_slice(&text).map_err(|_| BackupError::Damaged("its list is none".to_owned()))?;
    if list.is_ours() {
        Ok(list)
    } else {
        Err(BackupError::Damaged(format!("its layout is {}: a newer version of the program wrote it", list.layout)))
    }
}

fn damaged(error: io::Error) -> BackupError {
    BackupError::Damaged(error.to_string())
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// What is not in its place yet; removed when this is dropped.
struct Unpacked(Workspace);

impl Unpacked {
    fn write(&self, below: &Path, entry: &mut impl Read) -> Result<Listed, BackupError> {
        let path = self.0.path().join(below);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(at(&path))?;
        let (mut hasher, mut bytes, mut piece) = (blake3::Hasher::new(), 0, vec![0; 256 << 10]);
        loop {
            // An error of the archive's is one of the archive, and of the disk's one of the disk.
            let count = entry.read(&mut piece).map_err(damaged)?;
            if count == 0 {
                break;
            }
            hasher.update(&piece[..count]);
            bytes += count as u64;
            file.write_all(&piece[..count]).map_err(at(&path))?;
        }
        file.sync_all().map_err(at(&path))?;
        Ok(Listed { bytes, blake3: hasher.finalize().to_string() })
    }

    /// Files were synced when they were written; this is for their names.
    fn sync_folders(&self) -> Result<(), BackupError> {
        for entry in WalkDir::new(self.0.path()) {
            let entry = entry.map_err(|error| at(self.0.path())(error.into()))?;
            if entry.file_type().is_dir() {
                sync(entry.path())?;
            }
        }
        Ok(())
    }

    fn put_into(&self, data_dir: &Path) -> Result<(), BackupError> {
        let mut moved = Vec::new();
        let put = stage::FOLDERS.into_iter().chain([FILE_NAME]).try_for_each(|name| {
            let (from, to) = (self.0.path().join(name), data_dir.join(name));
            if from.exists() {
                fs::rename(&from, &to).map_err(at(&from))?;
                moved.push((to, from));
            }
            sync(data_dir)
        });
        if put.is_err() {
            for (to, from) in moved.into_iter().rev() {
                let _the_first_error_is_told = fs::rename(to, from);
            }
        }
        put
    }
}
