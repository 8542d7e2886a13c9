//! The commands of the `rivulet` binary, one file each: arguments in, text out.

pub mod ingest;
pub mod search;
