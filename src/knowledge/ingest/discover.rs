//! Which files an ingestion is about. Blocking; reads names only.

use std::{
    collections::HashSet,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use walkdir::WalkDir;

use super::summary::IngestFailure;
use crate::knowledge::extract::{ExtractError, Kind};

/// The most files of one ingestion.
const MAX_FILES: usize = 100_000;
/// How deep folders are followed.
const MAX_DEPTH: usize = 32;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    /// Absolute and without links: what the document's id is made of.
    pub(super) path: PathBuf,
    /// What readers see: the path below the working folder with `/`, or below the given folder's parent when it lies
    /// elsewhere. Two files can have the same.
    pub(super) uri: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Discovered {
    /// In a fixed order, each once.
    pub(super) files: Vec<SourceFile>,
    /// Files in formats that cannot be read.
    pub(super) skipped: usize,
    /// Paths that are not there or cannot be looked into, and the first file beyond the bound.
    pub(super) failures: Vec<IngestFailure>,
}

/// Looks through files and folders, until `stop` says so. Symbolic links below a folder are not followed: they can lead
/// out of it, or in circles.
pub(super) fn discover(paths: &[PathBuf], working_folder: &Path, stop: &dyn Fn() -> bool) -> Discovered {
    at_most(MAX_FILES, paths, working_folder, stop)
}

fn at_most(max_files: usize, paths: &[PathBuf], working_folder: &Path, stop: &dyn Fn() -> bool) -> Discovered {
    let mut found = Discovered::default();
    let mut seen = HashSet::new();
    for given in paths {
        let root = match given.canonicalize() {
            Ok(root) => root,
            Err(error) => {
                found.failures.push(IngestFailure { uri: given.display().to_string(), reason: error.to_string() });
                continue;
            }
        };
        // Everything is below `/`: a process that was started there has no working folder of its own.
        let is_below = working_folder.parent().is_some() && root.starts_with(working_folder);
        let base = if is_below { working_folder } else { root.parent().unwrap_or(&root) };
        for entry in WalkDir::new(&root).max_depth(MAX_DEPTH).sort_by_file_name().into_iter().filter_entry(is_shown) {
            if stop() {
                return found;
            }
            let path = match entry {
                Ok(entry) if entry.file_type().is_file() => entry.into_path(),
                Ok(_) => continue,
                Err(error) => {
                    let path = error.path().unwrap_or(&root);
                    let reason = error.io_error().map_or_else(|| "cannot be read".to_owned(), ToString::to_string);
                    found.failures.push(IngestFailure { uri: uri(path, base), reason });
                    continue;
                }
            };
            if Kind::promised(&path).is_none() {
                // Whoever names a file wants it; a folder may have anything in it.
                if path == root {
                    let reason = ExtractError::UnsupportedType.to_string();
                    found.failures.push(IngestFailure { uri: uri(&path, base), reason });
                } else {
                    found.skipped += 1;
                }
                continue;
            }
            if seen.contains(&path) {
                continue;
            }
            let uri = uri(&path, base);
            if found.files.len() == max_files {
                let reason = format!("more than {max_files} files at once: this one and those after it were left out");
                found.failures.push(IngestFailure { uri, reason });
                return found;
            }
            seen.insert(path.clone());
            found.files.push(SourceFile { path, uri });
        }
    }
    found
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

    fn all(paths: &[PathBuf], working_folder: &Path) -> Discovered {
        discover(paths, working_folder, &|| false)
    }

    fn uris(found: &Discovered) -> Vec<&str> {
        found.files.iter().map(|file| file.uri.as_str()).collect()
    }

    #[test]
    fn folders_are_read_in_order_without_links_and_hidden_files() {
        let temporary = tempfile::tempdir().expect("folder");
        let work = temporary.path().canonicalize().expect("path");
        for name in ["docs/b.md", "docs/a.txt", "docs/c.rtf", "docs/sub/a.md", "docs/.git/x.md", "elsewhere.md"] {
            let path = work.join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folder");
            fs::write(path, name).expect("file");
        }
        std::os::unix::fs::symlink(work.join("elsewhere.md"), work.join("docs/link.md")).expect("link");
        std::os::unix::fs::symlink(work.join("docs"), work.join("docs/loop")).expect("link");
        let found = all(&[work.join("docs"), work.join("docs/sub"), work.join("gone")], &work);
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
            assert_eq!(uris(&all(&[work.join(given)], &work)), ["docs/sub/a.md"], "{given}");
        }
        // Outside of the working folder nothing above the given folder shows.
        for elsewhere in ["/nowhere", "/"] {
            assert_eq!(uris(&all(&[work.join("docs")], Path::new(elsewhere))), ["docs/sub/a.md"]);
        }
    }

    #[test]
    fn files_of_the_same_name_are_two_files() {
        let temporary = tempfile::tempdir().expect("folder");
        let work = temporary.path().canonicalize().expect("path");
        for folder in ["a", "b"] {
            fs::create_dir(work.join(folder)).expect("folder");
            fs::write(work.join(folder).join("readme.md"), folder).expect("file");
        }
        let found = all(&[work.join("a/readme.md"), work.join("b/readme.md")], Path::new("/nowhere"));
        assert_eq!(uris(&found), ["readme.md", "readme.md"]);
        assert_eq!(found.failures, []);
    }

    #[test]
    fn the_bound_counts_what_can_be_read_and_is_reported_once() {
        let temporary = tempfile::tempdir().expect("folder");
        let work = temporary.path().canonicalize().expect("path");
        for name in ["1.png", "2.png", "3.png", "4.md", "5.md", "6.md", "7.md"] {
            fs::write(work.join(name), name).expect("file");
        }
        let found = at_most(2, std::slice::from_ref(&work), &work, &|| false);
        assert_eq!(uris(&found), ["4.md", "5.md"]);
        assert_eq!((found.skipped, found.failures.len()), (3, 1));
        assert_eq!(found.failures[0].uri, "6.md");
        // As many as may be are no failure.
        assert_eq!(at_most(4, std::slice::from_ref(&work), &work, &|| false).failures, []);
        assert_eq!(uris(&at_most(4, std::slice::from_ref(&work), &work, &|| true)), [""; 0]);
    }
}
