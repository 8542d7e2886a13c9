//! What is remembered from now on.

use std::sync::Arc;

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::rows::{facts, hold, of, remembers};
use crate::{
    chat::{MemoryKind, MessageId, Notebook, SessionId, Timestamp},
    store::{
        columns::millis,
        memories::{Decision, Desk, Kept, MAX_EPISODES, NewMemory, Past, Words},
        postgres::{
            connect::Link,
            rows::{get, optional_id, timestamp},
            writer::Failure,
        },
    },
};

pub(super) async fn keep(link: Arc<Link>, notebook: Notebook, new: Arc<Vec<NewMemory>>) -> Result<Vec<Kept>, Failure> {
    hold(&link, notebook.owner.as_ref()).await?;
    if !remembers(&link, notebook.owner.as_ref()).await? {
        return Ok(vec![Kept::Off; new.len()]);
    }
    let Some(earliest) = new.iter().map(|new| new.memory.said_at).min() else { return Ok(Vec::new()) };
    let mut desk = Desk { past: past(&link, &notebook, earliest).await?, facts: Vec::new() };
    if new.iter().any(|new| new.memory.kind == MemoryKind::Fact) {
        desk.facts = facts(&link, &notebook, None).await?;
    }
    if desk.is_known(&new) {
        return Ok(vec![Kept::Known; new.len()]);
    }
    let mut kept = Vec::with_capacity(new.len());
    for new in &*new {
        kept.push(keep_one(&link, &notebook, &mut desk, new.clone()).await?);
    }
    // Counted when it is done, so that there are never too many.
    let sql = "DELETE FROM memories WHERE position IN
        (SELECT position FROM memories WHERE owner = $1 AND assistant = $2 AND kind = 'episode'
         ORDER BY position DESC OFFSET $3)";
    let values: [(&(dyn ToSql + Sync), Type); 3] = [
        (&of(notebook.owner.as_ref()), Type::TEXT),
        (&notebook.assistant, Type::TEXT),
        (&(MAX_EPISODES as i64), Type::INT8),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(kept)
}

async fn keep_one(link: &Link, notebook: &Notebook, desk: &mut Desk, mut new: NewMemory) -> Result<Kept, Failure> {
    new.memory.assistant.clone_from(&notebook.assistant);
    let (ended, leaves) = match desk.decide(&new) {
        Decision::Keep { ended, leaves } => (ended, leaves),
        Decision::Leave(why) => return Ok(why),
    };
    if new.memory.kind == MemoryKind::Episode
        && let Some(why) = why_no_episode(link, notebook, &new).await?
    {
        return Ok(why);
    }
    if !insert(link, notebook, &new).await? {
        let values: [(&(dyn ToSql + Sync), Type); 2] = [
            (&new.memory.session.as_ref().map(SessionId::as_str), Type::TEXT),
            (&new.memory.message.as_ref().map(MessageId::as_str), Type::TEXT),
        ];
        let is_replaced = link.client.query_typed_opt(IS_REPLACED, &values).await?.is_some();
        return Ok(if is_replaced { Kept::Forgotten } else { Kept::Known });
    }
    for ended in &ended {
        let sql = "UPDATE memories SET ended_at = $2, ended_by = $3 WHERE id = $1";
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&ended.id.as_str(), Type::TEXT),
            (&millis(new.memory.said_at), Type::INT8),
            (&new.memory.id.as_str(), Type::TEXT),
        ];
        link.client.execute_typed(sql, &values).await?;
    }
    if let Some(leaves) = &leaves {
        link.client.execute_typed("DELETE FROM memories WHERE id = $1", &[(&leaves.as_str(), Type::TEXT)]).await?;
    }
    desk.note(&new.memory, &ended, leaves.as_ref());
    Ok(Kept::New { memory: Box::new(new.memory), ended })
}

