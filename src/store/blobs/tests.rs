//! Files of documents, as they are and as others may take them away.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, time::SystemTime};

use super::*;

async fn write(blobs: &Blobs, tenant: &Tenant, bytes: &[u8]) -> String {
    let mut part = blobs.begin(tenant).await.expect("begun");
    for piece in bytes.chunks(3) {
        part.write(piece).await.expect("written");
    }
    assert_eq!(part.bytes(), bytes.len() as u64);
    blobs.place(tenant, part).await.expect("placed").file.clone()
}

fn path(data: &tempfile::TempDir, tenant: &Tenant, hash: &str) -> PathBuf {
    data.path().join("blobs").join(names::folder_of(tenant)).join(hash)
}

async fn shared(data: &tempfile::TempDir) -> Blobs {
    Blobs::shared(data.path().to_str().expect("UTF-8"), data.path()).await.expect("a folder")
}

fn names(folder: &Path) -> Vec<String> {
    let found = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("read"));
    found.filter(|entry| entry.file_type().is_file()).map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn content_is_kept_once_for_a_tenant_and_never_for_two() {
    let data = tempfile::tempdir().expect("folder");
    let blobs = Blobs::new(data.path());
    let (north, south) = (Tenant::new("north"), Tenant::new("south"));
    let hash = write(&blobs, &north, b"The same content").await;
    assert_eq!(write(&blobs, &north, b"The same content").await, hash);
    assert_eq!(names(data.path()).len(), 1);
    assert!(blobs.hold(&south, &hash, &hash).await.expect("told").is_none(), "nobody learns that another one has it");
    assert_eq!(write(&blobs, &south, b"The same content").await, hash);
    assert_eq!(names(data.path()).len(), 2);
    assert_eq!(blobs.hold(&north, &hash, &hash).await.expect("told").expect("there").bytes, 16);

    let at = path(&data, &north, &hash);
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&at), mode(at.parent().expect("folder"))), (0o600, 0o700));
    blobs.remove(&north, async { Ok::<_, ()>(vec![hash.clone()]) }).await.expect("removed");
    assert!(!at.exists() && path(&data, &south, &hash).exists());
}

#[tokio::test]
async fn what_is_not_whole_leaves_nothing() {
    let data = tempfile::tempdir().expect("folder");
    let blobs = Blobs::new(data.path());
    let tenant = Tenant::new("t");
    let mut part = blobs.begin(&tenant).await.expect("begun");
    part.write(b"half").await.expect("written");
    drop(part);
    assert_eq!(names(data.path()), Vec::<String>::new());
    std::mem::forget(blobs.begin(&tenant).await.expect("begun")); // As a process that was killed.
    blobs.clear_parts().await.expect("cleared");
    assert_eq!(names(data.path()), Vec::<String>::new());
}

#[tokio::test]
async fn where_others_have_the_files_what_was_new_lately_stays() {
    let data = tempfile::tempdir().expect("folder");
    let (one, other) = (shared(&data).await, shared(&data).await);
    let tenant = Tenant::new("t");
    let hash = write(&one, &tenant, b"shared").await;
    let path = path(&data, &tenant, &hash);
    let remove = async || other.remove(&tenant, async { Ok::<_, ()>(vec![hash.clone()]) }).await.expect("told");
    remove().await;
    assert!(path.exists(), "its row may be on its way");
    let age = || {
        let file = std::fs::File::options().append(true).open(&path).expect("there");
        file.set_modified(SystemTime::now() - 2 * GRACE).expect("set");
    };
    age();
    assert!(one.hold(&tenant, &hash, &hash).await.expect("told").is_some());
    remove().await;
    assert!(path.exists(), "it was marked");
    age();
    remove().await;
    assert_eq!(names(data.path()), Vec::<String>::new());
    assert!(one.hold(&tenant, &hash, &hash).await.expect("told").is_none());
    std::mem::forget(one.begin(&tenant).await.expect("begun"));
    other.clear_parts().await.expect("looked through");
    assert_eq!(names(data.path()).len(), 1, "somebody else may be at it");
}

#[tokio::test]
async fn what_was_placed_long_ago_is_not_relied_on() {
    let data = tempfile::tempdir().expect("folder");
    let blobs = Blobs::new(data.path());
    let part = blobs.begin(&Tenant::new("t")).await.expect("begun");
    let mut placed = blobs.place(&Tenant::new("t"), part).await.expect("placed");
    assert!(!placed.may_be_gone());
    placed.since -= ORPHAN_AGE;
    assert!(placed.may_be_gone(), "others may have looked through the files");
}

#[tokio::test]
async fn what_was_just_placed_is_no_orphan_and_texts_go_at_once() {
    let data = tempfile::tempdir().expect("folder");
    let blobs = Blobs::new(data.path());
    let tenant = Tenant::new("t");
    let hash = write(&blobs, &tenant, b"new").await;
    blobs.keep_text(&tenant, "abc.1", "a text").await.expect("kept");
    assert_eq!(blobs.orphans(&tenant).await.expect("read"), ["abc.1"]);
    let old = SystemTime::now() - 2 * ORPHAN_AGE;
    std::fs::File::open(path(&data, &tenant, &hash)).expect("there").set_modified(old).expect("set");
    assert_eq!(blobs.orphans(&tenant).await.expect("read").len(), 2);
    assert!(blobs.orphans(&Tenant::new("u")).await.expect("read").is_empty());
}
