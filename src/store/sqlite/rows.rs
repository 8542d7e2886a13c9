//! The statements, and rows ↔ values. Everything here runs on a storage thread, the writes inside a transaction.

use rusqlite::{
    Connection, OptionalExtension, Row, params,
    types::{Type, ValueRef},
};
use serde::de::DeserializeOwned;

use super::{
    super::{Appended, FinishedAnswer, MessagePage, Scope, SessionRecord, StoreError, Turn},
    pieces,
};
use crate::{
    chat::{Feedback, Message, MessageId, Owner, RunId, SessionId, Status, Timestamp, Title},
    store::{
        Awaited, MAX_AWAITED, MAX_SESSIONS,
        columns::{json, json_list, millis, role_name, time},
        session_taken, unknown_answer,
    },
};

/// A session; of one without a title, which an older version has left, with the question that it is called after.
pub(super) const SESSION: &str =
    "id, assistant, metadata, created_at, updated_at, message_count, owner, temporary, title,
    iif(title IS NULL AND message_count > 0, (SELECT text FROM messages WHERE session_id = sessions.id AND role = 'user'
        AND replaced = 0 ORDER BY position LIMIT 1), NULL)";
pub(super) const MESSAGE: &str =
    "id, role, text, status, run, model, citations, sources, created_at, question, replaces,
     replaced, feedback, tools, version, variant";

pub(super) fn insert_session(connection: &Connection, session: &SessionRecord) -> Result<(), StoreError> {
    if let Some(owner) = &session.owner {
        // The last one that there may be: to look for it passes over the others, and that is cheaper than to count them.
        let sql = "SELECT 1 FROM sessions WHERE owner = ?1 LIMIT 1 OFFSET ?2";
        if connection.prepare_cached(sql)?.exists(params![owner.as_str(), MAX_SESSIONS as i64 - 1])? {
            return Err(StoreError::TooManySessions);
        }
    }
    let inserted = connection
        .prepare_cached(
            "INSERT INTO sessions (id, assistant, metadata, created_at, updated_at, message_count, owner, temporary,
                                   title, title_folded)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            session.id.as_str(),
            session.assistant,
            session.metadata.as_ref().map(json).transpose()?,
            millis(session.created_at),
            millis(session.updated_at),
            session.owner.as_ref().map(Owner::as_str),
            session.is_temporary,
            session.title.as_ref().map(Title::as_str),
            session.title.as_ref().map(Title::folded),
        ])?;
    if inserted == 0 { Err(session_taken(&session.id)) } else { Ok(()) }
}

pub(super) fn session(connection: &Connection, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
    let sql = format!("SELECT {SESSION} FROM sessions WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id.as_str()], session_row).optional()?)
}

/// Deletes a session, and what is remembered of it as it was said in it.
pub(super) fn delete_session(connection: &Connection, id: &SessionId) -> Result<bool, StoreError> {
    delete_episodes_of(connection, id)?;
    delete_session_alone(connection, id)
}

fn delete_session_alone(connection: &Connection, id: &SessionId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([id.as_str()])? > 0)
}

pub(super) fn append_turn(connection: &Connection, session: &SessionId, turn: &Turn) -> Result<Appended, StoreError> {
    if !session_exists(connection, session)? {
        insert_session(connection, turn.opens.as_ref().ok_or(StoreError::NoSession)?)?;
    }
    if let Some(existing) = message(connection, session, &turn.question.id)? {
        return Ok(Appended::Exists(Box::new(existing)));
    }
    connection
        .prepare_cached(
            "UPDATE messages SET status = 'complete' WHERE session_id = ?1 AND status = 'awaiting_approval'",
        )?
        .execute([session.as_str()])?;
    insert_message(connection, session, &turn.question)?;
    insert_message(connection, session, &turn.answer)?;
    let title = Title::of_question(&turn.question.text);
    connection
        .prepare_cached(
            "UPDATE sessions SET message_count = message_count + 2, updated_at = max(updated_at, ?2),
                title = coalesce(title, iif(message_count = 0, ?3, NULL)),
                title_folded = coalesce(title_folded, iif(message_count = 0, ?4, NULL)) WHERE id = ?1",
        )?
        .execute(params![
            session.as_str(),
            millis(turn.question.created_at),
            title.as_ref().map(Title::as_str),
            title.as_ref().map(Title::folded),
        ])?;
    Ok(Appended::Stored)
}

