//! What is counted: what accounts have spent, and what was thought of answers.

use std::sync::Arc;

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    connect::Link,
    rows::{get, timestamp},
    writer::Failure,
};
use crate::{
    chat::Timestamp,
    store::{
        Spent,
        columns::{integer, millis},
        feedback::{DAY_MS, FeedbackCount, MAX_FEEDBACK_COUNTS},
    },
};

pub(super) async fn spent(link: Arc<Link>, day: u64, limit: usize) -> Result<Vec<Spent>, Failure> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT account, tokens FROM spending WHERE day = $1 LIMIT $2";
    let found = link.client.query_typed(sql, &[(&integer(day), Type::INT8), (&most, Type::INT8)]).await?;
    read(&found)
}

fn read(rows: &[Row]) -> Result<Vec<Spent>, Failure> {
    rows.iter().map(|row| Ok(Spent { account: get(row, 0)?, tokens: get(row, 1)? })).collect()
}

/// In the order of the accounts' names: two nodes that note the same ones must not wait for each other.
pub(super) async fn spend(link: Arc<Link>, day: u64, spent: Arc<Vec<Spent>>) -> Result<Vec<Spent>, Failure> {
    link.client.execute_typed("DELETE FROM spending WHERE day < $1 - 1", &[(&integer(day), Type::INT8)]).await?;
    let accounts: Vec<&str> = spent.iter().map(|spent| spent.account.as_str()).collect();
    let tokens: Vec<i64> = spent.iter().map(|spent| spent.tokens).collect();
    let sql = "INSERT INTO spending (day, account, tokens)
        SELECT $1, account, tokens FROM unnest($2, $3) AS given (account, tokens) ORDER BY account COLLATE \"C\"
        ON CONFLICT (day, account) DO UPDATE SET tokens = spending.tokens + excluded.tokens
        RETURNING account, tokens";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&integer(day), Type::INT8), (&accounts, Type::TEXT_ARRAY), (&tokens, Type::INT8_ARRAY)];
    read(&link.client.query_typed(sql, &values).await?)
}

/// What was thought of answers of a tenant, or of all. The index has the answers that somebody rated, and no others.
pub(super) async fn feedback(
    link: Arc<Link>,
    tenant: Option<String>,
    since: Timestamp,
) -> Result<Vec<FeedbackCount>, Failure> {
    // An owner is `tenant/user`, and `0` follows the slash.
    let (from, to) = (tenant.as_ref().map(|tenant| format!("{tenant}/")), tenant.as_ref().map(|t| format!("{t}0")));
    let sql = "SELECT m.created_at / $1 * $1 AS day, m.model, s.assistant, m.version, m.variant,
            count(*) FILTER (WHERE (m.feedback::json ->> 'value')::integer > 0),
            count(*) FILTER (WHERE (m.feedback::json ->> 'value')::integer < 0)
        FROM messages AS m JOIN sessions AS s ON s.id = m.session_id
        WHERE m.feedback IS NOT NULL AND m.created_at >= $2
        AND ($3::text IS NULL OR (s.owner >= $3 COLLATE \"C\" AND s.owner < $4 COLLATE \"C\"))
        GROUP BY day, m.model, s.assistant, m.version, m.variant
        ORDER BY day DESC, m.model COLLATE \"C\" NULLS FIRST, s.assistant COLLATE \"C\", m.version COLLATE \"C\" NULLS FIRST,
            m.variant COLLATE \"C\" NULLS FIRST LIMIT $5";
    let values: [(&(dyn ToSql + Sync), Type); 5] = [
        (&(DAY_MS as i64), Type::INT8),
        (&millis(since), Type::INT8),
        (&from, Type::TEXT),
        (&to, Type::TEXT),
        (&(MAX_FEEDBACK_COUNTS as i64), Type::INT8),
    ];
    let found = link.client.query_typed(sql, &values).await?;
    let counted = found.iter().map(|row| {
        let count = |column| get(row, column).map(|count: i64| u64::try_from(count).unwrap_or(0));
        Ok(FeedbackCount {
            day: timestamp(row, 0)?,
            model: get(row, 1)?,
            assistant: get(row, 2)?,
            version: get(row, 3)?,
            variant: get(row, 4)?,
            good: count(5)?,
            bad: count(6)?,
        })
    });
    counted.collect()
}
