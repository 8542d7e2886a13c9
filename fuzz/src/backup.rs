//! Backups that somebody else has made.

use std::{fs, io::Cursor, path::Path};

use rivulet::backup::restore;
use serde_json::json;

use super::{data::folder, parts::parts};

/// The entry that lists the others.
const LIST: &str = "rivulet-backup.json";
/// What a data folder may have in it.
const KNOWN: [&str; 4] = ["blobs", "lancedb", "rivulet.db", "texts"];

/// A backup becomes a data folder as a whole, or nothing is left of it, there or elsewhere. The input is the parts of
/// an archive, whose list is made when it is empty, or else an archive, or else any bytes.
pub fn backup(bytes: &[u8]) {
    let folder = folder();
    let (file, data) = (folder.path().join("backup"), folder.path().join("data"));
    let archive = parts(bytes).filter(|parts| !parts.is_empty()).map(archive);
    for content in [archive.unwrap_or_else(|| bytes.to_vec())].iter().flat_map(|tar| [compressed(tar), tar.clone()]) {
        fs::write(&file, content).expect("written");
        let restored = restore(&file, &data, None);
        let mut left = names(&data);
        match restored {
            Ok(summary) => {
                assert!(summary.files > 0 && left.iter().all(|name| KNOWN.contains(&name.as_str())), "{left:?}");
                left.retain(|name| name == "rivulet.db");
                assert_eq!(left.len(), 1);
                fs::remove_dir_all(&data).expect("removed");
            }
            Err(error) => {
                assert!(left.is_empty(), "{left:?} is left after {error}");
                assert!(!error.to_string().is_empty());
            }
        }
        assert!(names(folder.path()).iter().all(|name| name == "backup" || name == "data"));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn compressed(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 1).expect("there is memory for it")
}

fn archive(parts: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let listed = |(name, content): &(String, Vec<u8>)| {
        (name.clone(), json!({ "bytes": content.len(), "blake3": blake3::hash(content).to_string() }))
    };
    let files: serde_json::Map<_, _> = parts.iter().filter(|(name, _)| name != LIST).map(listed).collect();
    let list = json!({ "layout": 1, "version": "0", "files": files }).to_string().into_bytes();
    let mut tar = tar::Builder::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        let content = if name == LIST && content.is_empty() { list.clone() } else { content };
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        // As it stands there, also when it leads elsewhere.
        let field = &mut header.as_old_mut().name;
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name.as_bytes()[..length]);
        header.set_cksum();
        tar.append(&header, &content[..]).expect("there is memory for it");
    }
    tar.into_inner().expect("there is memory for it").into_inner()
}