pub(super) fn insert_message(
    connection: &Connection,
    session: &SessionId,
    message: &Message,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO messages (session_id, id, role, text, status, run, model, citations, sources, created_at,
                                   question, replaces)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            session.as_str(),
            message.id.as_str(),
            role_name(message.role),
            message.text,
            message.status.as_str(),
            message.run.as_ref().map(RunId::as_str),
            message.model,
            json_list(&message.citations)?,
            json_list(&message.sources)?,
            millis(message.created_at),
            message.question.as_ref().map(MessageId::as_str),
            message.replaces.as_ref().map(MessageId::as_str),
        ])?;
    Ok(())
}

pub(super) fn rate(
    connection: &Connection,
    session: &SessionId,
    message: &MessageId,
    feedback: &Feedback,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached("UPDATE messages SET feedback = ?3 WHERE session_id = ?1 AND id = ?2")?
        .execute(params![session.as_str(), message.as_str(), json(feedback)?])?;
    if changed == 0 && !session_exists(connection, session)? {
        return Err(StoreError::NoSession);
    }
    Ok(changed > 0)
}

pub(super) fn finish_answer(
    connection: &Connection,
    session: &SessionId,
    answer: &FinishedAnswer,
) -> Result<(), StoreError> {
    let values = params![
        session.as_str(),
        answer.id.as_str(),
        answer.text,
        answer.status.as_str(),
        answer.run.as_str(),
        answer.model,
        json_list(&answer.citations)?,
        json_list(&answer.sources)?,
        answer.usage.as_ref().map(json).transpose()?,
        json_list(&answer.tools)?,
        answer.version,
        answer.variant,
    ];
    let position = connection
        .prepare_cached(
            "UPDATE messages SET text = ?3, run = ?5,
                                 status = iif(?4 = 'awaiting_approval' AND EXISTS (
                                     SELECT 1 FROM messages AS later WHERE later.session_id = ?1 AND later.replaced = 0
                                     AND later.position > messages.position), 'complete', ?4), model = ?6, citations = ?7, sources = ?8, usage = ?9,
                                 tools = ?10, version = ?11, variant = ?12
             WHERE session_id = ?1 AND id = ?2 AND status = 'pending' RETURNING position",
        )?
        .query_row(values, |row| row.get(0))
        .optional()?;
    let Some(position) = position else { return accept_unchanged(connection, session, &answer.id) };
    pieces::forget(connection, position)?;
    connection
        .prepare_cached("UPDATE sessions SET updated_at = max(updated_at, ?2) WHERE id = ?1")?
        .execute(params![session.as_str(), millis(Timestamp::now())])?;
    Ok(())
}

/// An answer that is finished already stays as it is; one that never was is an error.
fn accept_unchanged(connection: &Connection, session: &SessionId, answer: &MessageId) -> Result<(), StoreError> {
    if !session_exists(connection, session)? {
        return Err(StoreError::NoSession);
    }
    let known = connection
        .prepare_cached("SELECT 1 FROM messages WHERE session_id = ?1 AND id = ?2")?
        .exists([session.as_str(), answer.as_str()])?;
    if known { Ok(()) } else { Err(unknown_answer(answer)) }
}

pub(super) fn session_exists(connection: &Connection, session: &SessionId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?.exists([session.as_str()])?)
}

pub(super) fn message(
    connection: &Connection,
    session: &SessionId,
    id: &MessageId,
) -> Result<Option<Message>, StoreError> {
    let sql = format!("SELECT {MESSAGE} FROM messages WHERE session_id = ?1 AND id = ?2");
    let found = connection.prepare_cached(&sql)?.query_row([session.as_str(), id.as_str()], message_row).optional()?;
    found.map(|message| pieces::put_together(connection, session, message)).transpose()
}

pub(super) fn messages(
    connection: &Connection,
    session: &SessionId,
    before: Option<&MessageId>,
    limit: usize,
    scope: Scope,
) -> Result<MessagePage, StoreError> {
    let which = match scope {
        Scope::Conversation => "AND replaced = 0",
        Scope::Everything => "",
    };
    let end = match before {
        None => Some(i64::MAX),
        Some(before) => connection
            .prepare_cached("SELECT position FROM messages WHERE session_id = ?1 AND id = ?2")?
            .query_row([session.as_str(), before.as_str()], |row| row.get(0))
            .optional()?,
    };
    let sql = format!(
        "SELECT {MESSAGE} FROM messages WHERE session_id = ?1 {which} AND position < ?2
         ORDER BY position DESC LIMIT ?3"
    );
    let rows = match end {
        None => Vec::new(),
        Some(end) => connection
            .prepare_cached(&sql)?
            .query_map(params![session.as_str(), end, limit as i64 + 1], message_row)?
            .collect::<Result<Vec<_>, _>>()?,
    };
    if rows.is_empty() && !session_exists(connection, session)? {
        return Err(StoreError::NoSession);
    }
    let (mut messages, more) = cut(rows, limit);
    messages.reverse();
    let whole = messages.into_iter().map(|message| pieces::put_together(connection, session, message));
    Ok(MessagePage { messages: whole.collect::<Result<_, _>>()?, more })
}

