//! Files → index: what is new or changed is read, cut, embedded and put in place; the rest costs a hash.
//!
//! Uses `parser`, `chunk`, `embed` and `index`. A document is replaced in one commit, so that dropping an ingestion
//! half-way leaves every document either as it was or as it is. Files that are gone from a folder stay in the index:
//! a folder that failed to mount must not empty it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::Instant;

use self::discover::{SourceFile, discover};
pub use self::summary::{IngestError, IngestFailure, IngestProgress, IngestSummary};
use crate::knowledge::{
    Collection, KnowledgeError,
    chunk::{self, CHUNKING_VERSION, Chunk, SplitError},
    embed::{EmbedError, EmbedStatus, Embedder},
    extract::{EXTRACT_VERSION, ExtractError, Extracted, MAX_FILE_BYTES},
    index::{Index, IndexedDocument},
    parser::Parsers,
};

mod discover;
mod summary;
#[cfg(test)]
mod tests;

/// Chunks that are collected before they are written: every write makes a file and a version.
const WRITE_CHUNKS: usize = 1024;
/// Chunks that are handed to the model at once.
const EMBED_CHUNKS: usize = 256;

/// Ingests files and folders into `collection`.
pub(super) async fn ingest(
    embedder: &Embedder,
    index: &Index,
    parsers: &Parsers,
    collection: &Collection,
    paths: &[PathBuf],
    progress: impl FnMut(IngestProgress<'_>) + Send,
) -> Result<IngestSummary, IngestError> {
    let started = Instant::now();
    let _parsers = LetGo(parsers);
    let (paths, stopped) = (paths.to_vec(), StopOnDrop::default());
    let stop = stopped.asked();
    let found = blocking(move || discover(&paths, &working_folder(), &stop)).await?;
    let mut run = Run {
        embedder,
        index,
        parsers,
        collection,
        known: index.documents(collection).await?,
        pending: Vec::new(),
        summary: IngestSummary { skipped: found.skipped, failures: found.failures, ..IngestSummary::default() },
        total: found.files.len(),
        progress,
        stopped,
    };
    for file in found.files {
        if let Err(error) = run.file(file).await {
            // What has its vectors already need not be embedded again.
            if let Err(unwritten) = run.write().await {
                tracing::debug!(error = %unwritten, "the documents before the error were not written either");
            }
            return Err(error);
        }
    }
    run.write().await?;
    // Also when nothing is new: an ingestion that was cut short has left rows without word index.
    index.refresh(collection).await?;
    Ok(IngestSummary { took: started.elapsed(), ..run.summary })
}

struct Run<'a, P> {
    embedder: &'a Embedder,
    index: &'a Index,
    parsers: &'a Parsers,
    collection: &'a Collection,
    /// What the index holds: document id → hash.
    known: HashMap<String, String>,
    /// Ready to be written.
    pending: Vec<IndexedDocument>,
    summary: IngestSummary,
    total: usize,
    progress: P,
    stopped: StopOnDrop,
}

/// A file's bytes.
struct Source {
    bytes: Vec<u8>,
    hash: String,
}

