//! What is remembered no longer.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{MEMORY, condition, memory, of};
use crate::{
    chat::{Memory, MemoryId, MemoryKind, MessageId, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        columns::{integer, millis},
        memories::{Forget, Forgotten, MAX_FORGOTTEN, MemoryFilter, Met, OfMessage, Past, Stands, TakenBack, Words},
        sqlite::rows::{id, name, optional_id},
    },
};

pub(super) fn forget(
    connection: &Connection,
    owner: Option<&Owner>,
    what: &Forget,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    match what {
        Forget::One(id) => one(connection, owner, id, now),
        Forget::Undo(id) => undo(connection, owner, id, now),
        Forget::Words(assistant, words) => mentioned(connection, owner, assistant, words, now),
        Forget::All(filter) => all(connection, owner, filter, now),
    }
}

fn one(connection: &Connection, owner: Option<&Owner>, id: &MemoryId, now: Timestamp) -> Result<Forgotten, StoreError> {
    let Some((found, words, position)) = find(connection, owner, id)? else { return Ok(Forgotten::default()) };
    let said = found.session.clone().zip(found.message.clone());
    let stands = Stands { position, kind: found.kind, words: words.clone(), said };
    let forgotten = delete(connection, &stands.with(notebook(connection, owner, &found.assistant)?))?;
    note(connection, owner, &found.assistant, &Past::of_words(now, words, (found.session, found.message)))?;
    Ok(forgotten)
}

/// All of a notebook.
fn notebook(connection: &Connection, owner: Option<&Owner>, assistant: &str) -> Result<Vec<Stands>, StoreError> {
    let sql = "SELECT position, kind, words, session_id, message FROM memories WHERE owner = ?1 AND assistant = ?2";
    let stands = |row: &Row<'_>| {
        let session = optional_id(row, 3, SessionId::parse)?;
        Ok(Stands {
            position: row.get(0)?,
            kind: name(row, 1)?,
            words: Words::from_bytes(row.get_ref(2)?.as_blob()?),
            said: session.zip(optional_id(row, 4, MessageId::parse)?),
        })
    };
    Ok(connection.prepare_cached(sql)?.query_map(params![of(owner), assistant], stands)?.collect::<Result<_, _>>()?)
}

fn delete(connection: &Connection, met: &Met) -> Result<Forgotten, StoreError> {
    let mut forgotten = Forgotten::default();
    let mut statement = connection.prepare_cached("DELETE FROM memories WHERE position = ?1")?;
    for (position, kind) in &met.gone {
        statement.execute([position])?;
        forgotten.count(*kind, 1);
    }
    Ok(forgotten)
}

/// A memory, its words, and where it stands.
fn find(
    connection: &Connection,
    owner: Option<&Owner>,
    id: &MemoryId,
) -> Result<Option<(Memory, Words, i64)>, StoreError> {
    let sql = format!("SELECT {}, words, position FROM memories WHERE id = ?2 AND owner = ?1", MEMORY);
    let found = |row: &Row<'_>| Ok((memory(row)?, Words::from_bytes(row.get_ref(11)?.as_blob()?), row.get(12)?));
    Ok(connection.prepare_cached(&sql)?.query_row([of(owner), id.as_str()], found).optional()?)
}

fn undo(
    connection: &Connection,
    owner: Option<&Owner>,
    id: &MemoryId,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    let Some((found, ..)) = find(connection, owner, id)? else { return Ok(Forgotten::default()) };
    let said = found.session.zip(found.message);
    let of_message = said.as_ref().map(|said| of_message(connection, owner, said)).transpose()?;
    take_back(connection, owner, &TakenBack::one(id, found.assistant, of_message.unwrap_or_default()), said, now)
}

/// Takes back all memories of a message, in whichever notebook: it was edited.
pub(in crate::store::sqlite) fn undo_message(
    connection: &Connection,
    owner: Option<&Owner>,
    said: (SessionId, MessageId),
    now: Timestamp,
) -> Result<(), StoreError> {
    let back = TakenBack::all(of_message(connection, owner, &said)?);
    take_back(connection, owner, &back, Some(said), now).map(drop)
}

/// What there is of a message, the newest first.
fn of_message(
    connection: &Connection,
    owner: Option<&Owner>,
    (session, message): &(SessionId, MessageId),
) -> Result<Vec<OfMessage>, StoreError> {
    let sql = "SELECT id, assistant, kind FROM memories WHERE owner = ?1 AND session_id = ?2 AND message = ?3
        ORDER BY position DESC";
    let found =
        |row: &Row<'_>| Ok(OfMessage { id: id(row, 0, MemoryId::parse)?, assistant: row.get(1)?, kind: name(row, 2)? });
    let values = params![of(owner), session.as_str(), message.as_str()];
    Ok(connection.prepare_cached(sql)?.query_map(values, found)?.collect::<Result<_, _>>()?)
}

