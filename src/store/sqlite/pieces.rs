//! The text of answers that are being written, piece by piece: a checkpoint costs as much as was added, and not as much
//! as was written so far. Statements like those of `rows.rs`.

use rusqlite::{Connection, params};

use super::super::{Piece, StoreError, columns::json_list, continue_text};
use crate::chat::{Message, SessionId, Status};

/// Of how many answers something is kept.
pub(super) fn keep(connection: &Connection, pieces: &[Piece]) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO pieces (answer, at, text)
         SELECT position, ?3, ?4 FROM messages WHERE session_id = ?1 AND id = ?2 AND status = 'pending'",
    )?;
    let mut call = connection
        .prepare_cached("UPDATE messages SET tools = ?3 WHERE session_id = ?1 AND id = ?2 AND status = 'pending'")?;
    let mut kept = 0;
    for Piece { session, answer, at, text, tools, .. } in pieces {
        kept += statement.execute(params![session.as_str(), answer.as_str(), *at as i64, text])?;
        if let Some(tools) = tools {
            call.execute(params![session.as_str(), answer.as_str(), json_list(tools)?])?;
        }
    }
    Ok(kept)
}

/// The answer has ended: its text is with it.
pub(super) fn forget(connection: &Connection, position: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM pieces WHERE answer = ?1")?.execute([position])?;
    Ok(())
}

/// A message with all of its text.
pub(super) fn put_together(
    connection: &Connection,
    session: &SessionId,
    mut message: Message,
) -> Result<Message, StoreError> {
    if message.status == Status::Pending {
        let position = connection
            .prepare_cached("SELECT position FROM messages WHERE session_id = ?1 AND id = ?2")?
            .query_row([session.as_str(), message.id.as_str()], |row| row.get(0))?;
        add_pieces(connection, position, &mut message.text)?;
    }
    Ok(message)
}

/// Ends all pending answers, each with all of its text; how many it were.
pub(super) fn put_all_together(connection: &Connection, ending: Status) -> Result<usize, StoreError> {
    let positions = connection
        .prepare("SELECT position FROM messages WHERE status = 'pending'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    let mut read = connection.prepare("SELECT text FROM messages WHERE position = ?1")?;
    let mut write = connection.prepare("UPDATE messages SET text = ?2, status = ?3 WHERE position = ?1")?;
    for position in &positions {
        let mut text = read.query_row([position], |row| row.get(0))?;
        add_pieces(connection, *position, &mut text)?;
        write.execute(params![position, text, ending.as_str()])?;
    }
    connection.execute("DELETE FROM pieces", [])?;
    Ok(positions.len())
}

fn add_pieces(connection: &Connection, position: i64, text: &mut String) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("SELECT at, text FROM pieces WHERE answer = ?1 ORDER BY id")?;
    let mut rows = statement.query([position])?;
    while let Some(row) = rows.next()? {
        let at = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
        continue_text(text, at, row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?);
    }
    Ok(())
}