impl<P: FnMut(IngestProgress<'_>) + Send> Run<'_, P> {
    async fn file(&mut self, file: SourceFile) -> Result<(), IngestError> {
        self.report(&file.uri, 0, 0);
        let uri = file.uri.clone();
        let id = document_id(self.collection, &file.path);
        match blocking(move || read(&file)).await? {
            Ok(source) if self.known.get(&id) == Some(&source.hash) => self.summary.unchanged += 1,
            Ok(source) => match self.parsers.read(&uri, &source.bytes).await {
                Ok(extracted) => self.document(&uri, id, source.hash, extracted).await?,
                Err(reason) => self.fail(&uri, reason.to_string()),
            },
            Err(reason) => self.fail(&uri, reason),
        }
        self.summary.files += 1;
        self.report(&uri, 0, 0);
        Ok(())
    }

    async fn document(&mut self, uri: &str, id: String, hash: String, extracted: Extracted) -> Result<(), IngestError> {
        let is_known = self.known.contains_key(&id);
        let model = self.embedder.ready().await?;
        let title = extracted.title.clone();
        let stop = self.stopped.asked();
        let cut = move || {
            let tokens = |text: &str| model.tokens(text);
            chunk::split(&extracted, tokens, stop)
        };
        let chunks = match blocking(cut).await? {
            Ok(chunks) => chunks,
            Err(reason @ (SplitError::TooManyChunks | SplitError::Stopped)) => {
                self.fail(uri, reason.to_string());
                return Ok(());
            }
        };
        if chunks.is_empty() && !is_known {
            self.summary.skipped += 1;
            return Ok(());
        }
        let kept = if is_known { self.index.vectors(self.collection, id.clone()).await? } else { HashMap::new() };
        let chunks = match self.embed(uri, chunks, kept).await {
            Ok(chunks) => chunks,
            // The model works, but not on this text.
            Err(EmbedError::Failed(reason)) if matches!(self.embedder.status(), EmbedStatus::Ready(_)) => {
                self.fail(uri, EmbedError::Failed(reason).to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        *(if is_known { &mut self.summary.replaced } else { &mut self.summary.added }) += 1;
        self.summary.chunks += chunks.len();
        self.pending.push(IndexedDocument { id, title, uri: Some(uri.to_owned()), hash, chunks });
        if self.pending.iter().map(|document| document.chunks.len()).sum::<usize>() >= WRITE_CHUNKS {
            self.write().await?;
        }
        Ok(())
    }

    fn fail(&mut self, uri: &str, reason: String) {
        self.summary.failures.push(IngestFailure { uri: uri.to_owned(), reason });
    }

    /// Gives every chunk its vector: the one it had, or a new one.
    async fn embed(
        &mut self,
        uri: &str,
        chunks: Vec<Chunk>,
        mut vectors: HashMap<String, Vec<f32>>,
    ) -> Result<Vec<(Chunk, Vec<f32>)>, EmbedError> {
        let total = chunks.len();
        let missing: Vec<&Chunk> = chunks.iter().filter(|chunk| !vectors.contains_key(&chunk.hash)).collect();
        let kept = total - missing.len();
        let mut done = kept;
        let mut new = HashMap::new();
        for part in missing.chunks(EMBED_CHUNKS) {
            self.report(uri, done, total);
            let texts = part.iter().map(|chunk| chunk.content.clone()).collect();
            let embedded = self.embedder.embed_documents(texts).await?;
            new.extend(part.iter().map(|chunk| chunk.hash.clone()).zip(embedded));
            done += part.len();
        }
        self.summary.kept_vectors += kept;
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

/// Reads and hashes a file; the error is the reason for the summary.
fn read(file: &SourceFile) -> Result<Source, String> {
    let size = fs::metadata(&file.path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(ExtractError::TooLarge.to_string());
    }
    let bytes = fs::read(&file.path).map_err(|error| error.to_string())?;
    Ok(Source { hash: document_hash(file, &bytes), bytes })
}

/// 32 hex digits that stay the same as long as collection and place do. `path` is absolute and without links.
fn document_id(collection: &Collection, path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    digest(&[collection.tenant().as_bytes(), collection.as_str().as_bytes(), path])
}

/// Changes with everything that the document's rows are made of, except the model: each has its own table. The name is
/// the title of what has none.
fn document_hash(file: &SourceFile, bytes: &[u8]) -> String {
    let name = file.path.file_name().unwrap_or_default().as_encoded_bytes();
    digest(&[CHUNKING_VERSION.as_bytes(), EXTRACT_VERSION.as_bytes(), name, bytes])
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Tells work on other threads that the ingestion is over: such work cannot be aborted, and a process that ends waits
/// for it.
#[derive(Debug, Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// Whether to stop.
    fn asked(&self) -> impl Fn() -> bool + Send + 'static {
        let stopped = Arc::clone(&self.0);
        move || stopped.load(Ordering::Relaxed)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets parsers go when the ingestion is over, also when it is dropped.
struct LetGo<'a>(&'a Parsers);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
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
