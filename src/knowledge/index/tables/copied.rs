//! Tables and their copies in memory: read from beginning to end when there is none, brought up to date after a write of
//! this process, compared with the table now and then.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use lancedb::{
    Table,
    query::{ExecutableQuery, QueryBase, Select},
};
use tokio::time::{Instant, timeout};

use super::{Tables, malformed, unavailable};
use crate::knowledge::{
    Collection, KnowledgeError,
    blocking::blocking,
    index::{
        copies::Reading,
        memory::{Builder, Snapshot},
        rows,
        view::View,
    },
};

/// How long a search waits for a copy that is being read before it does without.
const PATIENCE: Duration = Duration::from_millis(500);
/// Versions that are looked through for what changed; after more, everything is read again.
const MAX_VERSIONS: u64 = 64;
/// What may happen to a table without another row in it or one less.
const UPKEEP: [&str; 4] = ["CreateIndex", "Rewrite", "ReserveFragments", "UpdateConfig"];

impl Tables {
    /// What a search of this collection looks at, if that is known without looking at the table.
    pub(in crate::knowledge::index) fn fresh(&self, collection: &Collection) -> Option<View> {
        self.copies.fresh(&self.table_name(collection), Instant::now()).map(View::Copy)
    }

    /// What a search of this collection looks at.
    pub(in crate::knowledge::index) async fn view(
        self: &Arc<Self>,
        collection: &Collection,
    ) -> Result<View, KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok(View::Nothing) };
        let name = self.table_name(collection);
        let version = table.version().await.map_err(|error| unavailable("reading the version", &error))?;
        if self.is_current(&name, &table, version).await
            && let Some((snapshot, _)) = self.copies.get(&name)
        {
            return Ok(View::Copy(snapshot));
        }
        let rows = table.count_rows(None).await.map_err(|error| unavailable("counting", &error))?;
        if let Some((is_first, read)) = self.copies.begin(&name, rows, Instant::now()) {
            if is_first {
                let (tables, name, table) = (Arc::clone(self), name.clone(), table.clone());
                // It is for all who search, so it goes on when this one does not wait.
                self.readers.spawn(async move { tables.read(name, table).await });
            }
            let _ended_or_not = timeout(PATIENCE, read).await;
        }
        if let Some((snapshot, _)) = self.copies.get(&name) {
            return Ok(View::Copy(snapshot));
        }
        let pinned = table.checkout_current().await.map_err(|error| unavailable("opening a version", &error))?;
        let version = pinned.version().await.map_err(|error| unavailable("reading the version", &error))?;
        Ok(View::Table(pinned, version))
    }

    /// Whether the copy says what this version of the table does.
    async fn is_current(&self, name: &str, table: &Table, version: u64) -> bool {
        let Some((snapshot, seen)) = self.copies.get(name) else { return false };
        let version = match version {
            // Somebody wrote since the version was looked at; or the table is another one.
            earlier if earlier < seen => table.version().await.unwrap_or(earlier),
            version => version,
        };
        let is_current = changes(table, seen, version).await == Some(0);
        if is_current {
            self.copies.confirm(name, &snapshot, version, Instant::now());
        }
        is_current
    }

    /// Makes the copy, while nobody else of this process writes.
    async fn read(self: Arc<Self>, name: String, table: Table) {
        // Whatever ends this, the next search may begin again.
        let _abandoned = Abandon(&self, &name);
        let _one = self.reading.lock().await;
        let _writing = self.writer.lock().await;
        let started = Instant::now();
        let reading = match self.read_rows(&name, &table).await {
            Ok(Some(reading)) => reading,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a collection has no copy in memory and is searched more slowly");
                Reading::Failed
            }
        };
        self.copies.end(&name, reading, started.elapsed(), Instant::now());
    }

    /// `None` when the copy is true after all.
    async fn read_rows(&self, name: &str, table: &Table) -> Result<Option<Reading>, KnowledgeError> {
        table.checkout_latest().await.map_err(|error| unavailable("looking for the newest version", &error))?;
        let pinned = table.checkout_current().await.map_err(|error| unavailable("opening a version", &error))?;
        let version = pinned.version().await.map_err(|error| unavailable("reading the version", &error))?;
        if self.is_current(name, table, version).await {
            return Ok(None);
        }
        let schema = pinned.schema().await.map_err(|error| unavailable("reading the schema", &error))?;
        let mut copy = Builder::new(rows::dimension(&schema).unwrap_or(0));
        let query = pinned.query().select(Select::columns(&rows::COPIED_COLUMNS));
        let mut batches = query.execute().await.map_err(|error| unavailable("reading the collection", &error))?;
        let most = self.copies.most();
        while let Some(batch) =
            batches.try_next().await.map_err(|error| unavailable("reading the collection", &error))?
        {
            let copied = blocking(move || rows::copy(&batch, &mut copy).map(|()| copy)).await?;
            copy = copied.ok_or_else(malformed)?;
            if copy.bytes() > most || copy.is_full() {
                let rows = pinned.count_rows(None).await.map_err(|error| unavailable("counting", &error))?;
                tracing::info!(collection = name, rows, "too large for a copy in memory");
                return Ok(Some(Reading::TooLarge(rows)));
            }
        }
        let snapshot = blocking(move || Snapshot::new(version, copy)).await?;
        Ok(Some(Reading::Copy(snapshot, version)))
    }

    /// Brings the copy up to date after a write of this process, which made `commits` versions and put `rows` in the place
    /// of those of `documents`. What cannot be followed is read again by the next search. For whoever writes.
    pub(in crate::knowledge::index) async fn follow(
        &self,
        name: &str,
        table: &Table,
        commits: usize,
        documents: Vec<String>,
        rows: Option<Builder>,
    ) {
        let Some((snapshot, seen)) = self.copies.get(name) else { return };
        let version = table.version().await.ok();
        let changed = match version {
            Some(version) => changes(table, seen, version).await,
            None => None,
        };
        let next = match (version, changed, rows) {
            (Some(version), Some(0), _) if commits == 0 => {
                return self.copies.confirm(name, &snapshot, version, Instant::now());
            }
            (Some(version), Some(changed), Some(rows)) if changed == commits => {
                blocking(move || snapshot.replaced(version, &documents, rows)).await.ok()
            }
            _ => None,
        };
        match next {
            Some(next) => self.copies.publish(name, next, Instant::now()),
            None => self.copies.forget(name),
        }
    }
}

/// Says that a reading has ended, however it does.
struct Abandon<'a>(&'a Tables, &'a str);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.copies.abandon(self.1);
    }
}

/// How many of the versions after `seen` have other rows than the one before; `None` when that cannot be told.
async fn changes(table: &Table, seen: u64, version: u64) -> Option<usize> {
    if version < seen || version - seen > MAX_VERSIONS {
        return None;
    }
    let dataset = table.dataset()?.get().await.ok()?;
    let mut changed = 0;
    for version in seen + 1..=version {
        let transaction = dataset.read_transaction_by_version(version).await.ok()??;
        changed += usize::from(!UPKEEP.contains(&transaction.operation.name()));
    }
    Some(changed)
}
