//! What accounts have spent on a day.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use crate::store::{SpendingStore, Spent, StoreError, columns::integer};

#[async_trait]
impl SpendingStore for SqliteStore {
    async fn spent(&self, day: u64, limit: usize) -> Result<Vec<Spent>, StoreError> {
        self.read("spent", move |connection| of_day(connection, day, limit)).await
    }

    async fn spend(&self, day: u64, spent: Vec<Spent>) -> Result<Vec<Spent>, StoreError> {
        self.write("spend", move |connection| note(connection, day, &spent)).await
    }
}

fn of_day(connection: &Connection, day: u64, limit: usize) -> Result<Vec<Spent>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT account, tokens FROM spending WHERE day = ?1 LIMIT ?2")?;
    let rows = statement.query_map(params![integer(day), i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(Spent { account: row.get(0)?, tokens: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn note(connection: &Connection, day: u64, spent: &[Spent]) -> Result<Vec<Spent>, StoreError> {
    connection.prepare_cached("DELETE FROM spending WHERE day < ?1 - 1")?.execute([integer(day)])?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO spending (day, account, tokens) VALUES (?1, ?2, ?3)
         ON CONFLICT (day, account) DO UPDATE SET tokens = tokens + excluded.tokens RETURNING tokens",
    )?;
    let noted = spent.iter().map(|Spent { account, tokens }| {
        let tokens = statement.query_row(params![integer(day), account, tokens], |row| row.get(0))?;
        Ok(Spent { account: account.clone(), tokens })
    });
    noted.collect()
}
