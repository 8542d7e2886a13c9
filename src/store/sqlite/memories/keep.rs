//! What is remembered from now on.

use rusqlite::{Connection, Row, params};

use super::rows::{facts, of, remembers};
use crate::{
    chat::{MemoryKind, MessageId, Notebook, SessionId, Timestamp},
    store::{
        StoreError,
        columns::{integer, millis},
        memories::{Decision, Desk, Kept, MAX_EPISODES, NewMemory, Past, Words},
        sqlite::rows::{optional_id, timestamp},
    },
};

pub(super) fn keep(connection: &Connection, notebook: &Notebook, new: Vec<NewMemory>) -> Result<Vec<Kept>, StoreError> {
    if !remembers(connection, notebook.owner.as_ref())? {
        return Ok(vec![Kept::Off; new.len()]);
    }
    let Some(earliest) = new.iter().map(|new| new.memory.said_at).min() else { return Ok(Vec::new()) };
    let mut desk = Desk { past: past(connection, notebook, earliest)?, facts: Vec::new() };
    if new.iter().any(|new| new.memory.kind == MemoryKind::Fact) {
        desk.facts = facts(connection, notebook, None)?;
    }
    if desk.is_known(&new) {
        return Ok(vec![Kept::Known; new.len()]);
    }
    let kept = new.into_iter().map(|new| keep_one(connection, notebook, &mut desk, new)).collect();
    // Counted when it is done, so that there are never too many.
    let sql = "DELETE FROM memories WHERE position IN
        (SELECT position FROM memories WHERE owner = ?1 AND assistant = ?2 AND kind = 'episode'
         ORDER BY position DESC LIMIT -1 OFFSET ?3)";
    let most = integer(MAX_EPISODES as u64);
    connection.prepare_cached(sql)?.execute(params![of(notebook.owner.as_ref()), notebook.assistant, most])?;
    kept
}

fn keep_one(
    connection: &Connection,
    notebook: &Notebook,
    desk: &mut Desk,
    mut new: NewMemory,
) -> Result<Kept, StoreError> {
    new.memory.assistant.clone_from(&notebook.assistant);
    let (ended, leaves) = match desk.decide(&new) {
        Decision::Keep { ended, leaves } => (ended, leaves),
        Decision::Leave(why) => return Ok(why),
    };
    if let Some(why) = why_not(connection, notebook, &new)? {
        return Ok(why);
    }
    if !insert(connection, notebook, &new)? {
        return Ok(Kept::Known);
    }
    for ended in &ended {
        let sql = "UPDATE memories SET ended_at = ?2, ended_by = ?3 WHERE id = ?1";
        let values = params![ended.id.as_str(), millis(new.memory.said_at), new.memory.id.as_str()];
        connection.prepare_cached(sql)?.execute(values)?;
    }
    if let Some(leaves) = &leaves {
        connection.prepare_cached("DELETE FROM memories WHERE id = ?1")?.execute([leaves.as_str()])?;
    }
    desk.note(&new.memory, &ended, leaves.as_ref());
    Ok(Kept::New { memory: Box::new(new.memory), ended })
}

/// What was forgotten of a notebook from a moment on: what was said then or later has nothing to do with the rest.
fn past(connection: &Connection, notebook: &Notebook, from: Timestamp) -> Result<Vec<Past>, StoreError> {
    let sql = "SELECT at, words, session_id, message FROM memory_forgotten
        WHERE owner = ?1 AND assistant IN ('', ?2) AND at >= ?3";
    let past = |row: &Row<'_>| {
        Ok(Past {
            at: timestamp(row, 0)?,
            words: row.get_ref(1)?.as_blob_or_null()?.map(Words::from_bytes),
            session: optional_id(row, 2, SessionId::parse)?,
            message: optional_id(row, 3, MessageId::parse)?,
        })
    };
    let values = params![of(notebook.owner.as_ref()), notebook.assistant, millis(from)];
    Ok(connection.prepare_cached(sql)?.query_map(values, past)?.collect::<Result<_, _>>()?)
}

/// Why something is not kept, whatever it says: its message is no part of the conversation any more; or it is an episode whose
/// message is one already, or whose conversation is deleted.
fn why_not(connection: &Connection, notebook: &Notebook, new: &NewMemory) -> Result<Option<Kept>, StoreError> {
    let Some(session) = &new.memory.session else { return Ok(None) };
    let message = new.memory.message.as_ref().map(MessageId::as_str);
    let sql = "SELECT 1 FROM messages WHERE session_id = ?1 AND id = ?2 AND replaced = 1";
    if connection.prepare_cached(sql)?.exists(params![session.as_str(), message])? {
        return Ok(Some(Kept::Forgotten));
    }
    if new.memory.kind == MemoryKind::Fact {
        return Ok(None);
    }
    if !connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?.exists([session.as_str()])? {
        return Ok(Some(Kept::Forgotten));
    }
    let sql = "SELECT 1 FROM memories WHERE session_id = ?1 AND message = ?2 AND kind = 'episode'
        AND owner = ?3 AND assistant = ?4";
    let values = params![session.as_str(), message, of(notebook.owner.as_ref()), notebook.assistant];
    Ok(connection.prepare_cached(sql)?.exists(values)?.then_some(Kept::Known))
}

/// Whether nobody had its id.
fn insert(connection: &Connection, notebook: &Notebook, new: &NewMemory) -> Result<bool, StoreError> {
    let (memory, owner) = (&new.memory, of(notebook.owner.as_ref()));
    let sql = "INSERT INTO memories (id, owner, assistant, kind, attribute, text, origin, session_id, message,
            said_at, ended_at, expires_at, words)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";
    let inserted = connection.prepare_cached(sql)?.execute(params![
        memory.id.as_str(),
        owner,
        notebook.assistant,
        memory.kind.as_str(),
        memory.attribute,
        memory.text,
        memory.origin.as_str(),
        memory.session.as_ref().map(SessionId::as_str),
        memory.message.as_ref().map(MessageId::as_str),
        millis(memory.said_at),
        memory.ended_at.map(millis),
        memory.expires_at.map(millis),
        new.words.to_bytes(),
    ])?;
    if inserted == 0 || memory.kind == MemoryKind::Fact {
        return Ok(inserted > 0);
    }
    let sql = "INSERT INTO memory_traces (owner, assistant, id, session_id, said_at, expires_at, words)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    connection.prepare_cached(sql)?.execute(params![
        owner,
        notebook.assistant,
        memory.id.as_str(),
        memory.session.as_ref().map(SessionId::as_str),
        millis(memory.said_at),
        memory.expires_at.map(millis),
        new.words.to_bytes(),
    ])?;
    Ok(true)
}