pub(super) fn delete_expired(
    connection: &Connection,
    cutoff: Timestamp,
    limit: usize,
) -> Result<Vec<SessionId>, StoreError> {
    let ids = connection
        .prepare_cached("SELECT id FROM sessions WHERE updated_at < ?1 ORDER BY updated_at, id LIMIT ?2")?
        .query_map(params![millis(cutoff), limit as i64], |row| id(row, 0, SessionId::parse))?
        .collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        delete_session_alone(connection, id)?;
    }
    Ok(ids)
}

/// Writes something that nobody reads: the only proof that writing works is to write.
pub(super) fn probe(connection: &Connection) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE probe SET count = count + 1 WHERE id = 1")?.execute([])?;
    Ok(())
}

pub(super) fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    let named = optional_id(row, 8, Title::parse)?;
    let first = row.get_ref(9)?.as_str_or_null()?;
    Ok(SessionRecord {
        id: id(row, 0, SessionId::parse)?,
        assistant: row.get(1)?,
        metadata: from_json(row, 2)?,
        created_at: timestamp(row, 3)?,
        updated_at: timestamp(row, 4)?,
        message_count: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        owner: row.get_ref(6)?.as_str_or_null()?.map(Owner::new),
        is_temporary: row.get(7)?,
        title: named.or_else(|| first.and_then(Title::of_question)),
    })
}

pub(super) fn message_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let message = Message {
        id: id(row, 0, MessageId::parse)?,
        role: name(row, 1)?,
        text: row.get(2)?,
        status: name::<Status>(row, 3)?,
        run: optional_id(row, 4, RunId::parse)?,
        model: row.get(5)?,
        citations: from_json(row, 6)?.unwrap_or_default(),
        sources: from_json(row, 7)?.unwrap_or_default(),
        created_at: timestamp(row, 8)?,
        question: optional_id(row, 9, MessageId::parse)?,
        replaces: optional_id(row, 10, MessageId::parse)?,
        replaced: row.get(11)?,
        feedback: from_json(row, 12)?,
        tools: from_json(row, 13)?.unwrap_or_default(),
        version: row.get(14)?,
        variant: row.get(15)?,
    };
    Ok(message.settled())
}

/// Answers in which a call waits, of sessions whose owners lie between these.
pub(super) fn awaiting(
    connection: &Connection,
    (from, to): &(String, String),
    part: Option<&str>,
) -> Result<Vec<Awaited>, StoreError> {
    let sql = format!(
        "SELECT {MESSAGE}, session_id, (SELECT owner FROM sessions WHERE sessions.id = session_id) FROM messages
         WHERE status = 'awaiting_approval' AND replaced = 0
         AND EXISTS (SELECT 1 FROM sessions WHERE sessions.id = session_id AND owner BETWEEN ?1 AND ?2)
         AND (?3 IS NULL OR instr(tools, ?3) > 0) ORDER BY position DESC LIMIT ?4"
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_map(params![from, to, part, MAX_AWAITED as i64], |row| {
            let owner = Owner::new(row.get_ref(17)?.as_str()?);
            Ok(Awaited { session: id(row, 16, SessionId::parse)?, owner, answer: message_row(row)? })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(found)
}

/// The rows asked for, and whether there was one more.
pub(super) fn cut<T>(mut rows: Vec<T>, limit: usize) -> (Vec<T>, bool) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(time)
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(None) };
    serde_json::from_str(text).map(Some).map_err(|error| damaged(column, error))
}

/// An enum that is stored under the name it has on the wire.
pub(super) fn name<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text))
        .map_err(|error| damaged(column, error))
}

pub(super) fn id<T, E>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Result<T, E>) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(row.get_ref(column)?.as_str()?).map_err(|error| damaged(column, error))
}

pub(super) fn optional_id<T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<Option<T>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    if row.get_ref(column)? == ValueRef::Null { Ok(None) } else { id(row, column, parse).map(Some) }
}

fn damaged(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Deletes the episodes of a conversation that its owner deletes.
fn delete_episodes_of(connection: &Connection, session: &SessionId) -> Result<(), StoreError> {
    let sql = "DELETE FROM memories WHERE session_id = ?1 AND kind = 'episode'
        AND owner = (SELECT coalesce(owner, '') FROM sessions WHERE id = ?1)";
    connection.prepare_cached(sql)?.execute([session.as_str()])?;
    Ok(())
}
