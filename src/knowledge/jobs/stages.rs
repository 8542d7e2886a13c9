//! What is done with a document: its text is read, cut, embedded and written.

use std::{collections::HashMap, io};

use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{Documents, ended::Ended, live::Live, term::Term};
use crate::{
    chat::digest,
    knowledge::{
        Collection,
        blocking::{StopOnDrop, blocking},
        chunk::{self, Chunk, SplitError},
        embed::EmbedError,
        extract::{ExtractError, Extracted, Place},
        index::IndexedDocument,
    },
    store::documents::{Claimed, Fault, Indexed, JobRecord, Stage, VersionRecord, text_name},
};

/// Chunks that are handed to the model at once: so often it is told how far it is.
const EMBED_CHUNKS: usize = 64;
/// What begins the hash of rows that were made here; those of files that were ingested by path have none.
pub(super) const OURS: char = 'v';

/// A document that is ready to be written.
pub(super) struct Prepared<'a> {
    document: IndexedDocument,
    indexed: Indexed,
    /// Until it is written.
    _room: SemaphorePermit<'a>,
}

impl Documents {
    /// Reads, cuts and embeds. Dropping the future ends it, but for what a thread has just begun.
    pub(super) async fn prepare(&self, claimed: &Claimed, live: &Live<'_>) -> Result<Prepared<'_>, Ended> {
        let job = &claimed.job;
        let (Some(version), Some(document)) = (&claimed.version, &job.document) else { return Err(Ended::Cancelled) };
        live.stage(Stage::Parse);
        let extracted = self.parse(job, version).await?;
        self.blobs
            .keep_text(&job.tenant, &text_name(document, version.version), &extracted.text)
            .await
            .map_err(|error| disk(&error))?;
        let flags: Vec<String> = extracted.flags.iter().map(ToString::to_string).collect();
        if !flags.is_empty() && !version.is_released {
            return Err(Ended::Quarantined(flags));
        }
        live.stage(Stage::Chunk);
        let mut indexed = Indexed {
            title: extracted.title.clone(),
            doc_hash: doc_hash(version.version, &extracted),
            encoding: extracted.encoding.clone(),
            warnings: extracted.warnings.iter().map(ToString::to_string).collect(),
            flags,
            pages: pages(&extracted),
            chunks: 0,
        };
        let chunks = self.cut(extracted).await?;
        let room = self.room(chunks.len()).await?;
        live.stage(Stage::Embed);
        let collection = Collection::of(job.tenant.clone(), &job.collection)?;
        let chunks = self.embed(&collection, document.as_str(), chunks, live).await?;
        indexed.chunks = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let document = IndexedDocument {
            id: document.as_str().to_owned(),
            title: indexed.title.clone(),
            uri: version.uri.clone().or_else(|| claimed.key.clone()),
            hash: indexed.doc_hash.clone(),
            chunks,
        };
        Ok(Prepared { document, indexed, _room: room })
    }

    /// Puts it in the place of what the index has of it, in one step, unless it was told to end meanwhile.
    pub(super) async fn write(
        &self,
        claimed: &Claimed,
        prepared: Prepared<'_>,
        live: &Live<'_>,
        (told, term): (CancellationToken, Term),
    ) -> Result<Indexed, Ended> {
        let collection = Collection::of(claimed.job.tenant.clone(), &claimed.job.collection)?;
        live.stage(Stage::Write);
        let Prepared { document, indexed, _room } = prepared;
        if !self.commits.write(&self.knowledge, &collection, document, (told.clone(), term)).await? {
            let fault = || Fault::new("interrupted", "the gateway was held up while it was being worked on");
            return Err(if told.is_cancelled() { Ended::Cancelled } else { Ended::Again(fault()) });
        }
        live.stage(Stage::Index);
        self.refresh_after_write(&collection).await;
        Ok(indexed)
    }

    async fn parse(&self, job: &JobRecord, version: &VersionRecord) -> Result<Extracted, Ended> {
        let damaged = |detail: &str| Ended::Failed(Fault::new("damaged", detail));
        let read =
            self.blobs.read(&job.tenant, &version.file, version.bytes).await.map_err(|error| match error.kind() {
                io::ErrorKind::FileTooLarge => damaged("its content is not what came in"),
                _ => disk(&error),
            });
        let bytes = read?.ok_or_else(|| damaged("its content is gone"))?;
        if blake3::hash(&bytes).to_hex().as_str() != version.blob {
            return Err(damaged("its content is not what came in"));
        }
        let mut extracted = self.knowledge.parsers().read(&version.name, &bytes).await.map_err(unread)?;
        if extracted.text.trim().is_empty() {
            return Err(unread(ExtractError::NoText));
        }
        if let Some(title) = &version.title {
            extracted.title.clone_from(title);
        }
        Ok(extracted)
    }

    async fn cut(&self, extracted: Extracted) -> Result<Vec<Chunk>, Ended> {
        let model = self.knowledge.embedder().ready().await.map_err(no_model)?;
        let stop = StopOnDrop::default();
        let asked = stop.asked();
        let cutting = move || chunk::split(&extracted, |text: &str| model.tokens(text), asked);
        let failed = |_| Ended::Failed(Fault::new("damaged", "reading it ended in an error of the reader"));
        match blocking(cutting).await.map_err(failed)? {
            Ok(chunks) if chunks.is_empty() => Err(Ended::Failed(Fault::new("no_text", "there is no text in it"))),
            Ok(chunks) => Ok(chunks),
            Err(SplitError::Stopped) => Err(Ended::Cancelled),
            Err(error @ SplitError::TooManyChunks) => {
                Err(Ended::Failed(Fault::new("too_many_chunks", error.to_string())))
            }
        }
    }

    /// Room for the chunks of a document: those of all documents under way are in memory, with their vectors.
    async fn room(&self, chunks: usize) -> Result<SemaphorePermit<'_>, Ended> {
        let chunks = u32::try_from(chunks.min(chunk::MAX_CHUNKS)).unwrap_or(u32::MAX);
        self.chunks.acquire_many(chunks).await.map_err(|_| Ended::Cancelled)
    }

