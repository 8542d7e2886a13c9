//! What must hold of everything that reads foreign bytes, whatever the bytes: one function each, which panics when it
//! does not. `fuzz_targets` gives them to libFuzzer, and `tests/it/fuzz.rs` gives them all that was ever interesting.

mod archive;
mod backup;
mod completions;
mod config;
mod credentials;
mod data;
mod documents;
mod frames;
mod heads;
mod names;
mod parts;
mod requests;
mod tools;
mod upstream;

pub use self::{
    archive::archive, backup::backup, completions::completions, config::config, credentials::credentials,
    documents::documents, frames::frames, heads::heads, names::names, requests::requests, tools::tools,
    upstream::upstream,
};