fn take_back(
    connection: &Connection,
    owner: Option<&Owner>,
    back: &TakenBack,
    said: Option<(SessionId, MessageId)>,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    let mut forgotten = Forgotten::default();
    for id in &back.gone {
        take_back_one(connection, owner, id, &mut forgotten)?;
    }
    if let Some(said) = said {
        let past = Past::of_message(now, said);
        back.assistants.iter().try_for_each(|assistant| note(connection, owner, assistant, &past))?;
    }
    Ok(forgotten)
}

fn take_back_one(
    connection: &Connection,
    owner: Option<&Owner>,
    id: &MemoryId,
    forgotten: &mut Forgotten,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM memories WHERE id = ?2 AND owner = ?1 RETURNING kind, ended_at, ended_by";
    type Ended = (Option<i64>, Option<String>);
    let deleted = |row: &Row<'_>| Ok((name(row, 0)?, (row.get(1)?, row.get(2)?)));
    let mut statement = connection.prepare_cached(sql)?;
    let deleted: Option<(MemoryKind, Ended)> = statement.query_row([of(owner), id.as_str()], deleted).optional()?;
    if let Some((kind, (ended_at, ended_by))) = deleted {
        let sql = "UPDATE memories SET ended_at = ?3, ended_by = ?4 WHERE ended_by = ?2 AND owner = ?1";
        connection.prepare_cached(sql)?.execute(params![of(owner), id.as_str(), ended_at, ended_by])?;
        forgotten.count(kind, 1);
    }
    Ok(())
}

fn mentioned(
    connection: &Connection,
    owner: Option<&Owner>,
    assistant: &str,
    words: &Words,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    let met = Stands::mentioning(words, notebook(connection, owner, assistant)?);
    let forgotten = delete(connection, &met)?;
    for said in met.messages {
        note(connection, owner, assistant, &Past::of_message(now, said))?;
    }
    note(connection, owner, assistant, &Past::of_words(now, words.clone(), (None, None)))?;
    Ok(forgotten)
}

fn all(
    connection: &Connection,
    owner: Option<&Owner>,
    filter: &MemoryFilter,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    let assistant = filter.assistant.as_deref();
    let session = filter.session.as_ref().map(SessionId::as_str);
    let mut forgotten = Forgotten::default();
    for (kind, filter) in filter.by_kind() {
        let sql = format!("DELETE FROM memories WHERE owner = ?1 {} AND ?5", condition(&filter));
        let values = params![of(owner), assistant, kind.as_str(), session, true];
        forgotten.count(kind, connection.prepare_cached(&sql)?.execute(values)?);
    }
    if filter.session.is_none() {
        // What was forgotten before of the same notebooks is covered by this.
        let sql = "DELETE FROM memory_forgotten WHERE owner = ?1 AND (?2 IS NULL OR assistant = ?2) AND at <= ?3";
        connection.prepare_cached(sql)?.execute(params![of(owner), assistant, millis(now)])?;
    }
    note(connection, owner, assistant.unwrap_or_default(), &Past::of_all(now, filter))?;
    Ok(forgotten)
}

/// Notes what is not to be remembered again; of a notebook the newest stay.
fn note(connection: &Connection, owner: Option<&Owner>, assistant: &str, past: &Past) -> Result<(), StoreError> {
    let sql = "INSERT INTO memory_forgotten (owner, assistant, at, words, session_id, message)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.prepare_cached(sql)?.execute(params![
        of(owner),
        assistant,
        millis(past.at),
        past.words.as_ref().map(Words::to_bytes),
        past.session.as_ref().map(SessionId::as_str),
        past.message.as_ref().map(MessageId::as_str),
    ])?;
    // What is over the bound becomes one: nothing that was said before then is remembered again.
    let sql = "SELECT max(at) FROM memory_forgotten WHERE position IN
        (SELECT position FROM memory_forgotten WHERE owner = ?1 AND assistant = ?2
         ORDER BY position DESC LIMIT -1 OFFSET ?3)";
    let values = params![of(owner), assistant, integer(MAX_FORGOTTEN as u64 - 1)];
    let count = "SELECT count(*) > ?3 FROM memory_forgotten WHERE owner = ?1 AND assistant = ?2";
    let is_over = params![of(owner), assistant, integer(MAX_FORGOTTEN as u64)];
    if connection.prepare_cached(count)?.query_row(is_over, |row| row.get(0))? {
        let until: i64 = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
        let sql = "DELETE FROM memory_forgotten WHERE owner = ?1 AND assistant = ?2 AND at <= ?3";
        connection.prepare_cached(sql)?.execute(params![of(owner), assistant, until])?;
        let sql = "INSERT INTO memory_forgotten (owner, assistant, at) VALUES (?1, ?2, ?3)";
        connection.prepare_cached(sql)?.execute(params![of(owner), assistant, until])?;
    }
    Ok(())
}
