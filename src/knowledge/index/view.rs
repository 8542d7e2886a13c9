//! What one search looks at from its beginning to its end: one version of a collection.

use std::{fmt, sync::Arc};

use lancedb::Table;

use super::memory::Snapshot;

/// One version of a collection.
#[derive(Clone)]
pub(crate) enum View {
    /// There is no such collection.
    Nothing,
    /// Its copy in memory.
    Copy(Arc<Snapshot>),
    /// The table itself at a version, which is slower.
    Table(Table, u64),
}

impl View {
    /// Which version it is: another one whenever something else could be found. 0 while there is no such collection.
    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Copy(snapshot) => snapshot.version(),
            Self::Table(_, version) => *version,
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Nothing => "nothing",
            Self::Copy(_) => "copy",
            Self::Table(..) => "table",
        };
        f.debug_struct("View").field("kind", &kind).field("version", &self.version()).finish()
    }
}
