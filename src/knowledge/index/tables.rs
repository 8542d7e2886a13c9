//! The tables themselves. All writes go through one lock: LanceDB lets concurrent writers of one process overtake each
//! other, and compaction conflicts with everything.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

use arrow_array::{RecordBatch, RecordBatchIterator};
use futures_util::TryStreamExt;
use lancedb::{
    Connection, Error, ObjectStoreRegistry, Session, Table,
    query::{ExecutableQuery, QueryBase, Select},
    table::{CompactionOptions, Duration as Age, OptimizeAction},
};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio_util::task::TaskTracker;

use super::{
    copies::{self, Copies, READ_CONSISTENCY},
    look::Look,
    memory::Builder,
    rows::{self, IndexedDocument, Written},
};
use crate::knowledge::{
    Collection, KnowledgeError, chunk::CHUNKING_VERSION, extract::EXTRACT_VERSION, terms::TERMS_VERSION,
};

mod copied;
mod documents;
mod indices;
mod predicate;
mod search;
mod upkeep;

/// LanceDB's caches; its own defaults are 6 GiB and 1 GiB.
const INDEX_CACHE_BYTES: usize = 128 * 1024 * 1024;
const METADATA_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// How long an object store is asked again: its client would go on for minutes.
const PATIENCE: [(&str, &str); 3] = [("client_max_retries", "3"), ("client_retry_timeout", "10"), ("timeout", "10s")];
/// Table handles kept open.
const MAX_TABLES: usize = 64;
/// How often the indices are tried to be brought up to date.
const INDEX_ATTEMPTS: usize = 3;
/// Every write adds a file; from this many on they are merged.
const COMPACT_FROM_FRAGMENTS: usize = 16;
/// Every write makes versions; after this many the old ones are deleted.
const PRUNE_FROM_VERSIONS: u64 = 32;
/// Versions that are older are old; nothing reads one for that long.
pub(super) const KEEP_VERSIONS: Option<Age> = Age::try_minutes(2);
/// Changes whenever the columns do, so that nothing older is read: documents are then indexed anew, as they are when they
/// would be read or cut differently, or would have other terms.
const LAYOUT: &str = "4";

/// From so many rows on there is an index of the vectors. Looking through as many takes about a second; a collection of
/// that size mostly has a copy in memory yet.
const INDEX_VECTORS_FROM: usize = 100_000;

/// From what sizes on something else is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The bytes that all copies in memory may take.
    pub(crate) copied: usize,
    /// From so many rows on a table has an index of its vectors.
    pub(crate) index_vectors_from: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { copied: copies::MAX_BYTES, index_vectors_from: INDEX_VECTORS_FROM }
    }
}

pub(super) struct Tables {
    uri: String,
    folder: Option<PathBuf>,
    model: String,
    connection: OnceCell<Connection>,
    tables: Mutex<HashMap<String, Table>>,
    /// Names of tables whose word index was seen; an index does not go away again.
    worded: Mutex<HashSet<String>>,
    /// At which versions tables were freed of older ones, by name.
    pruned: Mutex<HashMap<String, u64>>,
    /// How tables stood when they were looked at last, by name.
    seen: Mutex<HashMap<String, Look>>,
    writer: AsyncMutex<()>,
    bounds: Bounds,
    copies: Copies,
    /// Copies are read one after the other.
    reading: AsyncMutex<()>,
    readers: TaskTracker,
}

impl Tables {
    pub(super) fn new(uri: String, model: String, bounds: Bounds) -> Self {
        Self {
            folder: (!uri.contains("://")).then(|| PathBuf::from(&uri)),
            uri,
            model,
            connection: OnceCell::new(),
            tables: Mutex::new(HashMap::new()),
            worded: Mutex::new(HashSet::new()),
            pruned: Mutex::new(HashMap::new()),
            seen: Mutex::new(HashMap::new()),
            writer: AsyncMutex::new(()),
            copies: Copies::new(bounds.copied),
            bounds,
            reading: AsyncMutex::new(()),
            readers: TaskTracker::new(),
        }
    }

