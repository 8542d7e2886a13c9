//! Keys of age: who a backup is encrypted for, and who can open it. Pure but for reading a file.

use std::{fmt, fs, path::Path, str::FromStr};

use age::x25519;

use super::error::{BackupError, at};

/// Who a backup is encrypted for: a public key, as `age-keygen` prints it.
#[derive(Clone)]
pub struct Recipient(pub(super) x25519::Recipient);

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.0)
    }
}

impl FromStr for Recipient {
    type Err = BackupError;

    fn from_str(text: &str) -> Result<Self, BackupError> {
        let key = text.trim().parse().map_err(|_| BackupError::NoKey(text.chars().take(8).chain(['…']).collect()))?;
        Ok(Self(key))
    }
}

/// Who can open a backup: a secret key, as `age-keygen` writes it.
pub struct Identity(pub(super) x25519::Identity);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl Identity {
    /// The first key in a file; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`BackupError`], without anything of what is in the file.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let text = fs::read_to_string(path).map_err(at(path))?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let key = lines.next().and_then(|line| line.parse().ok());
        key.map(Self).ok_or_else(|| BackupError::NoKey(format!("what is in {}", path.display())))
    }
}
