//! Who works on documents: a row with a lease, taken over when that is over, by the database's clock. Its number rises with
//! every one who takes it, and what is written about work is compared with it in the same transaction. So who was stopped
//! and wakes up writes nothing, whatever it takes itself for.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::row::{Value, exists, number, one};
use crate::store::{
    Fence, StoreError,
    columns::integer,
    documents::WORK_LEASE,
    postgres::{connect::Link, writer::Failure},
};

/// Takes the lease when nobody has it, or renews the one that `node` has.
pub(super) async fn lead(link: Arc<Link>, node: String, held: Option<Fence>) -> Result<Option<Fence>, Failure> {
    let lease = WORK_LEASE.as_secs_f64();
    let led = match held {
        Some(fence) => {
            let sql = "UPDATE work SET expires_at = clock_timestamp() + make_interval(secs => $3)
                WHERE id = 1 AND node = $1 AND fence = $2 RETURNING fence";
            let values: [Value<'_>; 3] = [(&node, Type::TEXT), (&integer(fence.0), Type::INT8), (&lease, Type::FLOAT8)];
            one(&link, sql, &values).await?
        }
        None => {
            let sql = "UPDATE work
                SET node = $1, fence = fence + 1, expires_at = clock_timestamp() + make_interval(secs => $2)
                WHERE id = 1 AND (node IS NULL OR expires_at < clock_timestamp()) RETURNING fence";
            one(&link, sql, &[(&node, Type::TEXT), (&lease, Type::FLOAT8)]).await?
        }
    };
    Ok(led.as_ref().map(|row| number(row, 0)).transpose()?.map(Fence))
}

pub(super) async fn step_down(link: Arc<Link>, fence: Fence) -> Result<(), Failure> {
    let sql = "UPDATE work SET node = NULL WHERE id = 1 AND fence = $1";
    link.client.execute_typed(sql, &[(&integer(fence.0), Type::INT8)]).await?;
    Ok(())
}

/// Keeps others from taking over until the end of the transaction; it holds up no renewal, which leaves the number as it is.
pub(super) async fn hold(link: &Link, fence: Fence) -> Result<(), Failure> {
    let sql = "SELECT FROM work WHERE id = 1 AND fence = $1 FOR KEY SHARE";
    if exists(link, sql, &[(&integer(fence.0), Type::INT8)]).await? { Ok(()) } else { Err(StoreError::Fenced.into()) }
}
