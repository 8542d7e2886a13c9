//! The index: LanceDB tables with a vector and a word index over the chunks of documents.
//!
//! Uses `chunk`, `terms`, `filter`, `fuse` and the value types of `knowledge`. Knows nothing of files or models: vectors come in ready.
//! One table per collection and embedding model, so that vectors of two models never meet; its name is a hash, so that
//! nothing that a client says becomes a path.
//!
//! LanceDB is the truth, and takes tens of milliseconds for a search whatever its size. So a collection that is searched
//! has a copy in memory (`memory`), which answers in less than one; how many have one, and which, is `copies`. Without a
//! copy, LanceDB is searched.
//!
//! The query engine computes for milliseconds at a stretch, so it has threads of its own: on those of the sockets every
//! search would hold up the tokens of everybody else.

use std::{collections::HashMap, fmt, future::Future, sync::Arc};

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use self::tables::{KEEP_VERSIONS, Tables};
use crate::knowledge::{Collection, KnowledgeError, Passage, blocking::blocking, fuse::Match, terms};

mod copies;
mod look;
pub mod memory;
mod rows;
mod tables;
#[cfg(test)]
mod tests;
mod trouble;
mod view;
mod within;

pub use look::Compacted;
pub(crate) use look::Look;
pub(crate) use rows::{IndexedDocument, Written};
pub(crate) use tables::Bounds;
pub(crate) use trouble::{Trouble, Troubles};
pub(crate) use view::View;
pub use within::Within;

/// The most threads of the query engine.
const MAX_THREADS: usize = 4;
/// The most threads that wait for its files.
const MAX_FILE_THREADS: usize = 16;

