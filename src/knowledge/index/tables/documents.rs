//! Single documents in the tables: out of them, and looked into.

use std::{collections::HashSet, time::Duration};

use lancedb::{
    query::{QueryBase, Select},
    table::{CompactionOptions, OptimizeAction},
};

use super::{
    Tables, WORDS, collect, compaction, is_ours, one_of, search::read_found, unavailable, unindexed_rows, word_index,
};
use crate::knowledge::{Collection, KnowledgeError, Passage, index::rows};

/// Names of tables that are listed at a time.
const LISTED: u32 = 1000;
/// How long a search may take that began before rows were rewritten.
const OLD_SEARCHES: Duration = Duration::from_secs(5);

impl Tables {
    pub(in crate::knowledge::index) async fn remove(
        &self,
        collection: &Collection,
        documents: &[String],
    ) -> Result<(), KnowledgeError> {
        if documents.is_empty() {
            return Ok(());
        }
        let removed = one_of(documents.iter().map(String::as_str))?;
        let _writing = self.writer.lock().await;
        let Some(table) = self.table(collection).await? else { return Ok(()) };
        self.delete(&self.table_name(collection), &table, &removed, documents.to_vec()).await
    }

    pub(in crate::knowledge::index) async fn discard(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        let _writing = self.writer.lock().await;
        if self.table(collection).await?.is_none() {
            return Ok(());
        }
        let name = self.table_name(collection);
        let dropped = self.connection().await?.drop_table(&name, &[]).await;
        self.tables.lock().remove(&name);
        self.worded.lock().remove(&name);
        self.copies.forget(&name);
        dropped.map_err(|error| unavailable("dropping the collection", &error))
    }

    /// Removes all tables of ours but those of these collections; how many there were.
    pub(in crate::knowledge::index) async fn keep_only(
        &self,
        collections: &[Collection],
    ) -> Result<usize, KnowledgeError> {
        let kept: HashSet<String> = collections.iter().map(|collection| self.table_name(collection)).collect();
        let _writing = self.writer.lock().await;
        if !self.is_there().await {
            return Ok(0);
        }
        let (connection, mut removed, mut after) = (self.connection().await?, 0, None::<String>);
        loop {
            let mut listing = connection.table_names().limit(LISTED);
            if let Some(after) = after.take() {
                listing = listing.start_after(after);
            }
            let names = listing.execute().await.map_err(|error| unavailable("listing the collections", &error))?;
            for name in names.iter().filter(|name| is_ours(name) && !kept.contains(*name)) {
                let dropped = connection.drop_table(name, &[]).await;
                dropped.map_err(|error| unavailable("dropping a collection", &error))?;
                removed += 1;
            }
            match names.last() {
                Some(last) => after = Some(last.clone()),
                None => return Ok(removed),
            }
        }
    }

    pub(in crate::knowledge::index) async fn erase(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        {
            let _writing = self.writer.lock().await;
            let Some(table) = self.table(collection).await? else { return Ok(()) };
            let options =
                CompactionOptions { materialize_deletions: true, materialize_deletions_threshold: 0.0, ..compaction() };
            let rewrite = OptimizeAction::Compact { options, remap_options: None };
            table.optimize(rewrite).await.map_err(|error| unavailable("rewriting", &error))?;
            if self.has_word_index(&table).await? {
                // An index that is only brought up to date keeps the words of what is gone.
                let building =
                    table.create_index(&["words"], word_index()).name(WORDS.to_owned()).replace(true).execute();
                building.await.map_err(|error| unavailable("rebuilding the word index", &error))?;
            }
            // What says that no row is another one goes with the older versions.
            self.follow(&self.table_name(collection), &table, 0, Vec::new(), None).await;
        }
        tokio::time::sleep(OLD_SEARCHES).await;
        let _writing = self.writer.lock().await;
        let Some(table) = self.table(collection).await? else { return Ok(()) };
        let prune = OptimizeAction::Prune {
            older_than: lancedb::table::Duration::try_seconds(0),
            delete_unverified: None,
            error_if_tagged_old_versions: None,
        };
        table.optimize(prune).await.map(drop).map_err(|error| unavailable("dropping old versions", &error))
    }

    pub(in crate::knowledge::index) async fn passage(
        &self,
        collection: &Collection,
        document: &str,
        number: u32,
    ) -> Result<Option<Passage>, KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok(None) };
        let wanted = format!("{} AND chunk = {number}", one_of([document])?);
        let query = table.query().only_if(wanted).select(Select::columns(&rows::FOUND_COLUMNS));
        let found = read_found(&collect(query).await?, None)?;
        Ok(found.into_iter().next().map(|found| found.row))
    }

    pub(in crate::knowledge::index) async fn counts(
        &self,
        collection: &Collection,
    ) -> Result<(usize, usize), KnowledgeError> {
        let Some(table) = self.table(collection).await? else { return Ok((0, 0)) };
        let rows = table.count_rows(None).await.map_err(|error| unavailable("counting", &error))?;
        let unindexed = if self.has_word_index(&table).await? { unindexed_rows(&table).await? } else { rows };
        Ok((rows, unindexed))
    }
}
