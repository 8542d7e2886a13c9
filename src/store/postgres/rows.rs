//! Rows ↔ values.

use serde::de::DeserializeOwned;
use tokio_postgres::{Row, types::FromSql};

use super::connect::unavailable;
use crate::{
    chat::{Message, MessageId, Owner, RunId, SessionId, Status, Timestamp, Title},
    store::{Awaited, SessionRecord, StoreError, columns::time, continue_text},
};

/// A session; of one without a title, which an older version has left, with the question that it is called after.
pub(super) const SESSION: &str =
    "id, assistant, metadata, created_at, updated_at, message_count, owner, temporary, title,
    CASE WHEN title IS NULL AND message_count > 0 THEN (SELECT text FROM messages WHERE session_id = sessions.id
        AND role = 'user' AND NOT replaced ORDER BY position LIMIT 1) END";
/// A message; of a pending one with the pieces of its text that were kept.
pub(super) const MESSAGE: &str = "id, role, text, status, run, model, citations, sources, created_at, question, replaces,
    replaced, feedback, position, tools,
    CASE status WHEN 'pending' THEN ARRAY(SELECT at FROM pieces WHERE answer = position ORDER BY pieces.id) END,
    CASE status WHEN 'pending' THEN ARRAY(SELECT pieces.text FROM pieces WHERE answer = position ORDER BY pieces.id) END,
    version, variant";

pub(super) fn session(row: &Row) -> Result<SessionRecord, StoreError> {
    let named = optional_id(row, 8, Title::parse)?;
    let first = get::<Option<&[u8]>>(row, 9)?.map(utf8).transpose()?;
    Ok(SessionRecord {
        id: id(row, 0, SessionId::parse)?,
        assistant: get(row, 1)?,
        metadata: from_json(row, 2)?,
        created_at: timestamp(row, 3)?,
        updated_at: timestamp(row, 4)?,
        message_count: u64::try_from(get::<i64>(row, 5)?).unwrap_or(0),
        owner: get::<Option<&str>>(row, 6)?.map(Owner::new),
        is_temporary: get(row, 7)?,
        title: named.or_else(|| Title::of_question(&first?)),
    })
}

pub(super) fn message(row: &Row) -> Result<Message, StoreError> {
    let mut text = utf8(get(row, 2)?)?;
    let ats: Option<Vec<i64>> = get(row, 15)?;
    let pieces: Option<Vec<&[u8]>> = get(row, 16)?;
    for (at, piece) in ats.into_iter().flatten().zip(pieces.into_iter().flatten()) {
        continue_text(&mut text, usize::try_from(at).unwrap_or(usize::MAX), &utf8(piece)?);
    }
    let message = Message {
        id: id(row, 0, MessageId::parse)?,
        role: name(row, 1)?,
        text,
        status: name::<Status>(row, 3)?,
        run: optional_id(row, 4, RunId::parse)?,
        model: get(row, 5)?,
        citations: from_json(row, 6)?.unwrap_or_default(),
        sources: from_json(row, 7)?.unwrap_or_default(),
        created_at: timestamp(row, 8)?,
        question: optional_id(row, 9, MessageId::parse)?,
        replaces: optional_id(row, 10, MessageId::parse)?,
        replaced: get(row, 11)?,
        feedback: from_json(row, 12)?,
        tools: from_json(row, 14)?.unwrap_or_default(),
        version: get(row, 17)?,
        variant: get(row, 18)?,
    };
    Ok(message.settled())
}

/// An answer of [`MESSAGE`] with its session and that one's owner.
pub(super) fn awaited(row: &Row) -> Result<Awaited, StoreError> {
    Ok(Awaited { session: id(row, 19, SessionId::parse)?, owner: Owner::new(get(row, 20)?), answer: message(row)? })
}

/// Where a message of [`MESSAGE`] stands.
pub(super) fn position(row: &Row) -> Result<i64, StoreError> {
    get(row, 13)
}

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| damaged(row, column, &error))
}

pub(super) fn id<'a, T, E: std::fmt::Display>(
    row: &'a Row,
    column: usize,
    parse: impl FnOnce(&'a str) -> Result<T, E>,
) -> Result<T, StoreError> {
    parse(get(row, column)?).map_err(|error| damaged(row, column, &error))
}

pub(super) fn optional_id<'a, T, E: std::fmt::Display>(
    row: &'a Row,
    column: usize,
    parse: impl FnOnce(&'a str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = get(row, column)?;
    text.map(parse).transpose().map_err(|error| damaged(row, column, &error))
}

/// An enum that is stored under the name it has on the wire.
pub(super) fn name<T: DeserializeOwned>(row: &Row, column: usize) -> Result<T, StoreError> {
    let text: &str = get(row, column)?;
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text))
        .map_err(|error| damaged(row, column, &error))
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<Option<T>, StoreError> {
    let Some(text) = get::<Option<&str>>(row, column)? else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| damaged(row, column, &error))
}

pub(super) fn timestamp(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    get(row, column).map(time)
}

pub(super) fn utf8(bytes: &[u8]) -> Result<String, StoreError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| unavailable("a stored text is not UTF-8"))
}

pub(super) fn damaged(row: &Row, column: usize, error: &impl std::fmt::Display) -> StoreError {
    let name = row.columns().get(column).map_or("?", |column| column.name());
    StoreError::Unavailable(format!("the stored column {name} cannot be read: {error}"))
}
