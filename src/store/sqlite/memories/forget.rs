//! What is remembered no longer.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{MEMORY, condition, memory, of};
use crate::{
    chat::{Memory, MemoryId, MemoryKind, MessageId, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        columns::{integer, millis},
        memories::{Forget, Forgotten, MAX_FORGOTTEN, MemoryFilter, Past, Words},
        sqlite::rows::name,
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
        Forget::Undo(id) => undo(connection, owner, id),
        Forget::All(filter) => all(connection, owner, filter, now),
    }
}

fn one(connection: &Connection, owner: Option<&Owner>, id: &MemoryId, now: Timestamp) -> Result<Forgotten, StoreError> {
    let Some((found, words)) = find(connection, owner, id)? else { return Ok(Forgotten::default()) };
    let mut forgotten = Forgotten::default();
    for (position, kind) in with_it(connection, owner, &found, &words)? {
        connection.prepare_cached("DELETE FROM memories WHERE position = ?1")?.execute([position])?;
        forgotten.count(kind, 1);
    }
    let past = Past { at: now, words: Some(words), session: found.session, message: found.message };
    note(connection, owner, &found.assistant, &past)?;
    Ok(forgotten)
}

/// Where what goes with a memory stands, itself included.
fn with_it(
    connection: &Connection,
    owner: Option<&Owner>,
    found: &Memory,
    words: &Words,
) -> Result<Vec<(i64, MemoryKind)>, StoreError> {
    let sql = "SELECT position, kind, words, id = ?3 OR ?6 AND kind = 'episode' AND session_id = ?4 AND message = ?5
        FROM memories WHERE owner = ?1 AND assistant = ?2 AND (?6 OR id = ?3)";
    let values = params![
        of(owner),
        found.assistant,
        found.id.as_str(),
        found.session.as_ref().map(SessionId::as_str),
        found.message.as_ref().map(MessageId::as_str),
        found.kind == MemoryKind::Fact,
    ];
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut with_it = Vec::new();
    while let Some(row) = rows.next()? {
        let is_of_message: Option<bool> = row.get(3)?;
        let mentions =
            || Ok::<_, StoreError>(Words::from_bytes(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?));
        if is_of_message == Some(true) || found.kind == MemoryKind::Fact && mentions()?.mentions(words) {
            with_it.push((row.get(0)?, name(row, 1)?));
        }
    }
    Ok(with_it)
}

fn find(connection: &Connection, owner: Option<&Owner>, id: &MemoryId) -> Result<Option<(Memory, Words)>, StoreError> {
    let sql = format!("SELECT {}, words FROM memories WHERE id = ?2 AND owner = ?1", MEMORY);
    let found = |row: &Row<'_>| Ok((memory(row)?, Words::from_bytes(row.get_ref(11)?.as_blob()?)));
    Ok(connection.prepare_cached(&sql)?.query_row([of(owner), id.as_str()], found).optional()?)
}

fn undo(connection: &Connection, owner: Option<&Owner>, id: &MemoryId) -> Result<Forgotten, StoreError> {
    let sql = "DELETE FROM memories WHERE id = ?2 AND owner = ?1 RETURNING kind, ended_at, ended_by";
    type Ended = (Option<i64>, Option<String>);
    let deleted = |row: &Row<'_>| Ok((name(row, 0)?, (row.get(1)?, row.get(2)?)));
    let mut statement = connection.prepare_cached(sql)?;
    let deleted: Option<(MemoryKind, Ended)> = statement.query_row([of(owner), id.as_str()], deleted).optional()?;
    let mut forgotten = Forgotten::default();
    if let Some((kind, (ended_at, ended_by))) = deleted {
        let sql = "UPDATE memories SET ended_at = ?3, ended_by = ?4 WHERE ended_by = ?2 AND owner = ?1";
        connection.prepare_cached(sql)?.execute(params![of(owner), id.as_str(), ended_at, ended_by])?;
        forgotten.count(kind, 1);
    }
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
    for kind in [MemoryKind::Fact, MemoryKind::Episode] {
        if filter.kind.is_none_or(|asked| asked == kind) {
            let filter = MemoryFilter { kind: Some(kind), ..filter.clone() };
            let sql = format!("DELETE FROM memories WHERE owner = ?1 {} AND ?5", condition(&filter));
            let values = params![of(owner), assistant, kind.as_str(), session, true];
            forgotten.count(kind, connection.prepare_cached(&sql)?.execute(values)?);
        }
    }
    if filter.session.is_none() {
        // What was forgotten before of the same notebooks is covered by this.
        let sql = "DELETE FROM memory_forgotten WHERE owner = ?1 AND (?2 IS NULL OR assistant = ?2) AND at <= ?3";
        connection.prepare_cached(sql)?.execute(params![of(owner), assistant, millis(now)])?;
    }
    let past = Past { at: now, words: None, session: filter.session.clone(), message: None };
    note(connection, owner, assistant.unwrap_or_default(), &past)?;
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
    let sql = "DELETE FROM memory_forgotten WHERE position IN
        (SELECT position FROM memory_forgotten WHERE owner = ?1 AND assistant = ?2
         ORDER BY position DESC LIMIT -1 OFFSET ?3)";
    connection.prepare_cached(sql)?.execute(params![of(owner), assistant, integer(MAX_FORGOTTEN as u64)])?;
    Ok(())
}
