//! Documents in a folder, to be kept elsewhere or taken to another gateway: `documents.jsonl` names them, `files` has the
//! contents under their BLAKE3 hashes.
//!
//! What is read from such a folder may come from anybody: it goes the way of an upload, and no name in it becomes a path.

mod entry;
mod export;
mod import;

pub use entry::ArchiveError;
pub use export::{Exported, export};
pub use import::{Imported, import};
