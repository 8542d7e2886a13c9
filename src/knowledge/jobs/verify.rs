//! Whether all of it is as it should be: the store's rows, the contents and texts, the index. Reads only, and
//! works beside a gateway.

use std::{collections::HashMap, io, time::Duration};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::sleep;

use super::{
    DocumentsError,
    compare::{Should, compare},
};
use crate::{
    knowledge::{Collection, Knowledge},
    store::{
        MAX_PAGE,
        blobs::Blobs,
        documents::{DocumentFilter, DocumentRecord, DocumentState, DocumentStore, Tenant, VersionRecord, text_name},
    },
};

/// After how long it is looked at again whether what was found is still so: a gateway may be at work.
const AGAIN: Duration = Duration::from_secs(3);

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whose it is.
    pub tenant: String,
    /// The collection; of files that nobody refers to, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The document, or the file; of a whole collection, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// What its source calls the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong.
    pub wrong: Wrong,
    /// More about it, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What mends it.
    pub mended_by: Mend,
}

/// What mends something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mend {
    /// The next start of a gateway, or a gateway that runs.
    Start,
    /// `rivulet knowledge rebuild`.
    Rebuild,
    /// The same content, handed in again.
    Content,
}

impl Mend {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "a gateway mends it when it starts",
            Self::Rebuild => "`rivulet knowledge rebuild` mends it",
            Self::Content => "the same content, handed in again, mends it",
        }
    }
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// The index of a collection cannot be read.
    IndexUnreadable,
    /// A document should answer, and is not in the index.
    NotIndexed,
    /// Another version of it is in the index.
    OtherVersion,
    /// The index has a document that should not be there.
    NotExpected,
    /// The index has more or fewer chunks of it than there are.
    Chunks,
    /// The content of a version is not there.
    ContentMissing,
    /// The content of a version is not what came in.
    ContentDamaged,
    /// The text of the version that answers is not there.
    TextMissing,
    /// A file that nothing refers to.
    FileUnused,
}