/// All collections of one knowledge base. Opens on first use, not when it is made.
pub(crate) struct Index {
    uri: String,
    tables: Arc<Tables>,
    troubles: Troubles,
    /// `None` only when no thread could be had; then the caller's have to do.
    threads: Option<Runtime>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Index {
    /// An index at `uri`, a folder or an object store, for vectors of `model`. Does no I/O.
    pub(crate) fn new(uri: impl Into<String>, model: impl Into<String>) -> Self {
        Self::with_bounds(uri, model, Bounds::default())
    }

    /// The same, with other bounds.
    pub(crate) fn with_bounds(uri: impl Into<String>, model: impl Into<String>, bounds: Bounds) -> Self {
        let uri = uri.into();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Builder::new_multi_thread()
            .thread_name("index")
            .worker_threads((cores / 2).clamp(1, MAX_THREADS))
            .max_blocking_threads(MAX_FILE_THREADS)
            .enable_all()
            .build();
        let threads = threads.inspect_err(|error| tracing::warn!(%error, "the index has no threads of its own")).ok();
        let tables = Arc::new(Tables::new(uri.clone(), model.into(), bounds));
        Self { tables, uri, troubles: Troubles::default(), threads }
    }

    /// The documents of a collection: id → hash.
    pub(crate) async fn documents(&self, collection: &Collection) -> Result<HashMap<String, String>, KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.documents(&collection).await }).await
    }

    /// The vectors of a document's chunks by chunk hash, so that equal chunks need not be embedded again.
    pub(crate) async fn vectors(
        &self,
        collection: &Collection,
        document: String,
    ) -> Result<HashMap<String, Vec<f32>>, KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.vectors(&collection, &document).await }).await
    }

    /// Puts those documents in the place of what the collection has under their ids that `may` lets once nobody else
    /// writes, in one commit; their ids. Readers see all of the old or all of the new. A document without chunks is thereby
    /// removed.
    pub(crate) async fn replace_if(
        &self,
        collection: &Collection,
        documents: Vec<IndexedDocument>,
        may: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<Written, KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        let own = collection.clone();
        let written = self.run(async move { tables.replace(&own, documents, &may).await }).await;
        if written.as_ref().map_or(true, |written| !written.is_empty()) {
            self.troubles.judge(&collection, Trouble::Unwritable, &written);
        }
        written
    }

    /// Removes documents; those that are not there are no error.
    pub(crate) async fn remove(&self, collection: &Collection, documents: Vec<String>) -> Result<(), KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        let own = collection.clone();
        self.noted(&collection, self.run(async move { tables.remove(&own, &documents).await }).await)
    }

    /// Removes a collection with all that is in it.
    pub(crate) async fn discard(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        let own = collection.clone();
        let gone = self.run(async move { tables.discard(&own).await }).await;
        if gone.is_ok() {
            self.troubles.forget(&collection);
        }
        gone
    }

    /// What is kept of a collection in memory is not true any more: another process has made it anew.
    pub(crate) fn forget(&self, collection: &Collection) {
        self.tables.forget(collection);
    }

    /// Removes all collections but these, however they came there: by an earlier version of this program, or for another
    /// model. How many there were.
    pub(crate) async fn keep_only(&self, collections: Vec<Collection>) -> Result<usize, KnowledgeError> {
        let tables = Arc::clone(&self.tables);
        self.run(async move { tables.keep_only(&collections).await }).await
    }

    /// Leaves no byte of what was removed from a collection: neither in its rows, nor in its indices, nor in older
    /// versions of either. Searches that began on an older version get the time to end.
    pub(crate) async fn erase(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        let own = collection.clone();
        self.noted(&collection, self.run(async move { tables.erase(&own).await }).await)
    }

    /// One chunk of a document, by its number.
    pub(crate) async fn passage(
        &self,
        collection: &Collection,
        document: String,
        number: u32,
    ) -> Result<Option<Passage>, KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.passage(&collection, &document, number).await }).await
    }

    /// How many rows a collection has, and how many of them an index does not cover that it should have.
    pub(crate) async fn counts(&self, collection: &Collection) -> Result<(usize, usize), KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.counts(&collection).await }).await
    }

    /// What a search of a collection looks at: its newest version, as soon as this process knows it. What another process
    /// wrote is seen within a few seconds.
    pub(crate) async fn view(&self, collection: &Collection) -> Result<View, KnowledgeError> {
        if let Some(view) = self.tables.fresh(collection) {
            return Ok(view);
        }
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.view(&collection).await }).await
    }

    /// Brings the indices of words and vectors up to date and tidies up. To be called after every ingestion.
    pub(crate) async fn refresh(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        let own = collection.clone();
        self.noted(&collection, self.run(async move { tables.refresh(&own, KEEP_VERSIONS).await }).await)
    }

    /// What is known to be wrong.
    pub(crate) fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// How a collection stands, also when another process has changed it or taken it away; `None` when there is nothing
    /// of it. What is wrong with it is noted, and what was wrong is tried again.
    pub(crate) async fn look(&self, collection: &Collection) -> Result<Option<Look>, KnowledgeError> {
        let (tables, own) = self.owned(collection);
        let of_reading = [Trouble::Unreadable, Trouble::Unsearchable];
        let is_suspect = of_reading.iter().any(|trouble| self.troubles.has(collection, *trouble));
        let looked = self.run(async move {
            let look = tables.look(&own).await?;
            if is_suspect {
                tables.read_through(&own).await?;
            }
            Ok(look)
        });
        let looked = looked.await;
        self.troubles.judge(collection, Trouble::Unreadable, &looked);
        if looked.is_ok() {
            self.troubles.clear(collection, Trouble::Unsearchable);
        }
        if looked.is_ok() && self.troubles.has(collection, Trouble::Unwritable) {
            let (tables, _) = self.owned(collection);
            let tried = self.run(async move { tables.try_to_write().await }).await;
            self.troubles.judge(collection, Trouble::Unwritable, &tried);
        }
        looked
    }

    /// Reads all of a collection, to see whether that can be done.
    pub(crate) async fn read_through(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.read_through(&collection).await }).await
    }

    /// How many rows each document has, and the highest number of a chunk among them.
    pub(crate) async fn chunks(
        &self,
        collection: &Collection,
    ) -> Result<HashMap<String, (usize, u32)>, KnowledgeError> {
        let (tables, collection) = self.owned(collection);
        self.run(async move { tables.chunks(&collection).await }).await
    }

    /// Rewrites every table without what was removed from it, renews its indices and drops its older versions.
    pub(crate) async fn compact(&self) -> Result<Vec<Compacted>, KnowledgeError> {
        let tables = Arc::clone(&self.tables);
        self.run(async move { tables.compact_all().await }).await
    }

    /// The chunks whose vectors are nearest to `query`.
    pub(crate) async fn by_vector(
        &self,
        view: &View,
        query: &[f32],
        within: &Within,
    ) -> Result<Vec<Match<Passage>>, KnowledgeError> {
        let (query, within) = (query.to_vec(), within.clone());
        match view.clone() {
            View::Nothing => Ok(Vec::new()),
            View::Copy(snapshot) => blocking(move || snapshot.by_vector(&query, &within)).await,
            View::Table(table, _) => {
                let tables = Arc::clone(&self.tables);
                self.run(async move { tables.by_vector(&table, &query, &within).await }).await
            }
        }
    }

    /// The chunks in which the words of `text` weigh most (BM25). `query`, the vector of the same question,
    /// gives their cosines.
    pub(crate) async fn by_words(
        &self,
        view: &View,
        text: &str,
        query: Option<&[f32]>,
        within: &Within,
    ) -> Result<Vec<Match<Passage>>, KnowledgeError> {
        let (text, query, within) = (text.to_owned(), query.map(<[f32]>::to_vec), within.clone());
        match view.clone() {
            View::Nothing => Ok(Vec::new()),
            View::Copy(snapshot) => {
                blocking(move || snapshot.by_words(&terms::asked(&text), query.as_deref(), &within)).await
            }
            View::Table(table, _) => {
                let tables = Arc::clone(&self.tables);
                self.run(async move { tables.by_words(&table, &text, query.as_deref(), &within).await }).await
            }
        }
    }

    /// A failure is noted. That nothing failed is not: there may have been nothing to write.
    fn noted<T>(&self, collection: &Collection, came: Result<T, KnowledgeError>) -> Result<T, KnowledgeError> {
        if came.is_err() {
            self.troubles.judge(collection, Trouble::Unwritable, &came);
        }
        came
    }

    fn owned(&self, collection: &Collection) -> (Arc<Tables>, Collection) {
        (Arc::clone(&self.tables), collection.clone())
    }

    /// Runs `work` on the index's own threads; dropping the future stops it.
    fn run<'a, T: Send + 'static>(
        &'a self,
        work: impl Future<Output = Result<T, KnowledgeError>> + Send + 'static,
    ) -> impl Future<Output = Result<T, KnowledgeError>> + Send + 'a {
        // The engine's futures are nested deeper than the compiler follows into those of whoever waits.
        let work = work.boxed();
        async move {
            let Some(threads) = &self.threads else { return work.await };
            let running = AbortOnDropHandle::new(threads.spawn(work));
            running.await.map_err(|error| KnowledgeError::Unavailable(format!("the query engine failed: {error}")))?
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // Waiting for its threads, as a runtime does when it is dropped, is not allowed on a thread of another one.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}
