//! A data folder in one file, taken while the gateway runs, and the folder made of it again.
//!
//! The database is a snapshot of one moment; the files beside it are never changed, only made and removed, so links to them
//! hold them as they were (`stage.rs`). What is written is a tar archive, compressed with zstd and, when there is somebody to
//! encrypt it for, in the format of age, so that it can be opened without the gateway too (`archive.rs`). Its last entry lists
//! every file with its hash: what does not end with that is not whole. Uses `store`.

mod archive;
mod create;
mod error;
mod keys;
mod restore;
mod stage;
mod workspace;

pub use self::{
    create::create,
    error::{BackupError, Summary},
    keys::{Identity, Recipient},
    restore::restore,
};
