//! Lists of sessions, and what they are called: statements like those of `rows.rs`.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{SESSION, cut, session_row};
use crate::{
    chat::{Owner, SessionId, Title},
    store::{MAX_SESSIONS, SessionPage, StoreError},
};

/// Sessions of an owner, newest first; with `part` those in whose folded titles that stands.
pub(super) fn page(
    connection: &Connection,
    owner: Option<&Owner>,
    part: Option<&str>,
    before: Option<&SessionId>,
    limit: usize,
) -> Result<SessionPage, StoreError> {
    let owner = owner.map(Owner::as_str);
    let (mut created_at, mut id) = (i64::MAX, "");
    if let Some(before) = before {
        created_at = connection
            .prepare_cached("SELECT created_at FROM sessions WHERE id = ?1 AND owner IS ?2")?
            .query_row(params![before.as_str(), owner], |row| row.get(0))
            .optional()?
            .ok_or(StoreError::NoSession)?;
        id = before.as_str();
    }
    // Written so that the index leads straight to the first row.
    let older = "FROM sessions WHERE owner IS ?1 AND created_at <= ?2 AND (created_at < ?2 OR id > ?3)
        ORDER BY created_at DESC, id";
    let most = limit as i64 + 1;
    let rows = match part {
        None => connection
            .prepare_cached(&format!("SELECT {SESSION} {older} LIMIT ?4"))?
            .query_map(params![owner, created_at, id, most], session_row)?
            .collect::<Result<Vec<_>, _>>()?,
        Some(part) => connection
            .prepare_cached(&format!(
                "SELECT {SESSION} FROM (SELECT * {older} LIMIT ?5) AS sessions WHERE instr(title_folded, ?6) > 0
                 ORDER BY created_at DESC, id LIMIT ?4"
            ))?
            .query_map(params![owner, created_at, id, most, MAX_SESSIONS as i64, part], session_row)?
            .collect::<Result<Vec<_>, _>>()?,
    };
    let (sessions, more) = cut(rows, limit);
    Ok(SessionPage { sessions, more })
}

/// Calls a session something else; false when there is none.
pub(super) fn rename(connection: &Connection, id: &SessionId, title: &Title) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached("UPDATE sessions SET title = ?2, title_folded = ?3 WHERE id = ?1")?
        .execute(params![id.as_str(), title.as_str(), title.folded()])?;
    Ok(changed > 0)
}
