//! Single documents in the tables: out of them, and looked into.

use std::time::Duration;

use lancedb::{
    Error,
    query::{QueryBase, Select},
};

use super::{Tables, collect, one_of, search::read_found, unavailable};
use crate::knowledge::{Collection, KnowledgeError, Passage, index::rows};

/// How often a table is tried to be dropped, and after how long.
const DROP_ATTEMPTS: usize = 5;
const DROP_AGAIN: Duration = Duration::from_millis(200);

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

    /// Nothing of it is opened: what is damaged can be removed, too.
    pub(in crate::knowledge::index) async fn discard(&self, collection: &Collection) -> Result<(), KnowledgeError> {
        let _writing = self.writer.lock().await;
        if !self.is_there().await {
            return Ok(());
        }
        let name = self.table_name(collection);
        self.let_go(&name);
        self.copies.forget(&name);
        let mut attempt = 1;
        // Another process may put a file into a folder that is just being emptied.
        loop {
            match self.connection().await?.drop_table(&name, &[]).await {
                Ok(()) | Err(Error::TableNotFound { .. }) => return Ok(()),
                Err(error) if attempt == DROP_ATTEMPTS => return Err(unavailable("dropping the collection", &error)),
                Err(_) => attempt += 1,
            }
            tokio::time::sleep(DROP_AGAIN).await;
        }
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
