//! Rows of memories, and what keeping and forgetting have in common.

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use crate::{
    chat::{Memory, MemoryId, MessageId, Notebook, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        columns::{millis, time},
        memories::MemoryFilter,
        postgres::{
            connect::Link,
            rows::{get, id, name, optional_id, timestamp, utf8},
            writer::Failure,
        },
    },
};

/// A memory.
pub(super) const MEMORY: &str =
    "id, assistant, kind, attribute, text, origin, session_id, message, said_at, ended_at, expires_at";

/// How an owner stands in these tables.
pub(super) fn of(owner: Option<&Owner>) -> &str {
    owner.map_or("", Owner::as_str)
}

/// Waits until no other gateway changes what an owner's notebooks say, and keeps others waiting until the transaction ends.
pub(in crate::store::postgres) async fn hold(link: &Link, owner: Option<&Owner>) -> Result<(), Failure> {
    let hash = blake3::Hasher::new().update(b"memories of ").update(of(owner).as_bytes()).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let lock = i64::from_le_bytes(first);
    link.client.execute_typed("SELECT pg_advisory_xact_lock($1)", &[(&lock, Type::INT8)]).await?;
    Ok(())
}

/// Whether an owner wants anything to be remembered.
pub(super) async fn remembers(link: &Link, owner: Option<&Owner>) -> Result<bool, Failure> {
    let sql = "SELECT remembers FROM memory_settings WHERE owner = $1";
    let found = link.client.query_typed_opt(sql, &[(&of(owner), Type::TEXT)]).await?;
    Ok(found.map(|row| get(&row, 0)).transpose()?.unwrap_or(true))
}

/// The facts of a notebook, the oldest first: those that hold at a moment, or all.
pub(super) async fn facts(link: &Link, notebook: &Notebook, at: Option<Timestamp>) -> Result<Vec<Memory>, Failure> {
    let sql = format!(
        "SELECT {MEMORY} FROM memories WHERE owner = $1 AND assistant = $2 AND kind = 'fact'
         AND ($3::bigint IS NULL OR ended_at IS NULL AND (expires_at IS NULL OR expires_at > $3)) ORDER BY position"
    );
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&of(notebook.owner.as_ref()), Type::TEXT), (&notebook.assistant, Type::TEXT), (&at.map(millis), Type::INT8)];
    memories(&link.client.query_typed(&sql, &values).await?)
}

/// What a filter asks of a row; its values are `$2` to `$4`.
pub(super) fn condition(filter: &MemoryFilter) -> String {
    let asked = [
        (filter.assistant.is_some(), " AND assistant = $2"),
        (filter.kind.is_some(), " AND kind = $3"),
        (filter.session.is_some(), " AND session_id = $4"),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, condition)| condition).collect()
}

pub(super) fn memories(rows: &[Row]) -> Result<Vec<Memory>, Failure> {
    Ok(rows.iter().map(memory).collect::<Result<_, _>>()?)
}

pub(super) fn memory(row: &Row) -> Result<Memory, StoreError> {
    let text = |column| get::<Option<&[u8]>>(row, column)?.map(utf8).transpose();
    Ok(Memory {
        id: id(row, 0, MemoryId::parse)?,
        assistant: get(row, 1)?,
        kind: name(row, 2)?,
        attribute: text(3)?,
        text: utf8(get(row, 4)?)?,
        origin: name(row, 5)?,
        session: optional_id(row, 6, SessionId::parse)?,
        message: optional_id(row, 7, MessageId::parse)?,
        said_at: timestamp(row, 8)?,
        ended_at: get::<Option<i64>>(row, 9)?.map(time),
        expires_at: get::<Option<i64>>(row, 10)?.map(time),
    })
}
