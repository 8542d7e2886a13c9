//! What was done by whom.

use super::*;
use crate::store::audit::{AuditEntry, AuditPage, AuditStore, AuditWords};

const DAY: u64 = 24 * 3600 * 1000;

pub(in crate::store) fn entry(tenant: &str, target: &str, at: u64) -> AuditEntry {
    AuditEntry {
        at: Timestamp(at),
        tenant: tenant.to_owned(),
        user: "root".to_owned(),
        action: "DELETE /documents/{id}".to_owned(),
        target: target.to_owned(),
        address: Some("192.0.2.1".to_owned()),
    }
}

pub(super) async fn entries_come_back_newest_first_by_tenant_and_leave_by_age(store: Arc<dyn AuditStore>) {
    let now = 1000 * DAY;
    for (tenant, target, at) in
        [("north", "/a", now - 401 * DAY), ("north", "/b", now - 399 * DAY), ("south", "/c", now), ("north", "/d", now)]
    {
        store.note(entry(tenant, target, at), 400).await.expect("stored");
    }
    let newest = async |before, limit| {
        let AuditPage { entries, next } =
            store.audit("north", AuditWords::default(), before, limit).await.expect("read");
        (entries, next)
    };
    let (page, next) = newest(None, 9).await;
    let [(first, d), (_, b)] = page.as_slice() else { panic!("{page:?}") };
    assert_eq!((d, b), (&entry("north", "/d", now), &entry("north", "/b", now - 399 * DAY)));
    assert_eq!(next, None);
    assert_eq!(newest(Some(*first), 9).await.0.len(), 1);
    assert_eq!(newest(None, 1).await, (vec![(*first, d.clone())], Some(*first)));
}
