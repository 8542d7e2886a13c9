//! Documents out of a folder, the way of uploads: checked, written beside their place, accepted one by one.

use std::path::Path;

use tokio::{
    fs::{self, File},
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
};

use super::entry::{self, ArchiveError, Entry, Head, MAX_LINE};
use crate::{
    chat::printable,
    knowledge::{
        Collection,
        extract::promised,
        fields,
        jobs::{Documents, DocumentsError, Submission},
    },
    store::{
        blobs::Part,
        documents::{Accepted, Target, Tenant},
    },
};

/// How many refusals are told, each with its reason.
const MAX_TOLD: usize = 100;
/// The most bytes of a reason: the words may be those of the list.
const MAX_REASON: usize = 500;
/// Bytes that are copied at a time.
const PIECE: usize = 64 << 10;
/// How many bytes of a file tell what it is.
const HEAD: usize = 8 << 10;

/// What was taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Documents that are new, or have a new version; a gateway works on them.
    pub accepted: usize,
    /// Documents that are as they were.
    pub unchanged: usize,
    /// Lines that were refused,
    pub refused: usize,
    /// and why the first hundred of them were.
    pub reasons: Vec<String>,
}

/// Takes every document of a folder in, for `tenant`. A line that is refused leaves the others.
///
/// # Errors
/// When the list of the documents cannot be read, or the store or its disk refuses; what was accepted before stays.
pub async fn import(documents: &Documents, tenant: &Tenant, folder: &Path) -> Result<Imported, ArchiveError> {
    let path = entry::list(folder);
    let mut lines = BufReader::new(File::open(&path).await.map_err(ArchiveError::at(&path))?);
    let mut done = Imported::default();
    let mut number = 0_u64;
    let mut line = Vec::new();
    loop {
        number += 1;
        line.clear();
        let read = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).await.map_err(ArchiveError::at(&path))?;
        if number == 1 {
            let head = serde_json::from_slice::<Head>(&line).ok();
            head.filter(Head::is_ours).ok_or_else(|| ArchiveError::NotOurs(path.clone()))?;
            continue;
        }
        if read == 0 {
            return Ok(done);
        }
        let came = if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            // What follows belongs to nothing.
            Err(Refused::Last(format!("is longer than {MAX_LINE} bytes")))
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            one(documents, tenant, folder, &line).await
        };
        match came {
            Ok(true) => done.accepted += 1,
            Ok(false) => done.unchanged += 1,
            Err(Refused::Ended(error)) => return Err(error),
            Err(Refused::This(reason)) => refuse(&mut done, number, &reason),
            Err(Refused::Last(reason)) => {
                refuse(&mut done, number, &reason);
                return Ok(done);
            }
        }
    }
}

fn refuse(done: &mut Imported, number: u64, reason: &str) {
    done.refused += 1;
    if done.reasons.len() < MAX_TOLD {
        done.reasons.push(format!("line {number}: {}", printable(reason, MAX_REASON)));
    }
}

enum Refused {
    /// This document, and why.
    This(String),
    /// This one, and nothing behind it can be read.
    Last(String),
    /// None of the others will go better.
    Ended(ArchiveError),
}

impl From<DocumentsError> for Refused {
    fn from(error: DocumentsError) -> Self {
        Self::Ended(error.into())
    }
}

fn this(reason: impl std::fmt::Display) -> Refused {
    Refused::This(reason.to_string())
}

/// Takes one document in; whether it brought anything new.
async fn one(documents: &Documents, tenant: &Tenant, folder: &Path, line: &[u8]) -> Result<bool, Refused> {
    let entry: Entry = serde_json::from_slice(line).map_err(this)?;
    Collection::of(tenant.clone(), &entry.collection).map_err(this)?;
    let key = fields::key(&entry.key).map_err(this)?;
    let name = fields::file_name(&entry.name).map_err(this)?;
    let title = entry.title.as_deref().map(fields::title).transpose().map_err(this)?;
    let uri = entry.uri.as_deref().map(fields::uri).transpose().map_err(this)?;
    let metadata = entry.metadata.clone().map(fields::metadata).transpose().map_err(this)?;
    if !entry::is_hash(&entry.blake3) {
        return Err(this("`blake3` is no hash of 64 digits"));
    }
    let mut part = documents.begin(tenant).await?;
    let head = fill(&mut part, &entry, folder, documents.bounds().bytes).await?;
    let media_type = promised(&name, &head).map_err(this)?.media_type().to_owned();
    let target = Target::Key { collection: entry.collection, key };
    let submission = Submission { target, name, media_type, title, uri, metadata, request: None };
    match documents.accept(tenant, part, submission).await? {
        Accepted::Queued { .. } | Accepted::Joined(..) => Ok(true),
        Accepted::Unchanged { .. } => Ok(false),
        Accepted::Deleting => Err(this("a collection of this name is being deleted")),
        Accepted::TooManyDocuments => Err(this("there are as many documents as there may be")),
        Accepted::TooManyCollections => Err(this("there are as many collections as there may be")),
        Accepted::Conflict | Accepted::NotFound => Err(this("it is known as something else")),
    }
}

/// Copies the content; its first bytes.
async fn fill(part: &mut Part, entry: &Entry, folder: &Path, most: u64) -> Result<Vec<u8>, Refused> {
    let path = entry::files(folder).join(&entry.blake3);
    let unread = |error| this(ArchiveError::at(&path)(error));
    // A link could lead anywhere, and a pipe has no end.
    if !fs::symlink_metadata(&path).await.map_err(unread)?.is_file() {
        return Err(this("its content is no file"));
    }
    let mut file = File::open(&path).await.map_err(unread)?;
    let (mut piece, mut head) = (vec![0; PIECE], Vec::new());
    loop {
        let read = file.read(&mut piece).await.map_err(unread)?;
        if read == 0 {
            break;
        }
        if part.bytes() + read as u64 > most {
            return Err(this(format!("its content has more than {most} bytes")));
        }
        let missing = HEAD.saturating_sub(head.len()).min(read);
        head.extend_from_slice(&piece[..missing]);
        part.write(&piece[..read]).await.map_err(DocumentsError::Files)?;
    }
    if part.bytes() == 0 {
        return Err(this("its content is empty"));
    }
    if part.hash() != entry.blake3 {
        return Err(this("its content is not what its hash says"));
    }
    Ok(head)
}
