//! What keeps tables in shape: looked at, read through, rewritten without what was removed.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    path::Path,
    time::Duration,
};

use futures_util::TryStreamExt;
use lancedb::{
    Table,
    query::{ExecutableQuery, QueryBase, Select},
    table::{CompactionOptions, Duration as Age, OptimizeAction},
};

use super::{
    COMPACT_FROM_FRAGMENTS, INDEX_ATTEMPTS, READ_CONSISTENCY, Tables, compaction, indices, is_ours, malformed, prune,
    unavailable,
};
use crate::knowledge::{
    Collection, KnowledgeError,
    index::{
        look::{Compacted, Look},
        rows,
        within::Within,
    },
};

/// How long a search may take that began before rows were rewritten.
const OLD_SEARCHES: Duration = Duration::from_secs(5);
/// All versions but the newest are old.
const NOW: Option<Age> = Age::try_seconds(0);
/// Looks that are remembered.
const MAX_SEEN: usize = 4096;
/// What is written to see whether anything can be, in bytes.
const TRIAL: usize = 4 << 20;

impl Tables {
    /// Looks at a collection as it is now, also when another process has changed it or taken it away; `None` when there
    /// is nothing of it. What has not changed since is not measured again.
    pub(in crate::knowledge::index) async fn look(
        &self,
        collection: &Collection,
    ) -> Result<Option<Look>, KnowledgeError> {
        let name = self.table_name(collection);
        let Some(table) = self.table(collection).await? else { return Ok(None) };
        match self.measure(&table).await {
            Ok(look) => Ok(Some(look)),
            Err(_) => {
                // The handle may be of what is not there any more.
                self.let_go(&name);
                let Some(table) = self.table(collection).await? else { return Ok(None) };
                self.measure(&table).await.inspect_err(|_| self.let_go(&name)).map(Some)
            }
        }
    }

    async fn measure(&self, table: &Table) -> Result<Look, KnowledgeError> {
        table.checkout_latest().await.map_err(|error| unavailable("looking for the newest version", &error))?;
        let version = table.version().await.map_err(|error| unavailable("reading the version", &error))?;
        if let Some(seen) = self.seen.lock().get(table.name()).filter(|seen| seen.version == version) {
            return Ok(*seen);
        }
        let stats = table.stats().await.map_err(|error| unavailable("reading statistics", &error))?;
        let chunks = stats.num_rows;
        let unindexed = self.unindexed(table).await?;
        let look = Look {
            chunks,
            unindexed,
            bytes: stats.total_bytes as u64,
            is_scattered: stats.fragment_stats.num_small_fragments >= COMPACT_FROM_FRAGMENTS,
            version,
        };
        let mut seen = self.seen.lock();
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(table.name().to_owned(), look);
        Ok(look)
    }

    /// The table of a collection is another one, or gone.
    pub(in crate::knowledge::index) fn forget(&self, collection: &Collection) {
        let name = self.table_name(collection);
        self.let_go(&name);
        self.copies.forget(&name);
    }

    /// What is known of a table is forgotten; it is opened again by whoever needs it.
    pub(super) fn let_go(&self, name: &str) {
        self.tables.lock().remove(name);
        self.worded.lock().remove(name);
        self.pruned.lock().remove(name);
        self.seen.lock().remove(name);
    }