/// What was forgotten of a notebook from a moment on: what was said then or later has nothing to do with the rest.
async fn past(link: &Link, notebook: &Notebook, from: Timestamp) -> Result<Vec<Past>, Failure> {
    let sql = "SELECT at, words, session_id, message FROM memory_forgotten
        WHERE owner = $1 AND assistant IN ('', $2) AND at >= $3";
    let past = |row: &Row| {
        Ok(Past {
            at: timestamp(row, 0)?,
            words: get::<Option<&[u8]>>(row, 1)?.map(Words::from_bytes),
            session: optional_id(row, 2, SessionId::parse)?,
            message: optional_id(row, 3, MessageId::parse)?,
        })
    };
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&of(notebook.owner.as_ref()), Type::TEXT), (&notebook.assistant, Type::TEXT), (&millis(from), Type::INT8)];
    link.client.query_typed(sql, &values).await?.iter().map(past).collect()
}

/// Why an episode is not kept: its message is one already, or its conversation is deleted.
async fn why_no_episode(link: &Link, notebook: &Notebook, new: &NewMemory) -> Result<Option<Kept>, Failure> {
    let Some(session) = &new.memory.session else { return Ok(None) };
    // Who deletes the conversation now waits, and then finds the episode.
    let sql = "SELECT FROM sessions WHERE id = $1 FOR KEY SHARE";
    if link.client.query_typed_opt(sql, &[(&session.as_str(), Type::TEXT)]).await?.is_none() {
        return Ok(Some(Kept::Forgotten));
    }
    let sql = "SELECT FROM memories WHERE session_id = $1 AND message = $2 AND kind = 'episode'
        AND owner = $3 AND assistant = $4 LIMIT 1";
    let values: [(&(dyn ToSql + Sync), Type); 4] = [
        (&session.as_str(), Type::TEXT),
        (&new.memory.message.as_ref().map(MessageId::as_str), Type::TEXT),
        (&of(notebook.owner.as_ref()), Type::TEXT),
        (&notebook.assistant, Type::TEXT),
    ];
    Ok(link.client.query_typed_opt(sql, &values).await?.map(|_| Kept::Known))
}

/// Whether a message is no part of its conversation any more.
const IS_REPLACED: &str = "SELECT FROM messages WHERE session_id = $1 AND id = $2 AND replaced";

/// Whether it is kept: nobody had its id, and its message is a part of the conversation. Both are asked in the one statement, for
/// whoever edits the message may do so in the same transaction.
async fn insert(link: &Link, notebook: &Notebook, new: &NewMemory) -> Result<bool, Failure> {
    let (memory, owner) = (&new.memory, of(notebook.owner.as_ref()));
    let session = memory.session.as_ref().map(SessionId::as_str);
    let sql = "INSERT INTO memories (id, owner, assistant, kind, attribute, text, origin, session_id, message,
            said_at, ended_at, expires_at, words)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
        WHERE NOT EXISTS (SELECT FROM messages WHERE session_id = $8 AND id = $9 AND replaced) ON CONFLICT DO NOTHING";
    let values: [(&(dyn ToSql + Sync), Type); 13] = [
        (&memory.id.as_str(), Type::TEXT),
        (&owner, Type::TEXT),
        (&notebook.assistant, Type::TEXT),
        (&memory.kind.as_str(), Type::TEXT),
        (&memory.attribute.as_ref().map(String::as_bytes), Type::BYTEA),
        (&memory.text.as_bytes(), Type::BYTEA),
        (&memory.origin.as_str(), Type::TEXT),
        (&session, Type::TEXT),
        (&memory.message.as_ref().map(MessageId::as_str), Type::TEXT),
        (&millis(memory.said_at), Type::INT8),
        (&memory.ended_at.map(millis), Type::INT8),
        (&memory.expires_at.map(millis), Type::INT8),
        (&new.words.to_bytes(), Type::BYTEA),
    ];
    let inserted = link.client.execute_typed(sql, &values).await?;
    if inserted == 0 || memory.kind == MemoryKind::Fact {
        return Ok(inserted > 0);
    }
    let sql = "INSERT INTO memory_traces (owner, assistant, id, session_id, said_at, expires_at, words)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values: [(&(dyn ToSql + Sync), Type); 7] = [
        (&owner, Type::TEXT),
        (&notebook.assistant, Type::TEXT),
        (&memory.id.as_str(), Type::TEXT),
        (&session, Type::TEXT),
        (&millis(memory.said_at), Type::INT8),
        (&memory.expires_at.map(millis), Type::INT8),
        (&new.words.to_bytes(), Type::BYTEA),
    ];
    link.client.execute_typed(sql, &values).await?;
    Ok(true)
}
