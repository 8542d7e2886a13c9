//! Single documents in the tables: out of them, and looked into.

use lancedb::query::{QueryBase, Select};

use super::{Tables, collect, one_of, search::read_found, unavailable};
use crate::knowledge::{Collection, KnowledgeError, Passage, index::rows};

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
        Ok((rows, self.unindexed(&table).await?))
    }
}