    /// Reads all of a collection, to see whether that can be done.
    pub(in crate::knowledge::index) async fn read_through(
        &self,
        collection: &Collection,
    ) -> Result<(), KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok(()) };
        let mut rows = table.query().execute().await.map_err(|error| unavailable("reading", &error))?;
        while rows.try_next().await.map_err(|error| unavailable("reading", &error))?.is_some() {}
        let within = Within { depth: 1, without: Vec::new(), filter: None };
        if self.has_word_index(&table).await? {
            self.by_words(&table, "a", None, &within).await?;
        }
        if indices::has_vectors(&table).await? {
            let schema = table.schema().await.map_err(|error| unavailable("reading the schema", &error))?;
            let anything = vec![1.0; rows::dimension(&schema).unwrap_or(0)];
            self.by_vector(&table, &anything, &within).await?;
        }
        Ok(())
    }

    /// Whether the disk takes something: writes a file beside the tables and removes it again. An object store is
    /// believed.
    pub(in crate::knowledge::index) async fn try_to_write(&self) -> Result<(), KnowledgeError> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let tried = tokio::task::spawn_blocking(move || trial(&folder)).await;
        let tried = tried.map_err(|error| unavailable("writing", &error))?;
        tried.map_err(|error| unavailable("writing", &error))
    }

    /// How often each document's chunks are there: id → rows, and the highest number among them.
    pub(in crate::knowledge::index) async fn chunks(
        &self,
        collection: &Collection,
    ) -> Result<HashMap<String, (usize, u32)>, KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok(HashMap::new()) };
        let query = table.query().select(Select::columns(&["document", "chunk"]));
        let mut rows = query.execute().await.map_err(|error| unavailable("reading", &error))?;
        let mut all: HashMap<String, (usize, u32)> = HashMap::new();
        while let Some(batch) = rows.try_next().await.map_err(|error| unavailable("reading", &error))? {
            for (document, number) in rows::numbered(&batch).ok_or_else(malformed)? {
                let known = all.entry(document).or_default();
                *known = (known.0 + 1, known.1.max(number));
            }
        }
        Ok(all)
    }

    /// Leaves no byte of what was removed from a collection.
    pub(in crate::knowledge::index) async fn erase(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        {
            let _writing = self.writer.lock().await;
            let Some(table) = self.table(collection).await? else { return Ok(()) };
            self.rewrite(&table).await?;
        }
        tokio::time::sleep(OLD_SEARCHES).await;
        let _writing = self.writer.lock().await;
        let Some(table) = self.table(collection).await? else { return Ok(()) };
        prune(&table, NOW).await.map(drop)
    }

    /// The same for every table of this model that there is, whoever has made it. Searches of another process that began
    /// on an older version get the time to end.
    pub(in crate::knowledge::index) async fn compact_all(&self) -> Result<Vec<Compacted>, KnowledgeError> {
        let ours = self.ours().await?;
        let mut all = Vec::with_capacity(ours.len());
        for (collection, table) in &ours {
            let _writing = self.writer.lock().await;
            let before = files(table).await?;
            self.rewrite(table).await?;
            let chunks = table.count_rows(None).await.map_err(|error| unavailable("counting", &error))?;
            let files = (before, files(table).await?);
            all.push(Compacted { collection: collection.clone(), chunks, files, versions: 0, bytes: 0 });
        }
        if !all.is_empty() {
            tokio::time::sleep(READ_CONSISTENCY + OLD_SEARCHES).await;
        }
        for ((_, table), compacted) in ours.iter().zip(&mut all) {
            let _writing = self.writer.lock().await;
            (compacted.versions, compacted.bytes) = prune(table, NOW).await?;
        }
        Ok(all)
    }

    /// The tables of this model, with the names of their collections.
    async fn ours(&self) -> Result<Vec<(String, Table)>, KnowledgeError> {
        let mut ours = Vec::new();
        for name in self.names().await? {
            let opened = self.connection().await?.open_table(&name).execute().await;
            let table = opened.map_err(|error| unavailable(&format!("opening {name}"), &error))?;
            let schema = table.schema().await.map_err(|error| unavailable("reading the schema", &error))?;
            let about = |key: &str| schema.metadata().get(key).cloned().unwrap_or_default();
            if about("rivulet.model") == self.model {
                ours.push((about("rivulet.collection"), table));
            }
        }
        Ok(ours)
    }

    /// Removes all tables of ours but those of these collections; how many there were.
    pub(in crate::knowledge::index) async fn keep_only(
        &self,
        collections: &[Collection],
    ) -> Result<usize, KnowledgeError> {
        let kept: HashSet<String> = collections.iter().map(|collection| self.table_name(collection)).collect();
        let _writing = self.writer.lock().await;
        let stale: Vec<String> = self.names().await?.into_iter().filter(|name| !kept.contains(name)).collect();
        for name in &stale {
            let dropped = self.connection().await?.drop_table(name, &[]).await;
            dropped.map_err(|error| unavailable("dropping a collection", &error))?;
        }
        Ok(stale.len())
    }

    /// The names of our tables, of whatever model.
    async fn names(&self) -> Result<Vec<String>, KnowledgeError> {
        if !self.is_there().await {
            return Ok(Vec::new());
        }
        let names = self.connection().await?.table_names().execute().await;
        let names = names.map_err(|error| unavailable("listing", &error))?;
        Ok(names.into_iter().filter(|name| is_ours(name)).collect())
    }

    /// One file in place of many, without removed rows, and indices that never knew them. Another process that
    /// writes meanwhile makes it begin again.
    async fn rewrite(&self, table: &Table) -> Result<(), KnowledgeError> {
        let mut attempt = 1;
        while let Err(error) = self.rewrite_once(table).await {
            if attempt == INDEX_ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            table.checkout_latest().await.map_err(|error| unavailable("looking for the newest version", &error))?;
        }
        Ok(())
    }

    async fn rewrite_once(&self, table: &Table) -> Result<(), KnowledgeError> {
        let options =
            CompactionOptions { materialize_deletions: true, materialize_deletions_threshold: 0.0, ..compaction() };
        let rewrite = OptimizeAction::Compact { options, remap_options: None };
        table.optimize(rewrite).await.map_err(|error| unavailable("rewriting", &error))?;
        self.renew_indices(table).await?;
        // What says that no row is another one goes with the older versions.
        self.follow(table.name(), table, 0, Vec::new(), None).await;
        Ok(())
    }
}

async fn files(table: &Table) -> Result<usize, KnowledgeError> {
    let stats = table.stats().await.map_err(|error| unavailable("reading statistics", &error))?;
    Ok(stats.fragment_stats.num_fragments)
}

fn trial(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(".trial");
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; TRIAL])?;
        file.sync_all()
    });
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => written.and(Err(error)),
        _ => written,
    }
}
