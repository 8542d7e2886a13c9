//! Documents, versions and work as they are stored.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::tenant::Tenant;
use crate::chat::{DocumentId, JobId, Timestamp};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All that there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, as it is stored and told.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

names!(
    /// How far the newest version of a document is.
    DocumentState {
        /// It waits for its turn.
        Queued = "queued",
        /// It is being worked on.
        Indexing = "indexing",
        /// It answers.
        Ready = "ready",
        /// It cannot be read, or nobody wanted it to be. An older version may answer.
        Failed = "failed",
        /// It seems to give a model instructions, and is held back until an admin lets it. An older version may answer.
        Quarantined = "quarantined",
    }
);
names!(
    /// How far work is.
    JobState {
        /// It waits for its turn.
        Queued = "queued",
        /// Somebody is at it.
        Running = "running",
        /// It is done.
        Done = "done",
        /// It cannot be done.
        Failed = "failed",
        /// Nobody wanted it any more.
        Cancelled = "cancelled",
    }
);
names!(
    /// What work is about.
    JobKind {
        /// A version of a document into the index.
        Index = "index",
        /// A document out of it.
        Delete = "delete",
        /// A collection out of it.
        Drop = "drop",
    }
);
names!(
    /// What is being done with a document.
    Stage {
        /// Its text is read.
        Parse = "parse",
        /// The text is cut.
        Chunk = "chunk",
        /// The pieces get their vectors.
        Embed = "embed",
        /// They go into the index.
        Write = "write",
        /// The word index learns of them.
        Index = "index",
    }
);

impl JobState {
    /// Whether nothing more will become of it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// For programs.
    pub code: String,
    /// For people; holds nothing of the inside.
    pub detail: String,
}

impl Fault {
    /// A fault of this code.
    #[must_use]
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentRecord {
    /// Its id.
    pub id: DocumentId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The collection it is in.
    pub collection: String,
    /// What its source calls it.
    pub key: String,
    /// Its title; the file's name until the text is read.
    pub title: String,
    /// How far its newest version is.
    pub state: DocumentState,
    /// Why that one failed.
    pub fault: Option<Fault>,
    /// The version that answers, when there is one.
    pub indexed_version: Option<u32>,
    /// What the client wanted to remember.
    pub metadata: Option<Value>,
    /// When it came.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its newest version.
    pub newest: VersionRecord,
    /// The last work on it.
    pub job: Option<JobRecord>,
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRecord {
    /// Its number, from 1.
    pub version: u32,
    /// The file's name.
    pub name: String,
    /// The title that was given with it.
    pub title: Option<String>,
    /// What is shown of where it comes from, when that is not the document's key.
    pub uri: Option<String>,
    /// Its media type.
    pub media_type: String,
    /// The hash of its bytes.
    pub blob: String,
    /// The name under which they lie: see [`Content::file`](super::Content::file).
    pub file: String,
    /// How many they are.
    pub bytes: u64,
    /// The hash of its rows in the index.
    pub doc_hash: Option<String>,
    /// The encoding it was in.
    pub encoding: Option<String>,
    /// What was noticed when it was read.
    pub warnings: Vec<String>,
    /// Why it was held back, or would have been.
    pub flags: Vec<String>,
    /// Whether an admin has let it, whatever its flags are.
    pub is_released: bool,
    /// Its pages, in formats that have some.
    pub pages: Option<u32>,
    /// Its chunks, once it was cut.
    pub chunks: Option<u32>,
    /// When it came.
    pub created_at: Timestamp,
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub tenant: Tenant,
    /// What it is about.
    pub kind: JobKind,
    /// The collection.
    pub collection: String,
    /// The document; of a collection that is removed, none.
    pub document: Option<DocumentId>,
    /// The version of it.
    pub version: Option<u32>,
    /// How far it is.
    pub state: JobState,
    /// What is being done.
    pub progress: Progress,
    /// How often it was begun.
    pub attempts: u32,
    /// Whether it was told to end.
    pub cancelling: bool,
    /// Why it failed, or will be tried again.
    pub fault: Option<Fault>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl JobRecord {
    /// Whether it works on a version that may still come to answer.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.state.has_ended() && !self.cancelling && self.kind == JobKind::Index
    }
}

/// How far work is. `done` never falls, and is never more than `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Grows with every change.
    pub revision: u64,
    /// What is being done.
    pub stage: Option<Stage>,
    /// Chunks that have their vectors.
    pub done: u32,
    /// Chunks in all; 0 until that is known.
    pub total: u32,
}
