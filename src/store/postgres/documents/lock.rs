//! The lock of a tenant's documents.

use tokio_postgres::types::Type;

use super::row::{Value, exists};
use crate::store::{
    documents::Tenant,
    postgres::{connect::Link, writer::Failure},
};

/// Until the end of the transaction nobody else writes about this tenant's documents.
pub(super) async fn lock(link: &Link, tenant: &Tenant) -> Result<(), Failure> {
    let lock = "SELECT FROM tenants WHERE tenant = $1 FOR UPDATE";
    let values: [Value<'_>; 1] = [(&tenant.as_str(), Type::TEXT)];
    if exists(link, lock, &values).await? {
        return Ok(());
    }
    link.client.execute_typed("INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING", &values).await?;
    exists(link, lock, &values).await.map(drop)
}
