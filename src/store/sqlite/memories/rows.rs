//! Rows of memories, and what keeping and forgetting have in common.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    chat::{Memory, MemoryId, MessageId, Notebook, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        columns::{millis, time},
        memories::MemoryFilter,
        sqlite::rows::{id, name, optional_id, timestamp},
    },
};

/// A memory.
pub(super) const MEMORY: &str =
    "id, assistant, kind, attribute, text, origin, session_id, message, said_at, ended_at, expires_at";

/// How an owner stands in these tables.
pub(super) fn of(owner: Option<&Owner>) -> &str {
    owner.map_or("", Owner::as_str)
}

/// Whether an owner wants anything to be remembered.
pub(super) fn remembers(connection: &Connection, owner: Option<&Owner>) -> Result<bool, StoreError> {
    let sql = "SELECT remembers FROM memory_settings WHERE owner = ?1";
    let found = connection.prepare_cached(sql)?.query_row([of(owner)], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(true))
}

/// The facts of a notebook, the oldest first: those that hold at a moment, or all.
pub(super) fn facts(
    connection: &Connection,
    notebook: &Notebook,
    at: Option<Timestamp>,
) -> Result<Vec<Memory>, StoreError> {
    let sql = format!(
        "SELECT {MEMORY} FROM memories WHERE owner = ?1 AND assistant = ?2 AND kind = 'fact'
         AND (?3 IS NULL OR ended_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)) ORDER BY position"
    );
    let values = params![of(notebook.owner.as_ref()), notebook.assistant, at.map(millis)];
    Ok(connection.prepare_cached(&sql)?.query_map(values, memory)?.collect::<Result<_, _>>()?)
}

/// What a filter asks of a row; its values are `?2` to `?4`.
pub(super) fn condition(filter: &MemoryFilter) -> String {
    let asked = [
        (filter.assistant.is_some(), " AND assistant = ?2"),
        (filter.kind.is_some(), " AND kind = ?3"),
        (filter.session.is_some(), " AND session_id = ?4"),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, condition)| condition).collect()
}

pub(super) fn memory(row: &Row<'_>) -> rusqlite::Result<Memory> {
    Ok(Memory {
        id: id(row, 0, MemoryId::parse)?,
        assistant: row.get(1)?,
        kind: name(row, 2)?,
        attribute: row.get(3)?,
        text: row.get(4)?,
        origin: name(row, 5)?,
        session: optional_id(row, 6, SessionId::parse)?,
        message: optional_id(row, 7, MessageId::parse)?,
        said_at: timestamp(row, 8)?,
        ended_at: row.get::<_, Option<i64>>(9)?.map(time),
        expires_at: row.get::<_, Option<i64>>(10)?.map(time),
    })
}
