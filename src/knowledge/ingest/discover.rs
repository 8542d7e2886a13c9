//! Which files an ingestion is about. Blocking; reads names only.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use walkdir::WalkDir;

use super::IngestFailure;
use crate::knowledge::extract::Format;

/// The most files of one ingestion.
const MAX_FILES: usize = 100_000;
/// How deep folders are followed.
const MAX_DEPTH: usize = 32;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    /// What readers see, and what the document's id is made of: the path below the working folder with `/`, or below
    /// the given folder's parent when it lies elsewhere.
    pub(super) uri: String,
    pub(super) format: Format,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Discovered {
    /// In a fixed order, each once.
    pub(super) files: Vec<SourceFile>,
    /// Files in formats that cannot be read.
    pub(super) skipped: usize,
    /// Paths that are not there, or cannot be looked into.
    pub(super) failures: Vec<IngestFailure>,
}

/// Looks through files and folders. Symbolic links below a folder are not followed: they can lead out of it, or in
/// circles.
pub(super) fn discover(paths: &[PathBuf], working_folder: &Path) -> Discovered {
    let mut found = Discovered::default();
    let mut seen = HashMap::new();
    for given in paths {
        let root = match given.canonicalize() {
            Ok(root) => root,
            Err(error) => {
                found.failures.push(IngestFailure { uri: given.display().to_string(), reason: error.to_string() });
                continue;
            }
        };
        let base = if root.starts_with(working_folder) { working_folder } else { root.parent().unwrap_or(&root) };
        for entry in WalkDir::new(&root).max_depth(MAX_DEPTH).sort_by_file_name().into_iter().filter_entry(is_shown) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(&root);
                    let reason = error.io_error().map_or_else(|| "cannot be read".to_owned(), ToString::to_string);
                    found.failures.push(IngestFailure { uri: uri(path, base), reason });
                    continue;
                }
            };
            if entry.file_type().is_file() {
                add(&mut found, &mut seen, entry.into_path(), base);
            }
        }
    }
    found
}

/// `seen`: uri → the file that has it.
fn add(found: &mut Discovered, seen: &mut HashMap<String, PathBuf>, path: PathBuf, base: &Path) {
    let uri = uri(&path, base);
    let mut refuse = |reason: &str| {
        found.failures.push(IngestFailure { uri: uri.clone(), reason: reason.to_owned() });
    };
    match seen.get(&uri) {
        Some(other) if *other == path => return,
        Some(_) => return refuse("another file of this ingestion has the same name"),
        None if seen.len() >= MAX_FILES => return refuse("too many files at once"),
        None => seen.insert(uri.clone(), path.clone()),
    };
    match Format::of(&path) {
        Some(format) => found.files.push(SourceFile { path, uri, format }),
        None => found.skipped += 1,
    }
}

/// Hidden files and folders (`.git`) are nobody's knowledge, unless they were named themselves.
fn is_shown(entry: &walkdir::DirEntry) -> bool {
    entry.depth() == 0 || !entry.file_name().to_str().is_some_and(|name| name.starts_with('.'))
}

fn uri(path: &Path, base: &Path) -> String {
    let relative = path.strip_prefix(base).unwrap_or(path);
    let parts = relative.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    parts.map(OsStr::to_string_lossy).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn uris(found: &Discovered) -> Vec<&str> {
        found.files.iter().map(|file| file.uri.as_str()).collect()
    }

    #[test]
    fn folders_are_read_in_order_without_links_and_hidden_files() {
        let temporary = tempfile::tempdir().expect("folder");
        let work = temporary.path().canonicalize().expect("path");
        for name in ["docs/b.md", "docs/a.txt", "docs/c.pdf", "docs/sub/a.md", "docs/.git/x.md", "elsewhere.md"] {
            let path = work.join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            fs::write(path, name).expect("file");
        }
        std::os::unix::fs::symlink(work.join("elsewhere.md"), work.join("docs/link.md")).expect("link");
        std::os::unix::fs::symlink(work.join("docs"), work.join("docs/loop")).expect("link");
        let found = discover(&[work.join("docs"), work.join("docs/sub"), work.join("gone")], &work);
        assert_eq!(uris(&found), ["docs/a.txt", "docs/b.md", "docs/sub/a.md"]);
        assert_eq!((found.skipped, found.failures.len()), (1, 1));
    }

    #[test]
    fn a_file_has_the_same_name_however_it_was_reached() {
        let temporary = tempfile::tempdir().expect("folder");
        let work = temporary.path().canonicalize().expect("path");
        fs::create_dir_all(work.join("docs/sub")).expect("folder");
        fs::write(work.join("docs/sub/a.md"), "a").expect("file");
        for given in ["docs", "docs/sub", "docs/sub/a.md", "docs/../docs/sub"] {
            assert_eq!(uris(&discover(&[work.join(given)], &work)), ["docs/sub/a.md"], "{given}");
        }
        // Outside of the working folder nothing above the given folder shows.
        assert_eq!(uris(&discover(&[work.join("docs")], Path::new("/nowhere"))), ["docs/sub/a.md"]);
    }
}
