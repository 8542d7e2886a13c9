//! Sessions: made, taken, listed, deleted.

use std::sync::Arc;

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use super::{
    connect::{Link, unavailable},
    rows::{self, MESSAGE, SESSION, get},
    writer::Failure,
};
use crate::{
    chat::{Owner, SessionId, Status, Timestamp, Title},
    store::{
        Fence, MAX_SESSIONS, NodeId, SessionPage, SessionRecord, StoreError,
        columns::{json, millis},
    },
    telemetry::metrics::CLUSTER_FENCED,
};

/// Stores a session; false when its id is taken. With a node it is that one's at once.
pub(super) async fn insert(link: &Link, session: &SessionRecord, node: Option<&str>) -> Result<bool, Failure> {
    if let Some(owner) = &session.owner {
        // The last one that there may be: to look for it passes over the others, and that is cheaper than to count them.
        let sql = "SELECT FROM sessions WHERE owner = $1 LIMIT 1 OFFSET $2";
        let values: [(&(dyn ToSql + Sync), Type); 2] =
            [(&owner.as_str(), Type::TEXT), (&(MAX_SESSIONS as i64 - 1), Type::INT8)];
        if link.client.query_typed_opt(sql, &values).await?.is_some() {
            return Err(StoreError::TooManySessions.into());
        }
    }
    let metadata = session.metadata.as_ref().map(json).transpose()?;
    let fence = if node.is_some() { Fence::FIRST.0 as i64 } else { 0 };
    let inserted = link
        .client
        .execute_typed(
            "INSERT INTO sessions (id, assistant, metadata, created_at, updated_at, message_count, owner, node, fence,
                temporary, title, title_folded)
             VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
            &[
                (&session.id.as_str(), Type::TEXT),
                (&session.assistant, Type::TEXT),
                (&metadata, Type::TEXT),
                (&millis(session.created_at), Type::INT8),
                (&millis(session.updated_at), Type::INT8),
                (&session.owner.as_ref().map(Owner::as_str), Type::TEXT),
                (&node, Type::TEXT),
                (&fence, Type::INT8),
                (&session.is_temporary, Type::BOOL),
                (&session.title.as_ref().map(Title::as_str), Type::TEXT),
                (&session.title.as_ref().map(Title::folded), Type::TEXT),
            ],
        )
        .await?;
    Ok(inserted > 0)
}

pub(super) async fn one(link: &Link, id: &SessionId) -> Result<Option<SessionRecord>, Failure> {
    let sql = format!("SELECT {SESSION} FROM sessions WHERE id = $1");
    let row = link.client.query_typed_opt(&sql, &[(&id.as_str(), Type::TEXT)]).await?;
    Ok(row.as_ref().map(rows::session).transpose()?)
}

/// Waits until nobody else writes to the session, and holds it until the transaction ends, if it is this node's.
pub(super) async fn hold(link: &Link, session: &SessionId, node: &str, fence: Fence) -> Result<(), Failure> {
    // Its key does not change: messages may be added, which refer to it.
    let sql = "SELECT node = $2 AND fence = $3 FROM sessions WHERE id = $1 FOR NO KEY UPDATE";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&session.as_str(), Type::TEXT), (&node, Type::TEXT), (&(fence.0 as i64), Type::INT8)];
    match link.client.query_typed_opt(sql, &values).await? {
        None => Err(StoreError::NoSession.into()),
        Some(row) if get::<Option<bool>>(&row, 0)? == Some(true) => Ok(()),
        Some(_) => {
            metrics::counter!(CLUSTER_FENCED).increment(1);
            Err(StoreError::Fenced.into())
        }
    }
}