impl Wrong {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IndexUnreadable => "the index cannot be read",
            Self::NotIndexed => "is not in the index",
            Self::OtherVersion => "is in the index in another version",
            Self::NotExpected => "is in the index and should not be",
            Self::Chunks => "is in the index with another number of chunks",
            Self::ContentMissing => "has no content",
            Self::ContentDamaged => "has another content than came in",
            Self::TextMissing => "has no text",
            Self::FileUnused => "is a file that nothing refers to",
        }
    }

    const fn mended_by(self) -> Mend {
        match self {
            Self::NotIndexed | Self::OtherVersion | Self::NotExpected | Self::TextMissing | Self::FileUnused => {
                Mend::Start
            }
            Self::IndexUnreadable | Self::Chunks => Mend::Rebuild,
            Self::ContentMissing | Self::ContentDamaged => Mend::Content,
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Collections.
    pub collections: usize,
    /// Documents.
    pub documents: usize,
    /// Versions of them, whose contents were read.
    pub versions: usize,
    /// Chunks in the index.
    pub chunks: usize,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

/// Looks at everything of every tenant. What is found is looked at twice, and documents that are being worked on are not
/// judged.
///
/// # Errors
/// When the store or the disk does not tell. An index that does not tell is a finding.
pub async fn verify(
    store: &dyn DocumentStore,
    knowledge: &Knowledge,
    blobs: &Blobs,
) -> Result<Verified, DocumentsError> {
    let look = Look { store, knowledge, blobs };
    let first = look.everything().await?;
    if first.findings.is_empty() {
        return Ok(first);
    }
    sleep(AGAIN).await;
    let mut second = look.everything().await?;
    second.findings.retain(|finding| first.findings.contains(finding));
    Ok(second)
}

struct Look<'a> {
    store: &'a dyn DocumentStore,
    knowledge: &'a Knowledge,
    blobs: &'a Blobs,
}

/// A document and its versions.
struct Held {
    document: DocumentRecord,
    versions: Vec<VersionRecord>,
}

impl Held {
    fn answering(&self) -> Option<&VersionRecord> {
        self.versions.iter().find(|version| Some(version.version) == self.document.indexed_version)
    }

    fn is_at_rest(&self) -> bool {
        !matches!(self.document.state, DocumentState::Queued | DocumentState::Indexing)
    }
}

impl Look<'_> {
    async fn everything(&self) -> Result<Verified, DocumentsError> {
        let mut found = Verified::default();
        let deleted: Vec<String> =
            self.store.deleted().await?.0.into_iter().map(|known| known.document.as_str().to_owned()).collect();
        for tenant in self.store.tenants().await? {
            for own in self.store.collections(&tenant).await?.into_iter().filter(|own| !own.is_deleting) {
                let collection = Collection::of(tenant.clone(), &own.name)?;
                let held = self.held(&tenant, &own.name).await?;
                found.collections += 1;
                found.documents += held.len();
                self.index(&collection, &held, &deleted, &mut found).await;
                self.files(&tenant, &held, &mut found).await?;
            }
            let unused = self.store.unused(&tenant, self.blobs.orphans(&tenant).await?).await?;
            found.findings.extend(unused.into_iter().map(|name| finding(&tenant, None, Some(name), Wrong::FileUnused)));
        }
        Ok(found)
    }

    async fn held(&self, tenant: &Tenant, collection: &str) -> Result<Vec<Held>, DocumentsError> {
        let filter = DocumentFilter { collection: Some(collection.to_owned()), ..DocumentFilter::default() };
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = self.store.documents(tenant, filter.clone(), before.as_ref(), MAX_PAGE).await?;
            let Some(page) = page else { return Ok(all) };
            before = page.items.last().map(|document| document.id.clone());
            for document in page.items {
                // Gone meanwhile.
                if let Some(versions) = self.store.versions(tenant, &document.id).await? {
                    all.push(Held { document, versions });
                }
            }
            if !page.more {
                return Ok(all);
            }
        }
    }

    async fn index(&self, collection: &Collection, held: &[Held], deleted: &[String], found: &mut Verified) {
        let tenant = collection.tenant().clone();
        let index = self.knowledge.index();
        let has = async {
            index.read_through(collection).await?;
            Ok::<_, crate::knowledge::KnowledgeError>((
                index.documents(collection).await?,
                index.chunks(collection).await?,
            ))
        };
        let (mut has, chunks): (HashMap<_, _>, HashMap<_, _>) = match has.await {
            Ok(read) => read,
            Err(error) => {
                let mut unread = finding(&tenant, Some(collection), None, Wrong::IndexUnreadable);
                unread.detail = Some(error.to_string());
                found.findings.push(unread);
                return;
            }
        };
        found.chunks += chunks.values().map(|(rows, _)| rows).sum::<usize>();
        // Work that is under way has the last word, and so has a deletion.
        has.retain(|id, _| !deleted.contains(id));
        let (at_rest, busy): (Vec<&Held>, Vec<&Held>) = held.iter().partition(|held| held.is_at_rest());
        for held in &busy {
            has.remove(held.document.id.as_str());
        }
        let hash = |held: &Held| held.answering().and_then(|version| version.doc_hash.clone());
        let should: Should = at_rest.iter().map(|held| (held.document.id.clone(), hash(held))).collect();
        let compared = compare(&should, &has);
        let missing = compared.missing.iter().map(|id| (id.as_str(), Wrong::NotIndexed));
        let stale = compared.stale.iter().map(|id| (id.as_str(), Wrong::OtherVersion));
        let orphans = compared.orphans.iter().map(|id| (id.as_str(), Wrong::NotExpected));
        let torn = at_rest.iter().filter_map(|held| {
            let (rows, last) = chunks.get(held.document.id.as_str())?;
            let wanted = usize::try_from(held.answering()?.chunks?).ok()?;
            let is_whole = *rows == wanted && usize::try_from(*last).is_ok_and(|last| last + 1 == wanted);
            (!is_whole).then_some((held.document.id.as_str(), Wrong::Chunks))
        });
        for (id, wrong) in missing.chain(stale).chain(orphans).chain(torn) {
            let mut one = finding(&tenant, Some(collection), Some(id.to_owned()), wrong);
            one.key = key_of(held, id);
            found.findings.push(one);
        }
    }

    async fn files(&self, tenant: &Tenant, held: &[Held], found: &mut Verified) -> Result<(), DocumentsError> {
        for one in held {
            let id = &one.document.id;
            let mut wrong = Vec::new();
            for version in &one.versions {
                found.versions += 1;
                match hash(self.blobs, tenant, &version.file).await? {
                    None => wrong.push((Wrong::ContentMissing, version.version)),
                    Some(hash) if hash != version.blob => wrong.push((Wrong::ContentDamaged, version.version)),
                    Some(_) => {}
                }
            }
            if let Some(version) = one.answering().filter(|_| one.is_at_rest())
                && !self.blobs.has(tenant, &text_name(id, version.version)).await?
            {
                wrong.push((Wrong::TextMissing, version.version));
            }
            // It may have gone meanwhile, or a version of it.
            if wrong.is_empty() || self.store.document(tenant, id).await?.is_none() {
                continue;
            }
            let collection = Collection::of(tenant.clone(), &one.document.collection)?;
            for (wrong, version) in wrong {
                let mut finding = finding(tenant, Some(&collection), Some(id.as_str().to_owned()), wrong);
                finding.key = Some(one.document.key.clone());
                finding.detail = Some(format!("version {version}"));
                found.findings.push(finding);
            }
        }
        Ok(())
    }
}

fn finding(tenant: &Tenant, collection: Option<&Collection>, document: Option<String>, wrong: Wrong) -> Finding {
    Finding {
        tenant: tenant.as_str().to_owned(),
        collection: collection.map(|collection| collection.as_str().to_owned()),
        document,
        key: None,
        wrong,
        detail: None,
        mended_by: wrong.mended_by(),
    }
}

fn key_of(held: &[Held], id: &str) -> Option<String> {
    held.iter().find(|held| held.document.id.as_str() == id).map(|held| held.document.key.clone())
}

/// The hash of a content; `None` when there is none.
async fn hash(blobs: &Blobs, tenant: &Tenant, file: &str) -> io::Result<Option<String>> {
    let Some(mut pieces) = blobs.open(tenant, file).await? else { return Ok(None) };
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = pieces.next().await.transpose()? {
        hasher.update(&piece);
    }
    Ok(Some(hasher.finalize().to_hex().to_string()))
}
