//! What was done by whom.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::{SqliteStore, rows::timestamp};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        audit::{AuditEntry, AuditPage, AuditStore, AuditWords, MAX_AUDIT_LOOKED_THROUGH, MAX_AUDIT_PAGE},
        columns::millis,
    },
};

#[async_trait]
impl AuditStore for SqliteStore {
    async fn note(&self, entry: AuditEntry, days: u32) -> Result<(), StoreError> {
        self.write("audit_note", move |connection| note(connection, &entry, days)).await
    }

    async fn audit(
        &self,
        tenant: &str,
        words: AuditWords,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let (tenant, limit) = (tenant.to_owned(), limit.min(MAX_AUDIT_PAGE));
        self.read("audit", move |connection| page(connection, &tenant, &words, before, limit)).await
    }
}

fn note(connection: &Connection, entry: &AuditEntry, days: u32) -> Result<(), StoreError> {
    let oldest = Timestamp(entry.at.0.saturating_sub(u64::from(days) * 24 * 3600 * 1000));
    connection.prepare_cached("DELETE FROM audit WHERE at < ?1")?.execute([millis(oldest)])?;
    connection
        .prepare_cached(
            "INSERT INTO audit (at, tenant, user, action, target, address) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![millis(entry.at), entry.tenant, entry.user, entry.action, entry.target, entry.address])?;
    Ok(())
}

fn page(
    connection: &Connection,
    tenant: &str,
    words: &AuditWords,
    before: Option<u64>,
    limit: usize,
) -> Result<AuditPage, StoreError> {
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(
        "SELECT number, at, tenant, user, action, target, address FROM audit
         WHERE tenant = ?1 AND number < ?2 ORDER BY number DESC",
    )?;
    let mut rows = statement.query(params![tenant, before])?;
    let (mut entries, mut looked_through, mut last) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        if entries.len() >= limit || looked_through >= MAX_AUDIT_LOOKED_THROUGH {
            return Ok(AuditPage { entries, next: last });
        }
        let (number, entry) = read(row)?;
        (looked_through, last) = (looked_through + 1, Some(number));
        if words.are_in(&entry) {
            entries.push((number, entry));
        }
    }
    Ok(AuditPage { entries, next: None })
}

fn read(row: &Row<'_>) -> Result<(u64, AuditEntry), rusqlite::Error> {
    let number: i64 = row.get(0)?;
    let entry = AuditEntry {
        at: timestamp(row, 1)?,
        tenant: row.get(2)?,
        user: row.get(3)?,
        action: row.get(4)?,
        target: row.get(5)?,
        address: row.get(6)?,
    };
    Ok((u64::try_from(number).unwrap_or(0), entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::audit::entry;

    #[tokio::test]
    async fn a_search_looks_through_so_many_at_a_time_and_says_where_it_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("opens");
        store.note(entry("north", "/needle", 0), 400).await.expect("stored");
        let more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
            INSERT INTO audit (at, tenant, user, action, target, address) SELECT 0, 'north', 'root', 'PUT /x', '/x', NULL FROM n";
        store
            .write("fill", |connection| Ok(connection.execute(more, [MAX_AUDIT_LOOKED_THROUGH])?))
            .await
            .expect("filled");
        let search = async |words, before| store.audit("north", AuditWords::of(words), before, 9).await.expect("read");
        let first = search("NEEDLE root", None).await;
        assert_eq!(first, AuditPage { entries: Vec::new(), next: Some(2) });
        let rest = search("NEEDLE root", first.next).await;
        assert_eq!(rest, AuditPage { entries: vec![(1, entry("north", "/needle", 0))], next: None });
        assert_eq!(search("needle nobody", Some(2)).await, AuditPage { entries: Vec::new(), next: None });
    }
}