/// Makes a session this node's, unless it is another's that is not known to be dead. What others have left pending in it
/// is interrupted: nobody writes that any more.
pub(super) async fn take(link: Arc<Link>, session: SessionId, node: Arc<str>) -> Result<Fence, Failure> {
    let (id, me) = (session.as_str(), &*node);
    let taken = link
        .client
        .query_typed_opt(
            "UPDATE sessions SET node = $2, fence = fence + 1
             WHERE id = $1 AND (node IS NULL OR node = $2 OR EXISTS (SELECT FROM nodes WHERE nodes.id = node AND dead))
             AND EXISTS (SELECT FROM nodes WHERE nodes.id = $2 AND NOT dead)
             RETURNING fence",
            &[(&id, Type::TEXT), (&me, Type::TEXT)],
        )
        .await?;
    let Some(taken) = taken else { return Err(why_not(&link, id, me).await?.into()) };
    let pending = format!("SELECT {MESSAGE} FROM messages WHERE session_id = $1 AND status = 'pending'");
    for row in link.client.query_typed(&pending, &[(&id, Type::TEXT)]).await? {
        interrupt(&link, &row).await?;
    }
    Ok(Fence(u64::try_from(get::<i64>(&taken, 0)?).unwrap_or(0)))
}

/// Which other node has a session and is not dead.
pub(super) async fn owner(link: Arc<Link>, session: SessionId, me: Arc<str>) -> Result<Option<NodeId>, Failure> {
    let sql =
        "SELECT CASE WHEN node <> $2 AND NOT EXISTS (SELECT FROM nodes WHERE nodes.id = node AND dead) THEN node END
               FROM sessions WHERE id = $1";
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&session.as_str(), Type::TEXT), (&&*me, Type::TEXT)];
    let Some(row) = link.client.query_typed_opt(sql, &values).await? else { return Err(StoreError::NoSession.into()) };
    Ok(get::<Option<String>>(&row, 0)?.map(|node| NodeId(node.into())))
}

/// Whether a node's death is recorded, or it is forgotten already.
pub(super) async fn is_gone(link: Arc<Link>, node: NodeId) -> Result<bool, Failure> {
    let sql = "SELECT FROM nodes WHERE id = $1 AND NOT dead";
    Ok(link.client.query_typed_opt(sql, &[(&node.as_str(), Type::TEXT)]).await?.is_none())
}

async fn why_not(link: &Link, id: &str, me: &str) -> Result<StoreError, Failure> {
    let sql = "SELECT EXISTS (SELECT FROM nodes WHERE nodes.id = $2 AND NOT dead), node FROM sessions WHERE id = $1";
    let row = link.client.query_typed_opt(sql, &[(&id, Type::TEXT), (&me, Type::TEXT)]).await?;
    let Some(row) = row else { return Ok(StoreError::NoSession) };
    if !get(&row, 0)? {
        return Ok(unavailable("others have taken this gateway for dead"));
    }
    let node: Option<String> = get(&row, 1)?;
    Ok(StoreError::Elsewhere(node.map(|node| NodeId(node.into()))))
}

async fn interrupt(link: &Link, row: &Row) -> Result<(), Failure> {
    let (message, position) = (rows::message(row)?, rows::position(row)?);
    let sql = "UPDATE messages SET text = $2, status = $3 WHERE position = $1";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&position, Type::INT8), (&message.text.as_bytes(), Type::BYTEA), (&Status::Interrupted.as_str(), Type::TEXT)];
    link.client.execute_typed(sql, &values).await?;
    link.client.execute_typed("DELETE FROM pieces WHERE answer = $1", &[(&position, Type::INT8)]).await?;
    Ok(())
}

