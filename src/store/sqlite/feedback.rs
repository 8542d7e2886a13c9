//! What people thought of answers, counted.

use rusqlite::{Connection, params};

use super::rows::timestamp;
use crate::{
    chat::Timestamp,
    store::{
        StoreError,
        columns::millis,
        feedback::{DAY_MS, FeedbackCount, MAX_FEEDBACK_COUNTS},
    },
};

/// Those of a tenant, or of all. The index has the answers that somebody rated, and no others.
pub(super) fn feedback(
    connection: &Connection,
    tenant: Option<&str>,
    since: Timestamp,
) -> Result<Vec<FeedbackCount>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT m.created_at / ?1 * ?1 AS day, m.model, s.assistant, m.version, m.variant,
                sum(json_extract(m.feedback, '$.value') > 0), sum(json_extract(m.feedback, '$.value') < 0)
         FROM messages AS m INDEXED BY messages_rated JOIN sessions AS s ON s.id = m.session_id
         WHERE m.feedback IS NOT NULL AND m.created_at >= ?2 AND (?3 IS NULL OR (s.owner >= ?3 AND s.owner < ?4))
         GROUP BY day, m.model, s.assistant, m.version, m.variant
         ORDER BY day DESC, m.model, s.assistant, m.version, m.variant LIMIT ?5",
    )?;
    // An owner is `tenant/user`, and `0` follows the slash.
    let (from, to) = (tenant.map(|tenant| format!("{tenant}/")), tenant.map(|tenant| format!("{tenant}0")));
    let values = params![DAY_MS as i64, millis(since), from, to, MAX_FEEDBACK_COUNTS as i64];
    let counted = statement.query_map(values, |row| {
        let count = |at| row.get(at).map(|count: i64| u64::try_from(count).unwrap_or(0));
        Ok(FeedbackCount {
            day: timestamp(row, 0)?,
            model: row.get(1)?,
            assistant: row.get(2)?,
            version: row.get(3)?,
            variant: row.get(4)?,
            good: count(5)?,
            bad: count(6)?,
        })
    })?;
    Ok(counted.collect::<Result<_, _>>()?)
}
