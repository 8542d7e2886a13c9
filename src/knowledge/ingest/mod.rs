//! Files → index: what is new or changed is read, cut, embedded and put in place; the rest costs a hash.
//!
//! Uses `extract`, `chunk`, `embed` and `index`. A document is replaced in one commit, so that dropping an ingestion
//! half-way leaves every document either as it was or as it is. Files that are gone from a folder stay in the index:
//! a folder that failed to mount must not empty it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

use self::discover::{SourceFile, discover};
use crate::knowledge::{
    Collection, KnowledgeError,
    chunk::{self, CHUNKING_VERSION, Chunk},
    embed::{EmbedError, Embedder},
    extract::{self, Extracted, MAX_FILE_BYTES},
    index::{Index, IndexedDocument},
};

mod discover;

/// Chunks that are collected before they are written: every write makes a file and a version.
const WRITE_CHUNKS: usize = 1024;
/// Chunks that are handed to the model at once.
const EMBED_CHUNKS: usize = 256;

/// A step of an ingestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestProgress<'a> {
    /// Files that are done.
    pub done: usize,
    /// Files in all.
    pub total: usize,
    /// The file that is worked on, or was done last.
    pub document: &'a str,
    /// Chunks of it that have a vector.
    pub chunks_done: usize,
    /// Chunks of it in all.
    pub chunks_total: usize,
}

/// A file that was not ingested; what the index had of it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestFailure {
    /// Which file.
    pub uri: String,
    /// Why.
    pub reason: String,
}

/// What an ingestion did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IngestSummary {
    /// Files looked at, in formats that can be read.
    pub files: usize,
    /// Documents that are new.
    pub added: usize,
    /// Documents that are as they were.
    pub unchanged: usize,
    /// Documents that have changed.
    pub replaced: usize,
    /// Files in other formats, and files without text.
    pub skipped: usize,
    /// Files that could not be read.
    pub failures: Vec<IngestFailure>,
    /// Chunks written.
    pub chunks: usize,
    /// Chunks of these that kept the vector they had.
    pub kept_vectors: usize,
    /// How long it took.
    pub took: Duration,
}

/// Why an ingestion ended early. What was written before stays and is sound.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IngestError {
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The index.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
}

/// Ingests files and folders into `collection`.
pub(super) async fn ingest(
    embedder: &Embedder,
    index: &Index,
    collection: &Collection,
    paths: &[PathBuf],
    progress: impl FnMut(IngestProgress<'_>) + Send,
) -> Result<IngestSummary, IngestError> {
    let started = Instant::now();
    let paths = paths.to_vec();
    let found = blocking(move || discover(&paths, &working_folder())).await?;
    let mut run = Run {
        embedder,
        index,
        collection,
        known: index.documents(collection).await?,
        pending: Vec::new(),
        summary: IngestSummary { skipped: found.skipped, failures: found.failures, ..IngestSummary::default() },
        total: found.files.len(),
        progress,
    };
    for file in found.files {
        run.file(file).await?;
    }
    run.write().await?;
    // Also when nothing is new: an ingestion that was cut short has left rows without word index.
    index.refresh(collection).await?;
    Ok(IngestSummary { took: started.elapsed(), ..run.summary })
}

struct Run<'a, P> {
    embedder: &'a Embedder,
    index: &'a Index,
    collection: &'a Collection,
    /// What the index holds: document id → hash.
    known: HashMap<String, String>,
    /// Ready to be written.
    pending: Vec<IndexedDocument>,
    summary: IngestSummary,
    total: usize,
    progress: P,
}