pub(super) async fn page(
    link: Arc<Link>,
    owner: Option<Owner>,
    part: Option<String>,
    before: Option<SessionId>,
    limit: usize,
) -> Result<SessionPage, Failure> {
    let owner = owner.as_ref().map(Owner::as_str);
    // Each in a form that leads straight to the first row.
    let of_owner = if owner.is_some() { "owner = $1" } else { "owner IS NULL AND $1::text IS NULL" };
    let (mut created_at, mut id) = (i64::MAX, "");
    if let Some(before) = &before {
        let sql = format!("SELECT created_at FROM sessions WHERE {of_owner} AND id = $2");
        let row = link.client.query_typed_opt(&sql, &[(&owner, Type::TEXT), (&before.as_str(), Type::TEXT)]).await?;
        (created_at, id) = (get(&row.ok_or(StoreError::NoSession)?, 0)?, before.as_str());
    }
    let older = format!(
        "FROM sessions WHERE {of_owner} AND created_at <= $2 AND (created_at < $2 OR id > $3)
         ORDER BY created_at DESC, id"
    );
    let (most, looked_through) = (limit as i64 + 1, MAX_SESSIONS as i64);
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> =
        vec![(&owner, Type::TEXT), (&created_at, Type::INT8), (&id, Type::TEXT), (&most, Type::INT8)];
    let sql = if part.is_some() {
        values.extend([(&looked_through as &(dyn ToSql + Sync), Type::INT8), (&part, Type::TEXT)]);
        format!(
            "SELECT {SESSION} FROM (SELECT * {older} LIMIT $5) AS sessions WHERE strpos(title_folded, $6) > 0
             ORDER BY created_at DESC, id LIMIT $4"
        )
    } else {
        format!("SELECT {SESSION} {older} LIMIT $4")
    };
    let found = link.client.query_typed(&sql, &values).await?;
    let sessions = found.iter().take(limit).map(rows::session).collect::<Result<_, _>>()?;
    Ok(SessionPage { sessions, more: found.len() > limit })
}

/// Calls a session something else, whoever has it; false when there is none.
pub(super) async fn rename(link: Arc<Link>, id: SessionId, title: Title) -> Result<bool, Failure> {
    let sql = "UPDATE sessions SET title = $2, title_folded = $3 WHERE id = $1";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id.as_str(), Type::TEXT), (&title.as_str(), Type::TEXT), (&title.folded(), Type::TEXT)];
    Ok(link.client.execute_typed(sql, &values).await? > 0)
}

/// Deletes a session, and what is remembered of it as it was said in it.
pub(super) async fn delete(link: Arc<Link>, id: SessionId) -> Result<bool, Failure> {
    let sql = "DELETE FROM sessions WHERE id = $1 RETURNING coalesce(owner, '')";
    let Some(row) = link.client.query_typed_opt(sql, &[(&id.as_str(), Type::TEXT)]).await? else { return Ok(false) };
    delete_episodes_of(&link, &id, get(&row, 0)?).await?;
    Ok(true)
}

/// Those that are in somebody's hands at this moment are left to them.
pub(super) async fn delete_expired(
    link: Arc<Link>,
    cutoff: Timestamp,
    limit: usize,
) -> Result<Vec<SessionId>, Failure> {
    let sql = "WITH expired AS (
            SELECT id FROM sessions WHERE updated_at < $1 ORDER BY updated_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
        ), deleted AS (DELETE FROM sessions USING expired WHERE sessions.id = expired.id
            RETURNING sessions.id, sessions.updated_at)
        SELECT id FROM deleted ORDER BY updated_at, id";
    let found = link.client.query_typed(sql, &[(&millis(cutoff), Type::INT8), (&(limit as i64), Type::INT8)]).await?;
    Ok(found.iter().map(|row| rows::id(row, 0, SessionId::parse)).collect::<Result<_, _>>()?)
}

/// Deletes the episodes of a conversation that its owner deletes.
async fn delete_episodes_of(link: &Link, session: &SessionId, owner: &str) -> Result<(), Failure> {
    let sql = "DELETE FROM memories WHERE session_id = $1 AND kind = 'episode' AND owner = $2";
    link.client.execute_typed(sql, &[(&session.as_str(), Type::TEXT), (&owner, Type::TEXT)]).await?;
    Ok(())
}
