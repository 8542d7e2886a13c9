//! Tokens held against all keys that there are: the gateway's own secrets, the public keys in files, and those of a set
//! that a maker of tokens publishes. Uses `config`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jsonwebtoken::Algorithm;
use tokio::time::{Instant, timeout};

use super::{
    grant::{Grant, Refused},
    jwks::{FetchError, KeySource},
    jwt::{Rules, Sealed},
    key_set::Named,
    keys::{Key, KeyFault},
};
use crate::{chat::Timestamp, config::AuthConfig};

/// The most files with public keys: a token that names no key is held against each of its kind.
const MAX_FILES: usize = 16;
/// The largest of them, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// How long a token may wait for a key that is being fetched.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there are no keys to check tokens with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("auth.public_keys: {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file has something else in it.
    #[error("auth.public_keys: {path} cannot be used: {fault}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: KeyFault,
    },
    /// There are too many.
    #[error("auth.public_keys names more than {MAX_FILES} files")]
    TooMany,
    /// The set cannot be fetched at all.
    #[error("auth.jwks_url: {0}")]
    Source(#[from] FetchError),
    /// It is another one than at the start.
    #[error("auth.jwks_url is another one than at the start: that takes a new start")]
    OtherSource,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It is not valid.
    Refused,
    /// It names a key that is not known, and may be tomorrow.
    UnknownKey,
}

/// All keys, and what claims must be.
#[derive(Debug)]
pub(super) struct Tokens {
    rules: Rules,
    own: Vec<Key>,
    source: Option<Arc<KeySource>>,
}

/// What becomes of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Good,
    Bad,
    /// Nobody knows the key that it names.
    UnknownKey,
}

impl Tokens {
    /// As `auth.*` says. Reads the files; the set is fetched by [`KeySource::keep`].
    ///
    /// # Errors
    /// [`KeyError`]
    pub(super) fn from_config(config: &AuthConfig) -> Result<Self, KeyError> {
        let source = config.jwks_url.as_deref().map(KeySource::new).transpose()?.map(Arc::new);
        Ok(Self { rules: Rules::from_config(config), own: own_keys(config)?, source })
    }

    /// The same with other settings, and the same set of keys.
    ///
    /// # Errors
    /// [`KeyError`]
    pub(super) fn changed(&self, config: &AuthConfig) -> Result<Self, KeyError> {
        if config.jwks_url.as_deref() != self.source.as_ref().map(|source| source.address()) {
            return Err(KeyError::OtherSource);
        }
        Ok(Self { rules: Rules::from_config(config), own: own_keys(config)?, source: self.source.clone() })
    }

    /// Whether no token can be valid.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.source.is_none()
    }

    /// Where further keys come from.
    pub(super) fn source(&self) -> Option<&Arc<KeySource>> {
        self.source.as_ref()
    }

    /// Checks a token with the keys that are known. When it names another one, that is asked for.
    pub(super) fn check_now(&self, token: &str, now: Timestamp) -> Result<Grant, NotTaken> {
        let sealed = Sealed::read(token).map_err(|Refused| NotTaken::Refused)?;
        match (self.prove(&sealed), &self.source) {
            (Proof::Good, _) => sealed.grant(&self.rules, now).map_err(|Refused| NotTaken::Refused),
            (Proof::UnknownKey, Some(source)) => {
                source.ask(Instant::now());
                Err(NotTaken::UnknownKey)
            }
            _ => Err(NotTaken::Refused),
        }
    }

    /// Checks a token. When it names a key that is not known, waits for a moment whether it comes.
    pub(super) async fn check(&self, token: &str, now: Timestamp) -> Result<Grant, Refused> {
        let sealed = Sealed::read(token)?;
        let proof = match (self.prove(&sealed), &self.source) {
            (Proof::UnknownKey, Some(source)) => {
                timeout(PATIENCE, self.prove_later(&sealed, source)).await.unwrap_or(Proof::UnknownKey)
            }
            (proof, _) => proof,
        };
        if proof == Proof::Good { sealed.grant(&self.rules, now) } else { Err(Refused) }
    }

    async fn prove_later(&self, sealed: &Sealed<'_>, source: &KeySource) -> Proof {
        let Some(mut rounds) = source.rounds() else { return Proof::UnknownKey };
        while source.ask(Instant::now()) && rounds.ended().await {
            let proof = self.prove(sealed);
            if proof != Proof::UnknownKey {
                return proof;
            }
        }
        self.prove(sealed) // It may have come since it was looked for.
    }

    /// A key that a token names is the only one that counts, by its own algorithm. Who names none, or one that is not in the
    /// set, is held against all keys of the algorithm that have no name, and of the set's against the only one that it can
    /// mean.
    fn prove(&self, sealed: &Sealed<'_>) -> Proof {
        let set = self.source.as_ref().map(|source| source.keys()).unwrap_or_default();
        let has_signed =
            |key: &Key| key.algorithm() == sealed.algorithm && key.has_signed(sealed.message, sealed.signature);
        let named = set.named(sealed.kid.as_deref(), sealed.algorithm);
        let (lone, is_unknown) = match named {
            Named::Key(key) => return if has_signed(key) { Proof::Good } else { Proof::Bad },
            Named::Lone(key) => (Some(key), false),
            Named::Unknown => (None, sealed.algorithm != Algorithm::HS256),
            Named::No => (None, false),
        };
        let mut candidates = self.own.iter().chain(set.unnamed()).chain(lone);
        if candidates.any(has_signed) {
            return Proof::Good;
        }
        if is_unknown { Proof::UnknownKey } else { Proof::Bad }
    }
}

/// The keys that no set has: the secrets, the current one first, and the files'.
fn own_keys(config: &AuthConfig) -> Result<Vec<Key>, KeyError> {
    if config.public_keys.len() > MAX_FILES {
        return Err(KeyError::TooMany);
    }
    let secrets = [&config.jwt_secret, &config.previous_jwt_secret].into_iter().flatten().map(Key::of_secret).map(Ok);
    secrets.chain(config.public_keys.iter().map(|path| read_key(path))).collect()
}

fn read_key(path: &Path) -> Result<Key, KeyError> {
    let text = read_text(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    Key::from_pem(&text).map_err(|fault| KeyError::Key { path: path.to_owned(), fault })
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 64 KiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