    pub(super) async fn documents(&self, collection: &Collection) -> Result<HashMap<String, String>, KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok(HashMap::new()) };
        let first_chunks = table.query().only_if("chunk = 0").select(Select::columns(&["document", "doc_hash"]));
        let batches = collect(first_chunks).await?;
        let mut documents = HashMap::new();
        for batch in &batches {
            documents.extend(rows::text_pairs(batch, "document", "doc_hash").ok_or_else(malformed)?);
        }
        Ok(documents)
    }

    pub(super) async fn vectors(
        &self,
        collection: &Collection,
        document: &str,
    ) -> Result<HashMap<String, Vec<f32>>, KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok(HashMap::new()) };
        let own = table.query().only_if(one_of([document])?).select(Select::columns(&["hash", "vector"]));
        let mut vectors = HashMap::new();
        for batch in &collect(own).await? {
            vectors.extend(rows::hashed_vectors(batch).ok_or_else(malformed)?);
        }
        Ok(vectors)
    }

    pub(super) async fn replace(
        &self,
        collection: &Collection,
        mut documents: Vec<IndexedDocument>,
        may: &(dyn Fn(&str) -> bool + Send + Sync),
    ) -> Result<Written, KnowledgeError> {
        let _writing = self.writer.lock().await;
        documents.retain(|document| may(&document.id));
        let written: Written = documents.iter().map(|document| document.id.clone()).collect();
        if written.is_empty() {
            return Ok(written);
        }
        let dimension = documents.iter().flat_map(|document| &document.chunks).map(|(_, vector)| vector.len()).next();
        let table = match (self.table(collection).await?, dimension) {
            (Some(table), _) => table,
            (None, Some(dimension)) => self.create(collection, dimension).await?,
            (None, None) => return Ok(written),
        };
        let ids: Vec<String> = documents.iter().map(|document| document.id.clone()).collect();
        let replaced = one_of(ids.iter().map(String::as_str))?;
        let name = self.table_name(collection);
        if dimension.is_none() {
            self.delete(&name, &table, &replaced, ids).await?;
            return Ok(written);
        }
        let schema = table.schema().await.map_err(|error| unavailable("reading the schema", &error))?;
        if rows::dimension(&schema) != dimension {
            return Err(KnowledgeError::Unavailable(format!(
                "collection `{collection}` holds vectors of another length: give the other model another name (knowledge.model)"
            )));
        }
        let batch = rows::batch(&schema, &documents).map_err(|error| unavailable("building rows", &error))?;
        let mut copied = Builder::new(dimension.unwrap_or(0));
        if self.copies.get(&name).is_some() {
            rows::copy(&batch, &mut copied).ok_or_else(malformed)?;
        }
        let mut merge = table.merge_insert(&["id"]);
        merge.when_matched_update_all(None).when_not_matched_insert_all();
        merge.when_not_matched_by_source_delete(Some(replaced));
        let source = RecordBatchIterator::new([Ok(batch)], schema);
        merge.execute(Box::new(source)).await.map_err(|error| unavailable("writing", &error))?;
        self.follow(&name, &table, 1, ids, Some(copied)).await;
        Ok(written)
    }

    /// Removes the rows of `documents`, which `condition` names. For whoever writes.
    async fn delete(
        &self,
        name: &str,
        table: &Table,
        condition: &str,
        documents: Vec<String>,
    ) -> Result<(), KnowledgeError> {
        let deleted = table.delete(condition).await.map_err(|error| unavailable("deleting", &error))?;
        let commits = usize::from(deleted.num_deleted_rows > 0);
        self.follow(name, table, commits, documents, Some(Builder::new(0))).await;
        Ok(())
    }

    /// Versions older than `kept` may go.
    pub(super) async fn refresh(&self, collection: &Collection, kept: Option<Age>) -> Result<(), KnowledgeError> {
        let _writing = self.writer.lock().await;
        let Some(table) = self.table(collection).await? else { return Ok(()) };
        let mut attempt = 1;
        // Another process that writes at the same moment makes the commit fail; the next one sees what it wrote, once it
        // has looked: by itself a handle does so every few seconds.
        while let Err(error) = self.update_indices(&table).await {
            if attempt == INDEX_ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            table.checkout_latest().await.map_err(|error| unavailable("looking for the newest version", &error))?;
        }
        self.follow(&self.table_name(collection), &table, 0, Vec::new(), None).await;
        if let Err(error) = self.tidy(&table, kept).await {
            // Nothing depends on it, and the next ingestion tries again.
            tracing::warn!(%error, %collection, "the collection was not tidied up");
        }
        Ok(())
    }

    /// Merges small files and drops old versions, in bounds: the rows of one new file, one thread. What is only ever
    /// replaced leaves few files and many versions.
    async fn tidy(&self, table: &Table, kept: Option<Age>) -> Result<(), KnowledgeError> {
        let stats = table.stats().await.map_err(|error| unavailable("reading statistics", &error))?;
        if stats.fragment_stats.num_small_fragments >= COMPACT_FROM_FRAGMENTS {
            let compact = OptimizeAction::Compact { options: compaction(), remap_options: None };
            table.optimize(compact).await.map_err(|error| unavailable("compacting", &error))?;
        }
        let version = table.version().await.map_err(|error| unavailable("reading the version", &error))?;
        let pruned = self.pruned.lock().get(table.name()).copied();
        if pruned.is_some_and(|pruned| version < pruned + PRUNE_FROM_VERSIONS) {
            return Ok(());
        }
        prune(table, kept).await?;
        self.pruned.lock().insert(table.name().to_owned(), version);
        Ok(())
    }

    async fn connection(&self) -> Result<&Connection, KnowledgeError> {
        let connect = async || {
            let session =
                Session::new(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES, Arc::new(ObjectStoreRegistry::default()));
            let builder = lancedb::connect(&self.uri).read_consistency_interval(READ_CONSISTENCY);
            // An object store that does not answer is given up in time; a folder has no such settings.
            let builder = builder.storage_options(PATIENCE);
            builder.session(Arc::new(session)).execute().await
        };
        self.connection.get_or_try_init(connect).await.map_err(|error| unavailable("opening", &error))
    }

    /// The table of a collection, if it exists.
    async fn table(&self, collection: &Collection) -> Result<Option<Table>, KnowledgeError> {
        let name = self.table_name(collection);
        if let Some(table) = self.tables.lock().get(&name) {
            return Ok(Some(table.clone()));
        }
        if !self.is_there().await {
            return Ok(None);
        }
        match self.connection().await?.open_table(&name).execute().await {
            Ok(table) => {
                self.check_model(collection, &table).await?;
                self.keep(name, &table);
                Ok(Some(table))
            }
            Err(Error::TableNotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable("opening the collection", &error)),
        }
    }

    /// Whether there is anything at all. Looking for something must not make a folder.
    async fn is_there(&self) -> bool {
        match &self.folder {
            Some(folder) => tokio::fs::try_exists(folder).await.unwrap_or(true),
            None => true,
        }
    }

    async fn create(&self, collection: &Collection, dimension: usize) -> Result<Table, KnowledgeError> {
        let name = self.table_name(collection);
        let connection = self.connection().await?;
        let schema = rows::schema(collection.as_str(), &self.model, dimension);
        let table = match connection.create_empty_table(&name, schema).execute().await {
            // Another process was quicker.
            Err(Error::TableAlreadyExists { .. }) => connection.open_table(&name).execute().await,
            other => other,
        };
        let table = table.map_err(|error| unavailable("creating the collection", &error))?;
        self.keep(name, &table);
        Ok(table)
    }

    /// Tables are told apart by a hash of the model's name; this notices a folder that was put together by hand.
    async fn check_model(&self, collection: &Collection, table: &Table) -> Result<(), KnowledgeError> {
        let schema = table.schema().await.map_err(|error| unavailable("reading the schema", &error))?;
        match schema.metadata().get("rivulet.model") {
            Some(model) if *model == self.model => Ok(()),
            model => Err(KnowledgeError::Unavailable(format!(
                "collection `{collection}` was embedded with {}, the configured model is {}",
                model.map_or("an unknown model", String::as_str),
                self.model
            ))),
        }
    }

    fn keep(&self, name: String, table: &Table) {
        let mut tables = self.tables.lock();
        if tables.len() >= MAX_TABLES {
            tables.clear();
            self.worded.lock().clear();
            self.pruned.lock().clear();
        }
        tables.insert(name, table.clone());
    }

    fn table_name(&self, collection: &Collection) -> String {
        let (tenant, name) = (collection.tenant().as_str(), collection.as_str());
        let versions = [LAYOUT, EXTRACT_VERSION, CHUNKING_VERSION, TERMS_VERSION].join("\0");
        let key = format!("{versions}\0{tenant}\0{name}\0{}", self.model);
        format!("c_{}", &blake3::hash(key.as_bytes()).to_hex()[..32])
    }
}

