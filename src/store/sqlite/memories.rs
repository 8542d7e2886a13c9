//! What users have told assistants: reads, and what is small to write. Keeping is in `keep.rs`, forgetting in `forget.rs`.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use self::rows::{MEMORY, condition, facts, memory, of, remembers};
use super::{
    SqliteStore,
    rows::{cut, id, optional_id, timestamp},
};
use crate::{
    chat::{Memory, MemoryId, MemoryKind, Notebook, Origin, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        columns::{integer, millis},
        memories::{
            Forget, Forgotten, Kept, MAX_EXPIRED_MEMORIES, MAX_MEMORY_PAGE, MemoryFilter, MemoryPage, MemoryStore,
            NewMemory, Reworded, Trace, Words,
        },
    },
};

pub(super) mod forget;
mod keep;
pub(super) mod rows;

#[async_trait]
impl MemoryStore for SqliteStore {
    async fn keep_memories(&self, notebook: &Notebook, new: Vec<NewMemory>) -> Result<Vec<Kept>, StoreError> {
        let notebook = notebook.clone();
        self.write("keep_memories", move |connection| keep::keep(connection, &notebook, new)).await
    }

    async fn facts(&self, notebook: &Notebook, now: Timestamp) -> Result<Vec<Memory>, StoreError> {
        let notebook = notebook.clone();
        self.read("facts", move |connection| facts(connection, &notebook, Some(now))).await
    }

    async fn traces(&self, notebook: &Notebook, model: Option<&str>, now: Timestamp) -> Result<Vec<Trace>, StoreError> {
        let (notebook, model) = (notebook.clone(), model.map(str::to_owned));
        self.read("traces", move |connection| traces(connection, &notebook, model.as_deref(), now)).await
    }

    async fn memories(
        &self,
        owner: Option<&Owner>,
        filter: &MemoryFilter,
        before: Option<&MemoryId>,
        limit: usize,
    ) -> Result<MemoryPage, StoreError> {
        let (owner, filter, before) = (owner.cloned(), filter.clone(), before.cloned());
        let limit = limit.min(MAX_MEMORY_PAGE);
        let page = move |connection: &Connection| page(connection, owner.as_ref(), &filter, before.as_ref(), limit);
        self.read("memories", page).await
    }

    async fn memories_by_id(&self, owner: Option<&Owner>, ids: &[MemoryId]) -> Result<Vec<Memory>, StoreError> {
        let (owner, ids) = (owner.cloned(), ids.to_vec());
        let found = move |connection: &Connection| {
            let found = ids.iter().filter_map(|id| one(connection, owner.as_ref(), id).transpose());
            found.collect()
        };
        self.read("memories_by_id", found).await
    }

    async fn reword(
        &self,
        owner: Option<&Owner>,
        id: &MemoryId,
        new: Reworded,
        now: Timestamp,
    ) -> Result<Option<Memory>, StoreError> {
        let (owner, id) = (owner.cloned(), id.clone());
        self.write("reword", move |connection| reword(connection, owner.as_ref(), &id, &new, now)).await
    }

    async fn forget(&self, owner: Option<&Owner>, what: Forget, now: Timestamp) -> Result<Forgotten, StoreError> {
        let owner = owner.cloned();
        self.write("forget", move |connection| forget::forget(connection, owner.as_ref(), &what, now)).await
    }

    async fn remembers(&self, owner: Option<&Owner>) -> Result<bool, StoreError> {
        let owner = owner.cloned();
        self.read("remembers", move |connection| remembers(connection, owner.as_ref())).await
    }

    async fn set_remembers(&self, owner: Option<&Owner>, does: bool) -> Result<(), StoreError> {
        let owner = owner.cloned();
        let set = move |connection: &Connection| {
            let sql = "INSERT INTO memory_settings (owner, remembers) VALUES (?1, ?2)
                ON CONFLICT DO UPDATE SET remembers = excluded.remembers";
            connection.prepare_cached(sql)?.execute(params![of(owner.as_ref()), does])?;
            Ok(())
        };
        self.write("set_remembers", set).await
    }

    async fn without_vector(&self, model: &str, limit: usize) -> Result<Vec<(MemoryId, String)>, StoreError> {
        let (model, limit) = (model.to_owned(), limit.min(MAX_MEMORY_PAGE));
        self.read("without_vector", move |connection| without_vector(connection, &model, limit)).await
    }

    async fn set_vectors(&self, model: &str, vectors: Vec<(MemoryId, Vec<i8>)>) -> Result<(), StoreError> {
        let model = model.to_owned();
        let set = move |connection: &Connection| {
            let sql = "UPDATE memory_traces SET model = ?2, vector = ?3
                WHERE (owner, assistant, id) = (SELECT owner, assistant, id FROM memories WHERE id = ?1)";
            let mut statement = connection.prepare_cached(sql)?;
            for (id, vector) in vectors {
                let bytes: Vec<u8> = vector.iter().map(|number| number.cast_unsigned()).collect();
                statement.execute(params![id.as_str(), model, bytes])?;
            }
            Ok(())
        };
        self.write("set_vectors", set).await
    }

