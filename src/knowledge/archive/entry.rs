//! The lines of `documents.jsonl`, and where things are in the folder.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{knowledge::jobs::DocumentsError, store::StoreError};

/// What the first line says.
const FORMAT: &str = "rivulet-documents";
/// The layout that this program writes and reads.
const LAYOUT: u32 = 1;
/// The longest line, in bytes: a key, a title, a name and metadata are bounded, too.
pub(super) const MAX_LINE: u64 = 64 << 10;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    format: String,
    layout: u32,
}

impl Head {
    pub(super) fn new() -> Self {
        Self { format: FORMAT.to_owned(), layout: LAYOUT }
    }

    /// Whether this program can read what follows.
    pub(super) fn is_ours(&self) -> bool {
        self.format == FORMAT && self.layout == LAYOUT
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) collection: String,
    /// What its source calls it.
    pub(super) key: String,
    /// The name of its file.
    pub(super) name: String,
    /// The title that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    /// What is shown of where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Value>,
    /// The hash of its content, and the name of the file with it.
    pub(super) blake3: String,
    pub(super) bytes: u64,
    /// Which version of the document it was; for people.
    #[serde(default)]
    pub(super) version: u32,
}

/// Where the documents are named.
pub(super) fn list(folder: &Path) -> PathBuf {
    folder.join("documents.jsonl")
}

/// Where the contents are.
pub(super) fn files(folder: &Path) -> PathBuf {
    folder.join("files")
}

/// The name of a content, when it is one.
pub(super) fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Why documents are not written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder to write to has something in it.
    #[error("{0} is not empty: an export begins with a folder of its own")]
    NotEmpty(PathBuf),
    /// What should be read is nothing that was written by this program.
    #[error("{0}: line 1 does not say that this is an export of documents that this program can read")]
    NotOurs(PathBuf),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The gateway's own files.
    #[error(transparent)]
    Documents(#[from] DocumentsError),
}

impl ArchiveError {
    /// An error of a file.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