    /// Gives every chunk its vector: the one it had, or a new one.
    async fn embed(
        &self,
        collection: &Collection,
        document: &str,
        chunks: Vec<Chunk>,
        live: &Live<'_>,
    ) -> Result<Vec<(Chunk, Vec<f32>)>, Ended> {
        let mut vectors = self.knowledge.index().vectors(collection, document.to_owned()).await?;
        let mut missing: HashMap<&str, &str> = HashMap::new();
        for chunk in chunks.iter().filter(|chunk| !vectors.contains_key(&chunk.hash)) {
            missing.insert(&chunk.hash, &chunk.content);
        }
        let missing: Vec<(&str, &str)> = missing.into_iter().collect();
        let mut left = missing.len();
        for part in missing.chunks(EMBED_CHUNKS) {
            live.chunks(chunks.len().saturating_sub(left), chunks.len());
            let texts = part.iter().map(|(_, content)| (*content).to_owned()).collect();
            let embedded = self.knowledge.embedder().embed_documents(texts).await.map_err(no_model)?;
            // The index would refuse it, and with it all that goes into the same commit.
            if !embedded.iter().flatten().all(|x| x.is_finite()) {
                return Err(no_model(EmbedError::Failed("a vector has a number that is none".to_owned())));
            }
            vectors.extend(part.iter().map(|(hash, _)| (*hash).to_owned()).zip(embedded));
            left -= part.len();
        }
        live.chunks(chunks.len(), chunks.len());
        // Two equal chunks share a vector, hence the clone.
        let with_vector = |chunk: Chunk| vectors.get(&chunk.hash).cloned().map(|vector| (chunk, vector));
        Ok(chunks.into_iter().filter_map(with_vector).collect())
    }
}

/// Changes with everything that the rows of a version are made of, and tells which version it is.
fn doc_hash(version: u32, extracted: &Extracted) -> String {
    let format = format!("{:?}", extracted.format);
    let parts = [&format, &extracted.title, &extracted.text].map(|part| part.as_bytes());
    format!("{OURS}{version}-{}", &digest(parts).to_hex()[..32])
}

/// The version that rows with this hash are of.
pub(super) fn version_of(doc_hash: &str) -> Option<u32> {
    doc_hash.strip_prefix(OURS)?.split_once('-')?.0.parse().ok()
}

/// The last page that the text has something of.
fn pages(extracted: &Extracted) -> Option<u32> {
    let page = |place: &Place| if let Place::Page(page) = place { Some(*page) } else { None };
    extracted.places.iter().filter_map(|mark| page(&mark.place)).max()
}

/// A document that cannot be read never can; a parser that cannot be started may be.
fn unread(error: ExtractError) -> Ended {
    match error {
        ExtractError::Unavailable(detail) => {
            tracing::warn!(%detail, "documents cannot be read");
            Ended::Again(Fault::new("unavailable", "documents cannot be read at the moment"))
        }
        error => Ended::Failed(Fault::new(error.code(), error.to_string())),
    }
}

fn disk(error: &io::Error) -> Ended {
    tracing::warn!(%error, "a file of the knowledge base");
    let (code, detail) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ("storage_full", "the disk is full"),
        _ => ("storage_unavailable", "the disk or the object storage refused"),
    };
    Ended::Again(Fault::new(code, detail))
}

/// A model that failed on a text, or has too much to do, may not fail the next time; one that is not there will.
fn no_model(error: EmbedError) -> Ended {
    tracing::warn!(%error, "the embedding model refused");
    let fault = Fault::new("model_unavailable", "the embedding model is not available");
    match error {
        EmbedError::Failed(_) | EmbedError::Busy | EmbedError::Loading => Ended::Again(fault),
        EmbedError::NotConfigured
        | EmbedError::Model { .. }
        | EmbedError::Misnamed { .. }
        | EmbedError::Runtime { .. } => Ended::Failed(fault),
    }
}