    async fn delete_expired_memories(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(MAX_EXPIRED_MEMORIES);
        let delete = move |connection: &Connection| {
            let sql = "DELETE FROM memories WHERE position IN
                (SELECT position FROM memories WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
            Ok(connection.prepare_cached(sql)?.execute(params![millis(now), integer(limit as u64)])?)
        };
        self.write("delete_expired_memories", delete).await
    }

    async fn count_memories(&self) -> Result<(u64, u64), StoreError> {
        let count = |connection: &Connection| {
            let sql =
                "SELECT count(*) FILTER (WHERE kind = 'fact'), count(*) FILTER (WHERE kind = 'episode') FROM memories";
            let counts = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
            let (facts, episodes) = connection.prepare_cached(sql)?.query_row([], counts)?;
            Ok((facts.unsigned_abs(), episodes.unsigned_abs()))
        };
        self.read("count_memories", count).await
    }
}

fn traces(
    connection: &Connection,
    notebook: &Notebook,
    model: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Trace>, StoreError> {
    let sql = "SELECT id, session_id, said_at, words, CASE model WHEN ?3 THEN vector END FROM memory_traces
        WHERE owner = ?1 AND assistant = ?2 AND (expires_at IS NULL OR expires_at > ?4)";
    let values = params![of(notebook.owner.as_ref()), notebook.assistant, model, millis(now)];
    let trace = |row: &Row<'_>| {
        let vector = row.get_ref(4)?.as_blob_or_null()?;
        Ok(Trace {
            id: id(row, 0, MemoryId::parse)?,
            session: optional_id(row, 1, SessionId::parse)?,
            said_at: timestamp(row, 2)?,
            words: Words::from_bytes(row.get_ref(3)?.as_blob()?),
            vector: vector.map(|bytes| bytes.iter().map(|byte| byte.cast_signed()).collect()),
        })
    };
    Ok(connection.prepare_cached(sql)?.query_map(values, trace)?.collect::<Result<_, _>>()?)
}

fn page(
    connection: &Connection,
    owner: Option<&Owner>,
    filter: &MemoryFilter,
    before: Option<&MemoryId>,
    limit: usize,
) -> Result<MemoryPage, StoreError> {
    let position = "SELECT position FROM memories WHERE owner = ?1 AND id = ?2";
    let end: i64 = match before {
        None => i64::MAX,
        Some(before) => connection
            .prepare_cached(position)?
            .query_row([of(owner), before.as_str()], |row| row.get(0))
            .optional()?
            .ok_or(StoreError::NoSession)?,
    };
    let sql = format!(
        "SELECT {MEMORY} FROM memories WHERE owner = ?1 {} AND position < ?5 ORDER BY position DESC LIMIT ?6",
        condition(filter)
    );
    let (assistant, kind) = (filter.assistant.as_deref(), filter.kind.map(MemoryKind::as_str));
    let session = filter.session.as_ref().map(SessionId::as_str);
    let values = params![of(owner), assistant, kind, session, end, limit as i64 + 1];
    let rows = connection.prepare_cached(&sql)?.query_map(values, memory)?.collect::<Result<Vec<_>, _>>()?;
    let (memories, more) = cut(rows, limit);
    Ok(MemoryPage { memories, more })
}

fn one(connection: &Connection, owner: Option<&Owner>, id: &MemoryId) -> Result<Option<Memory>, StoreError> {
    let sql = format!("SELECT {MEMORY} FROM memories WHERE id = ?2 AND owner = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([of(owner), id.as_str()], memory).optional()?)
}

fn reword(
    connection: &Connection,
    owner: Option<&Owner>,
    id: &MemoryId,
    new: &Reworded,
    now: Timestamp,
) -> Result<Option<Memory>, StoreError> {
    let sql = format!(
        "UPDATE memories SET text = ?3, words = ?4, origin = ?5, attribute = ?6
         WHERE id = ?2 AND owner = ?1 AND kind = 'fact' RETURNING {MEMORY}"
    );
    let Reworded { text, words, attribute, ends, over } = new;
    let values = params![of(owner), id.as_str(), text, words.to_bytes(), Origin::Explicit.as_str(), attribute];
    let Some(found) = connection.prepare_cached(&sql)?.query_row(values, memory).optional()? else { return Ok(None) };
    if found.ended_at.is_some() {
        return Ok(Some(found));
    }
    let ended = ends.iter().map(|ended| ("attribute", ended.as_str()));
    for (column, ended) in ended.chain(over.iter().map(|over| ("id", over.as_str()))) {
        let sql = format!(
            "UPDATE memories SET ended_at = ?3, ended_by = ?2 WHERE owner = ?1 AND assistant = ?4 AND kind = 'fact'
             AND {column} = ?5 AND ended_at IS NULL AND id <> ?2"
        );
        let values = params![of(owner), id.as_str(), millis(now), found.assistant, ended];
        connection.prepare_cached(&sql)?.execute(values)?;
    }
    Ok(Some(found))
}

fn without_vector(connection: &Connection, model: &str, limit: usize) -> Result<Vec<(MemoryId, String)>, StoreError> {
    let mut found = Vec::new();
    // Each in a form that leads straight to the rows: those that have the model are the most.
    for which in ["model IS NULL AND ?1 IS NOT NULL", "model < ?1", "model > ?1"] {
        let sql = format!(
            "SELECT id, (SELECT text FROM memories WHERE memories.id = memory_traces.id) FROM memory_traces
             WHERE {which} ORDER BY model DESC, said_at DESC LIMIT ?2"
        );
        let values = params![model, integer((limit - found.len()) as u64)];
        let text = |row: &Row<'_>| Ok((id(row, 0, MemoryId::parse)?, row.get(1)?));
        for row in connection.prepare_cached(&sql)?.query_map(values, text)? {
            found.push(row?);
        }
    }
    Ok(found)
}
