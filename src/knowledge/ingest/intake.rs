//! Where documents are handed in, and what is handed in.

use std::{fs, future::Future, path::Path};

use super::{IngestError, discover::SourceFile};
use crate::{
    chat::JobId,
    knowledge::extract::{ExtractError, MAX_FILE_BYTES},
    store::documents::JobState,
};

/// A file that is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// What the document is known by, whatever is shown of it.
    pub key: String,
    /// What is shown of where it lies.
    pub uri: String,
    /// The file's name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It is being worked on, and is a new document or a new version of one.
    Queued {
        /// The work.
        job: JobId,
        /// Whether the document is new.
        is_new: bool,
    },
    /// It is as it was.
    Unchanged,
    /// There is nothing in it, and its document is gone.
    Removed,
    /// There is nothing in it, and there was no document.
    Nothing,
    /// It cannot be taken; why.
    Refused(String),
}

/// Takes documents of one collection.
pub trait Intake: Sync {
    /// Takes a file. One that is empty takes its document away.
    fn hand_in(&self, handed: Handed) -> impl Future<Output = Result<Receipt, IngestError>> + Send;

    /// Waits for the end of work: the chunks that came of it, or why nothing did.
    fn ended(&self, job: &JobId) -> impl Future<Output = Result<Result<usize, String>, IngestError>> + Send;

    /// Deletes the document that is known by this key; whether there was one.
    fn remove(&self, key: &str) -> impl Future<Output = Result<bool, IngestError>> + Send;
}

/// What is told of work whose document is not there any more.
pub const WORK_GONE: &str = "it was deleted meanwhile";

/// What came of work: its chunks, or why there are none; `None` while it goes on.
#[must_use]
pub fn work_outcome(state: JobState, chunks: usize, fault: Option<&str>) -> Option<Result<usize, String>> {
    match state {
        JobState::Queued | JobState::Running => None,
        JobState::Done => Some(Ok(chunks)),
        JobState::Cancelled => Some(Err("it was replaced or cancelled meanwhile".to_owned())),
        JobState::Failed => Some(Err(fault.unwrap_or("it failed").to_owned())),
    }
}

impl Handed {
    /// Reads a file; the error is the reason for people. Blocks.
    pub(super) fn read(file: &SourceFile) -> Result<Self, String> {
        let size = fs::metadata(&file.path).map_err(|error| error.to_string())?.len();
        if size > MAX_FILE_BYTES {
            return Err(ExtractError::TooLarge.to_string());
        }
        let bytes = fs::read(&file.path).map_err(|error| error.to_string())?;
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { key: key(&file.path), uri: file.uri.clone(), name, bytes })
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }
}

/// Stays the same as long as the file stays where it is, and tells nobody where that is. `path` is absolute and without
/// links.
pub(super) fn key(path: &Path) -> String {
    format!("file:{}", &blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex()[..32])
}
