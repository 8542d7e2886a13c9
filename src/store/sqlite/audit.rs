//! What was done by whom.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    rows::{millis, timestamp},
};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        audit::{AuditEntry, AuditStore, MAX_AUDIT_PAGE},
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
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        let (tenant, limit) = (tenant.to_owned(), limit.min(MAX_AUDIT_PAGE));
        self.read("audit", move |connection| page(connection, &tenant, before, limit)).await
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
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT number, at, tenant, user, action, target, address FROM audit
         WHERE tenant = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
    )?;
    let entries = statement.query_map(params![tenant, before, limit], |row| {
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
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    fn entry(tenant: &str, target: &str, at: u64) -> AuditEntry {
        AuditEntry {
            at: Timestamp(at),
            tenant: tenant.to_owned(),
            user: "root".to_owned(),
            action: "DELETE /documents/{id}".to_owned(),
            target: target.to_owned(),
            address: Some("192.0.2.1".to_owned()),
        }
    }

    #[tokio::test]
    async fn entries_come_back_newest_first_by_tenant_and_leave_by_age() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path().join("rivulet.db")).expect("opens");
        let now = 1000 * DAY;
        for (tenant, target, at) in [
            ("north", "/a", now - 401 * DAY),
            ("north", "/b", now - 399 * DAY),
            ("south", "/c", now),
            ("north", "/d", now),
        ] {
            store.note(entry(tenant, target, at), 400).await.expect("stored");
        }
        let page = store.audit("north", None, 9).await.expect("read");
        let [(newest, d), (_, b)] = page.as_slice() else { panic!("{page:?}") };
        assert_eq!((d, b), (&entry("north", "/d", now), &entry("north", "/b", now - 399 * DAY)));
        assert_eq!(store.audit("north", Some(*newest), 9).await.expect("read").len(), 1);
        assert_eq!(store.audit("north", None, 1).await.expect("read").len(), 1);
    }
}