impl<P: FnMut(IngestProgress<'_>) + Send> Run<'_, P> {
    async fn file(&mut self, file: SourceFile) -> Result<(), IngestError> {
        self.report(&file.uri, 0, 0);
        match read(&file).await {
            Ok(extracted) => self.document(&file.uri, extracted).await?,
            Err(reason) => self.summary.failures.push(IngestFailure { uri: file.uri.clone(), reason }),
        }
        self.summary.files += 1;
        self.report(&file.uri, 0, 0);
        Ok(())
    }

    async fn document(&mut self, uri: &str, extracted: Extracted) -> Result<(), IngestError> {
        let id = document_id(self.collection, uri);
        let hash = document_hash(&extracted);
        let known = self.known.get(&id);
        if known == Some(&hash) {
            self.summary.unchanged += 1;
            return Ok(());
        }
        let is_known = known.is_some();
        let model = self.embedder.ready().await?;
        let title = extracted.title.clone();
        let cut = move || chunk::split(&extracted.title, &extracted.text, extracted.format, |text| model.tokens(text));
        let chunks = blocking(cut).await?;
        match (is_known, chunks.is_empty()) {
            (false, true) => {
                self.summary.skipped += 1;
                return Ok(());
            }
            (true, _) => self.summary.replaced += 1,
            (false, false) => self.summary.added += 1,
        }
        let kept = if is_known { self.index.vectors(self.collection, id.clone()).await? } else { HashMap::new() };
        let chunks = self.embed(uri, chunks, kept).await?;
        self.summary.chunks += chunks.len();
        self.pending.push(IndexedDocument { id, title, uri: Some(uri.to_owned()), hash, chunks });
        if self.pending.iter().map(|document| document.chunks.len()).sum::<usize>() >= WRITE_CHUNKS {
            self.write().await?;
        }
        Ok(())
    }

    /// Gives every chunk its vector: the one it had, or a new one.
    async fn embed(
        &mut self,
        uri: &str,
        chunks: Vec<Chunk>,
        mut vectors: HashMap<String, Vec<f32>>,
    ) -> Result<Vec<(Chunk, Vec<f32>)>, IngestError> {
        let total = chunks.len();
        let missing: Vec<&Chunk> = chunks.iter().filter(|chunk| !vectors.contains_key(&chunk.hash)).collect();
        let mut done = total - missing.len();
        self.summary.kept_vectors += done;
        let mut new = HashMap::new();
        for part in missing.chunks(EMBED_CHUNKS) {
            self.report(uri, done, total);
            let texts = part.iter().map(|chunk| chunk.content.clone()).collect();
            let embedded = self.embedder.embed_documents(texts).await?;
            new.extend(part.iter().map(|chunk| chunk.hash.clone()).zip(embedded));
            done += part.len();
        }
        vectors.extend(new);
        // Two equal chunks share a vector, hence the clone.
        let with_vector = |chunk: Chunk| vectors.get(&chunk.hash).cloned().map(|vector| (chunk, vector));
        Ok(chunks.into_iter().filter_map(with_vector).collect())
    }

    async fn write(&mut self) -> Result<(), IngestError> {
        if !self.pending.is_empty() {
            self.index.replace(self.collection, std::mem::take(&mut self.pending)).await?;
        }
        Ok(())
    }

    fn report(&mut self, document: &str, chunks_done: usize, chunks_total: usize) {
        let done = self.summary.files;
        (self.progress)(IngestProgress { done, total: self.total, document, chunks_done, chunks_total });
    }
}

async fn read(file: &SourceFile) -> Result<Extracted, String> {
    let size = tokio::fs::metadata(&file.path).await.map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(extract::ExtractError::TooLarge.to_string());
    }
    let bytes = tokio::fs::read(&file.path).await.map_err(|error| error.to_string())?;
    extract::extract(&file.uri, file.format, &bytes).map_err(|error| error.to_string())
}

/// 32 hex digits that stay the same as long as collection and uri do.
fn document_id(collection: &Collection, uri: &str) -> String {
    digest(&[collection.tenant(), collection.as_str(), uri])
}

/// Changes with everything that the document's rows are made of, except the model: each has its own table.
fn document_hash(extracted: &Extracted) -> String {
    let format = format!("{:?}", extracted.format);
    digest(&[CHUNKING_VERSION, &format, &extracted.title, &extracted.text])
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn working_folder() -> PathBuf {
    let current = std::env::current_dir().and_then(|folder| folder.canonicalize());
    current.unwrap_or_else(|_| Path::new("/").to_owned())
}

/// Runs what would hold up the sockets on a thread for such work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KnowledgeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| KnowledgeError::Unavailable(format!("reading documents: {error}")))
}
