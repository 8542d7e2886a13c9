//! A backup is made: taken aside, and written.

use std::path::Path;

use super::{
    archive::Writing,
    error::{BackupError, Summary},
    keys::Recipient,
    stage::Staged,
};

/// Writes what is in `data_dir` now into a new `file`, encrypted for `recipients` when there are any. The file appears
/// when it is whole. Blocks; while it does so it needs room for a second copy of the database in `data_dir`.
///
/// # Errors
/// [`BackupError`]; then nothing is left.
pub fn create(data_dir: &Path, file: &Path, recipients: &[Recipient]) -> Result<Summary, BackupError> {
    let staged = Staged::take(data_dir)?;
    let mut writing = Writing::begin(file, recipients)?;
    for (name, path) in staged.files()? {
        writing.add(&name, &path)?;
    }
    writing.finish()
}
