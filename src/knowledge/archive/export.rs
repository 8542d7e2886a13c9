//! Documents into a folder: the versions that answer, with all that was said of them.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use futures_util::StreamExt;
use tokio::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::AsyncWriteExt,
};

use super::entry::{self, ArchiveError, Entry, Head};
use crate::{
    knowledge::jobs::DocumentsError,
    store::{
        MAX_PAGE,
        blobs::Blobs,
        documents::{DocumentFilter, DocumentRecord, DocumentStore, Tenant, VersionRecord},
    },
};

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Documents.
    pub documents: usize,
    /// Bytes of their contents, each content counted once.
    pub bytes: u64,
    /// Documents without a version that answers.
    pub silent: usize,
    /// Documents whose content is gone, or not what came in, by their keys.
    pub damaged: Vec<String>,
}

/// Writes the documents of a tenant, or of one of its collections, into a folder, which is made. Works beside a gateway.
///
/// # Errors
/// When the folder has something in it, or cannot be written, or the store does not tell. The list of the documents is
/// there when everything is.
pub async fn export(
    store: &dyn DocumentStore,
    blobs: &Blobs,
    tenant: &Tenant,
    collection: Option<&str>,
    folder: &Path,
) -> Result<Exported, ArchiveError> {
    prepare(folder).await?;
    let part = folder.join("documents.jsonl.part");
    let mut list = create(&part).await?;
    write_line(&mut list, &part, &Head::new()).await?;
    let mut done = Exported::default();
    let filter = DocumentFilter { collection: collection.map(str::to_owned), ..DocumentFilter::default() };
    let mut before = None;
    while let Some(page) = store.documents(tenant, filter.clone(), before.as_ref(), MAX_PAGE).await? {
        before = page.items.last().map(|document| document.id.clone());
        for document in page.items {
            let Some(version) = answering(store, tenant, &document).await? else {
                done.silent += 1;
                continue;
            };
            let to = entry::files(folder).join(&version.blob);
            match copy((blobs, tenant), &version, &to).await? {
                Copied::New(bytes) => done.bytes += bytes,
                Copied::Known => {}
                // Deleted meanwhile, which is no damage.
                Copied::Bad if store.document(tenant, &document.id).await?.is_none() => continue,
                Copied::Bad => {
                    done.damaged.push(document.key);
                    continue;
                }
            }
            write_line(&mut list, &part, &entry_of(document, version)).await?;
            done.documents += 1;
        }
        if !page.more {
            break;
        }
    }
    list.flush().await.map_err(ArchiveError::at(&part))?;
    list.sync_all().await.map_err(ArchiveError::at(&part))?;
    let path = entry::list(folder);
    fs::rename(&part, &path).await.map_err(ArchiveError::at(&path))?;
    for folder in [entry::files(folder), folder.to_owned()] {
        let synced = async { File::open(&folder).await?.sync_all().await };
        synced.await.map_err(ArchiveError::at(&folder))?;
    }
    Ok(done)
}

async fn answering(
    store: &dyn DocumentStore,
    tenant: &Tenant,
    document: &DocumentRecord,
) -> Result<Option<VersionRecord>, ArchiveError> {
    let versions = store.versions(tenant, &document.id).await?.unwrap_or_default();
    Ok(versions.into_iter().find(|version| Some(version.version) == document.indexed_version))
}

fn entry_of(document: DocumentRecord, version: VersionRecord) -> Entry {
    Entry {
        collection: document.collection,
        key: document.key,
        name: version.name,
        title: version.title,
        uri: version.uri,
        metadata: document.metadata,
        blake3: version.blob,
        bytes: version.bytes,
        version: version.version,
    }
}

async fn prepare(folder: &Path) -> Result<(), ArchiveError> {
    match fs::read_dir(folder).await {
        Ok(mut entries) => {
            if entries.next_entry().await.map_err(ArchiveError::at(folder))?.is_some() {
                return Err(ArchiveError::NotEmpty(folder.to_owned()));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(ArchiveError::at(folder)(error)),
    }
    let files = entry::files(folder);
    DirBuilder::new().recursive(true).mode(0o700).create(&files).await.map_err(ArchiveError::at(&files))
}

async fn create(path: &Path) -> Result<File, ArchiveError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await;
    opened.map_err(ArchiveError::at(path))
}

async fn write_line(list: &mut File, path: &Path, line: &impl serde::Serialize) -> Result<(), ArchiveError> {
    let written = async {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        list.write_all(&line).await
    };
    written.await.map_err(ArchiveError::at(path))
}

enum Copied {
    New(u64),
    /// Another document has the same content.
    Known,
    /// It is not there, or is something else.
    Bad,
}

async fn copy((blobs, tenant): (&Blobs, &Tenant), version: &VersionRecord, to: &Path) -> Result<Copied, ArchiveError> {
    if fs::try_exists(to).await.map_err(ArchiveError::at(to))? {
        return Ok(Copied::Known);
    }
    let opened = blobs.open(tenant, &version.file).await.map_err(DocumentsError::Files)?;
    let Some(mut source) = opened else { return Ok(Copied::Bad) };
    let part = PathBuf::from(format!("{}.part", to.display()));
    let mut target = create(&part).await?;
    let copied = async {
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
        while let Some(piece) = source.next().await.transpose()? {
            hasher.update(&piece);
            target.write_all(&piece).await?;
            bytes += piece.len() as u64;
        }
        target.flush().await?;
        target.sync_all().await?;
        let is_whole = hasher.finalize().to_hex().as_str() == version.blob;
        if is_whole {
            fs::rename(&part, to).await?
        } else {
            fs::remove_file(&part).await?
        }
        Ok::<_, io::Error>(if is_whole { Copied::New(bytes) } else { Copied::Bad })
    };
    copied.await.map_err(ArchiveError::at(to))
}