/// Removes versions that are older; how many, and their bytes. The newest one stays.
async fn prune(table: &Table, older_than: Option<Age>) -> Result<(u64, u64), KnowledgeError> {
    let prune = OptimizeAction::Prune { older_than, delete_unverified: None, error_if_tagged_old_versions: None };
    let done = table.optimize(prune).await.map_err(|error| unavailable("dropping old versions", &error))?;
    Ok(done.prune.map_or((0, 0), |removed| (removed.old_versions, removed.bytes_removed)))
}

fn compaction() -> CompactionOptions {
    CompactionOptions {
        target_rows_per_fragment: 100_000,
        batch_size: Some(1024),
        num_threads: Some(1),
        ..CompactionOptions::default()
    }
}

/// Whether a table has a name that we give.
fn is_ours(name: &str) -> bool {
    let hash = name.strip_prefix("c_");
    hash.is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `document IN (…)` for ids that we made ourselves.
fn one_of<'a>(documents: impl IntoIterator<Item = &'a str>) -> Result<String, KnowledgeError> {
    let ids: HashSet<&str> = documents.into_iter().collect();
    if !ids.iter().all(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Err(KnowledgeError::Unavailable("a document id is not one of ours".to_owned()));
    }
    let ids: Vec<String> = ids.into_iter().map(|id| format!("'{id}'")).collect();
    Ok(format!("document IN ({})", ids.join(", ")))
}

async fn collect(query: impl ExecutableQuery) -> Result<Vec<RecordBatch>, KnowledgeError> {
    let stream = query.execute().await.map_err(|error| unavailable("searching", &error))?;
    stream.try_collect().await.map_err(|error| unavailable("searching", &error))
}

fn unavailable(doing: &str, error: &dyn fmt::Display) -> KnowledgeError {
    KnowledgeError::Unavailable(format!("{doing}: {error}"))
}

fn malformed() -> KnowledgeError {
    KnowledgeError::Unavailable("the table has other columns than expected".to_owned())
}
