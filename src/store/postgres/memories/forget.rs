//! What is remembered no longer.

use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};

use super::rows::{MEMORY, condition, hold, memory, of};
use crate::{
    chat::{Memory, MemoryId, MemoryKind, MessageId, Owner, SessionId, Timestamp},
    store::{
        columns::millis,
        memories::{Forget, Forgotten, MAX_FORGOTTEN, MemoryFilter, Past, Words},
        postgres::{
            connect::Link,
            rows::{get, name},
            writer::Failure,
        },
    },
};

pub(super) async fn forget(
    link: Arc<Link>,
    owner: Option<Owner>,
    what: Arc<Forget>,
    now: Timestamp,
) -> Result<Forgotten, Failure> {
    let owner = owner.as_ref();
    hold(&link, owner).await?;
    match &*what {
        Forget::One(id) => one(&link, owner, id, now).await,
        Forget::Undo(id) => undo(&link, owner, id).await,
        Forget::All(filter) => all(&link, owner, filter, now).await,
    }
}

async fn one(link: &Link, owner: Option<&Owner>, id: &MemoryId, now: Timestamp) -> Result<Forgotten, Failure> {
    let sql = format!("SELECT {}, words FROM memories WHERE id = $2 AND owner = $1", MEMORY);
    let row = link.client.query_typed_opt(&sql, &[(&of(owner), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    let Some(row) = row else { return Ok(Forgotten::default()) };
    let (found, words) = (memory(&row)?, Words::from_bytes(get(&row, 11)?));
    let mut forgotten = Forgotten::default();
    let mut gone: Vec<i64> = Vec::new();
    for (position, kind) in with_it(link, owner, &found, &words).await? {
        gone.push(position);
        forgotten.count(kind, 1);
    }
    let sql = "DELETE FROM memories WHERE position = ANY ($1)";
    link.client.execute_typed(sql, &[(&gone, Type::INT8_ARRAY)]).await?;
    let past = Past { at: now, words: Some(words), session: found.session, message: found.message };
    note(link, owner, &found.assistant, &past).await?;
    Ok(forgotten)
}

/// Where what goes with a memory stands, itself included.
async fn with_it(
    link: &Link,
    owner: Option<&Owner>,
    found: &Memory,
    words: &Words,
) -> Result<Vec<(i64, MemoryKind)>, Failure> {
    let is_fact = found.kind == MemoryKind::Fact;
    let sql = "SELECT position, kind, words, id = $3 OR $6 AND kind = 'episode' AND session_id = $4 AND message = $5
        FROM memories WHERE owner = $1 AND assistant = $2 AND ($6 OR id = $3)";
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&of(owner), Type::TEXT),
        (&found.assistant, Type::TEXT),
        (&found.id.as_str(), Type::TEXT),
        (&found.session.as_ref().map(SessionId::as_str), Type::TEXT),
        (&found.message.as_ref().map(MessageId::as_str), Type::TEXT),
        (&is_fact, Type::BOOL),
    ];
    let mut with_it = Vec::new();
    for row in link.client.query_typed(sql, &values).await? {
        let mentions = Words::from_bytes(get(&row, 2)?);
        if get::<Option<bool>>(&row, 3)? == Some(true) || is_fact && mentions.mentions(words) {
            with_it.push((get(&row, 0)?, name(&row, 1)?));
        }
    }
    Ok(with_it)
}

async fn undo(link: &Link, owner: Option<&Owner>, id: &MemoryId) -> Result<Forgotten, Failure> {
    let sql = "DELETE FROM memories WHERE id = $2 AND owner = $1 RETURNING kind, ended_at, ended_by";
    let row = link.client.query_typed_opt(sql, &[(&of(owner), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    let mut forgotten = Forgotten::default();
    if let Some(row) = row {
        let sql = "UPDATE memories SET ended_at = $3, ended_by = $4 WHERE ended_by = $2 AND owner = $1";
        let values: [(&(dyn ToSql + Sync), Type); 4] = [
            (&of(owner), Type::TEXT),
            (&id.as_str(), Type::TEXT),
            (&get::<Option<i64>>(&row, 1)?, Type::INT8),
            (&get::<Option<&str>>(&row, 2)?, Type::TEXT),
        ];
        link.client.execute_typed(sql, &values).await?;
        forgotten.count(name(&row, 0)?, 1);
    }
    Ok(forgotten)
}

async fn all(link: &Link, owner: Option<&Owner>, filter: &MemoryFilter, now: Timestamp) -> Result<Forgotten, Failure> {
    let (assistant, session) = (filter.assistant.as_deref(), filter.session.as_ref().map(SessionId::as_str));
    let mut forgotten = Forgotten::default();
    for kind in [MemoryKind::Fact, MemoryKind::Episode] {
        if filter.kind.is_none_or(|asked| asked == kind) {
            let filter = MemoryFilter { kind: Some(kind), ..filter.clone() };
            let sql = format!("DELETE FROM memories WHERE owner = $1 {}", condition(&filter));
            let values: [(&(dyn ToSql + Sync), Type); 4] = [
                (&of(owner), Type::TEXT),
                (&assistant, Type::TEXT),
                (&kind.as_str(), Type::TEXT),
                (&session, Type::TEXT),
            ];
            let deleted = link.client.execute_typed(&sql, &values).await?;
            forgotten.count(kind, usize::try_from(deleted).unwrap_or(usize::MAX));
        }
    }
    if filter.session.is_none() {
        // What was forgotten before of the same notebooks is covered by this.
        let sql = "DELETE FROM memory_forgotten WHERE owner = $1 AND ($2::text IS NULL OR assistant = $2) AND at <= $3";
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&of(owner), Type::TEXT), (&assistant, Type::TEXT), (&millis(now), Type::INT8)];
        link.client.execute_typed(sql, &values).await?;
    }
    let past = Past { at: now, words: None, session: filter.session.clone(), message: None };
    note(link, owner, assistant.unwrap_or_default(), &past).await?;
    Ok(forgotten)
}

/// Notes what is not to be remembered again; of a notebook the newest stay.
async fn note(link: &Link, owner: Option<&Owner>, assistant: &str, past: &Past) -> Result<(), Failure> {
    let sql = "INSERT INTO memory_forgotten (owner, assistant, at, words, session_id, message)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&of(owner), Type::TEXT),
        (&assistant, Type::TEXT),
        (&millis(past.at), Type::INT8),
        (&past.words.as_ref().map(Words::to_bytes), Type::BYTEA),
        (&past.session.as_ref().map(SessionId::as_str), Type::TEXT),
        (&past.message.as_ref().map(MessageId::as_str), Type::TEXT),
    ];
    link.client.execute_typed(sql, &values).await?;
    let sql = "DELETE FROM memory_forgotten WHERE position IN
        (SELECT position FROM memory_forgotten WHERE owner = $1 AND assistant = $2
         ORDER BY position DESC OFFSET $3)";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&of(owner), Type::TEXT), (&assistant, Type::TEXT), (&(MAX_FORGOTTEN as i64), Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}
