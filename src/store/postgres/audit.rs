//! What was done by whom.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    PostgresStore,
    connect::Link,
    rows::{get, timestamp},
    writer::Failure,
};
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        audit::{AuditEntry, AuditPage, AuditStore, AuditWords, MAX_AUDIT_LOOKED_THROUGH, MAX_AUDIT_PAGE},
        columns::millis,
    },
};

/// So many are fetched at a time.
const SLICE: i64 = 1000;

#[async_trait]
impl AuditStore for PostgresStore {
    async fn note(&self, entry: AuditEntry, days: u32) -> Result<(), StoreError> {
        let entry = Arc::new(entry);
        self.write("audit_note", "audit", move |link| note(link, entry.clone(), days)).await
    }

    async fn audit(
        &self,
        tenant: &str,
        words: AuditWords,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let limit = limit.min(MAX_AUDIT_PAGE);
        self.read("audit", |link| page(link, tenant.to_owned(), words.clone(), before, limit)).await
    }
}

async fn note(link: Arc<Link>, entry: Arc<AuditEntry>, days: u32) -> Result<(), Failure> {
    let oldest = Timestamp(entry.at.0.saturating_sub(u64::from(days) * 24 * 3600 * 1000));
    link.client.execute_typed("DELETE FROM audit WHERE at < $1", &[(&millis(oldest), Type::INT8)]).await?;
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&millis(entry.at), Type::INT8),
        (&entry.tenant, Type::TEXT),
        (&entry.user, Type::TEXT),
        (&entry.action, Type::TEXT),
        (&entry.target, Type::TEXT),
        (&entry.address, Type::TEXT),
    ];
    let sql = "INSERT INTO audit (at, tenant, \"user\", action, target, address) VALUES ($1, $2, $3, $4, $5, $6)";
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

async fn page(
    link: Arc<Link>,
    tenant: String,
    words: AuditWords,
    before: Option<u64>,
    limit: usize,
) -> Result<AuditPage, Failure> {
    let mut before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let (mut entries, mut looked_through, mut last) = (Vec::new(), 0, None);
    let sql = "SELECT number, at, tenant, \"user\", action, target, address FROM audit
        WHERE tenant = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
    loop {
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&tenant, Type::TEXT), (&before, Type::INT8), (&SLICE, Type::INT8)];
        let found = link.client.query_typed(sql, &values).await?;
        for row in &found {
            if entries.len() >= limit || looked_through >= MAX_AUDIT_LOOKED_THROUGH {
                return Ok(AuditPage { entries, next: last });
            }
            let (number, entry) = read(row)?;
            (looked_through, last) = (looked_through + 1, Some(number));
            before = get(row, 0)?;
            if words.are_in(&entry) {
                entries.push((number, entry));
            }
        }
        if (found.len() as i64) < SLICE {
            return Ok(AuditPage { entries, next: None });
        }
    }
}

fn read(row: &Row) -> Result<(u64, AuditEntry), StoreError> {
    let entry = AuditEntry {
        at: timestamp(row, 1)?,
        tenant: get(row, 2)?,
        user: get(row, 3)?,
        action: get(row, 4)?,
        target: get(row, 5)?,
        address: get(row, 6)?,
    };
    Ok((u64::try_from(get::<i64>(row, 0)?).unwrap_or(0), entry))
}
