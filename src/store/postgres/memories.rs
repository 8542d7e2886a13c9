//! What users have told assistants: reads, and what is small to write. Keeping is in `keep.rs`, forgetting in `forget.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

use self::rows::{MEMORY, condition, facts, hold, memories, memory, of, remembers};
use super::{
    OF_NO_SESSION, PostgresStore,
    connect::Link,
    rows::{get, id, optional_id, timestamp, utf8},
    writer::Failure,
};
use crate::{
    chat::{Memory, MemoryId, MemoryKind, Notebook, Origin, Owner, SessionId, Timestamp},
    store::{
        StoreError,
        columns::millis,
        memories::{
            Forget, Forgotten, Kept, MAX_EXPIRED_MEMORIES, MAX_MEMORY_PAGE, MemoryFilter, MemoryPage, MemoryStore,
            NewMemory, Reworded, Trace, Words,
        },
    },
};

pub(super) mod forget;
mod keep;
pub(super) mod rows;

/// What writes to an owner's memories are in line behind.
fn line(owner: Option<&Owner>) -> (&'static str, String) {
    ("memories", of(owner).to_owned())
}

#[async_trait]
impl MemoryStore for PostgresStore {
    async fn keep_memories(&self, notebook: &Notebook, new: Vec<NewMemory>) -> Result<Vec<Kept>, StoreError> {
        let (key, notebook, new) = (line(notebook.owner.as_ref()), notebook.clone(), Arc::new(new));
        self.write("keep_memories", &key, move |link| keep::keep(link, notebook.clone(), new.clone())).await
    }

    async fn facts(&self, notebook: &Notebook, now: Timestamp) -> Result<Vec<Memory>, StoreError> {
        self.read("facts", |link| async move { facts(&link, notebook, Some(now)).await }).await
    }

    async fn traces(&self, notebook: &Notebook, model: Option<&str>, now: Timestamp) -> Result<Vec<Trace>, StoreError> {
        self.read("traces", |link| async move { traces(&link, notebook, model, now).await }).await
    }

    async fn memories(
        &self,
        owner: Option<&Owner>,
        filter: &MemoryFilter,
        before: Option<&MemoryId>,
        limit: usize,
    ) -> Result<MemoryPage, StoreError> {
        let limit = limit.min(MAX_MEMORY_PAGE);
        self.read("memories", |link| async move { page(&link, owner, filter, before, limit).await }).await
    }

    async fn memories_by_id(&self, owner: Option<&Owner>, ids: &[MemoryId]) -> Result<Vec<Memory>, StoreError> {
        let sql = format!("SELECT {MEMORY} FROM memories WHERE owner = $1 AND id = ANY ($2)");
        let (sql, ids) = (&sql, &ids.iter().map(MemoryId::as_str).collect::<Vec<_>>());
        let found = |link: Arc<Link>| async move {
            let values: [(&(dyn ToSql + Sync), Type); 2] = [(&of(owner), Type::TEXT), (ids, Type::TEXT_ARRAY)];
            memories(&link.client.query_typed(sql, &values).await?)
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
        let (key, owner, id, new) = (line(owner), owner.cloned(), id.clone(), Arc::new(new));
        let work = move |link| reword(link, owner.clone(), id.clone(), new.clone(), now);
        self.write("reword", &key, work).await
    }

    async fn forget(&self, owner: Option<&Owner>, what: Forget, now: Timestamp) -> Result<Forgotten, StoreError> {
        let (key, owner, what) = (line(owner), owner.cloned(), Arc::new(what));
        self.write("forget", &key, move |link| forget::forget(link, owner.clone(), what.clone(), now)).await
    }

    async fn remembers(&self, owner: Option<&Owner>) -> Result<bool, StoreError> {
        self.read("remembers", |link| async move { remembers(&link, owner).await }).await
    }

    async fn set_remembers(&self, owner: Option<&Owner>, does: bool) -> Result<(), StoreError> {
        let (key, owner) = (line(owner), owner.cloned());
        let set = move |link: Arc<Link>| {
            let owner = owner.clone();
            async move {
                let sql = "INSERT INTO memory_settings (owner, remembers) VALUES ($1, $2)
                    ON CONFLICT (owner) DO UPDATE SET remembers = excluded.remembers";
                link.client.execute_typed(sql, &[(&of(owner.as_ref()), Type::TEXT), (&does, Type::BOOL)]).await?;
                Ok(())
            }
        };
        self.write("set_remembers", &key, set).await
    }

    async fn without_vector(&self, model: &str, limit: usize) -> Result<Vec<(MemoryId, String)>, StoreError> {
        let limit = limit.min(MAX_MEMORY_PAGE);
        self.read("without_vector", |link| async move { without_vector(&link, model, limit).await }).await
    }

    async fn set_vectors(&self, model: &str, vectors: Vec<(MemoryId, Vec<i8>)>) -> Result<(), StoreError> {
        let (model, vectors): (Arc<str>, _) = (model.into(), Arc::new(vectors));
        let set = move |link| set_vectors(link, model.clone(), vectors.clone());
        self.write("set_vectors", OF_NO_SESSION, set).await
    }

    async fn delete_expired_memories(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = limit.min(MAX_EXPIRED_MEMORIES);
        let delete = move |link: Arc<Link>| async move {
            let sql = "WITH old AS (
                    SELECT position FROM memories WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
                    FOR UPDATE SKIP LOCKED
                ) DELETE FROM memories USING old WHERE memories.position = old.position";
            let values: [(&(dyn ToSql + Sync), Type); 2] = [(&millis(now), Type::INT8), (&(limit as i64), Type::INT8)];
            Ok(usize::try_from(link.client.execute_typed(sql, &values).await?).unwrap_or(usize::MAX))
        };
        self.write("delete_expired_memories", OF_NO_SESSION, delete).await
    }

    async fn count_memories(&self) -> Result<(u64, u64), StoreError> {
        let count = |link: Arc<Link>| async move {
            let sql =
                "SELECT count(*) FILTER (WHERE kind = 'fact'), count(*) FILTER (WHERE kind = 'episode') FROM memories";
            let row = link.client.query_typed_one(sql, &[]).await?;
            Ok((get::<i64>(&row, 0)?.unsigned_abs(), get::<i64>(&row, 1)?.unsigned_abs()))
        };
        self.read("count_memories", count).await
    }
}

async fn traces(link: &Link, notebook: &Notebook, model: Option<&str>, now: Timestamp) -> Result<Vec<Trace>, Failure> {
    let sql = "SELECT id, session_id, said_at, words, CASE model WHEN $3 THEN vector END FROM memory_traces
        WHERE owner = $1 AND assistant = $2 AND (expires_at IS NULL OR expires_at > $4)";
    let values: [(&(dyn ToSql + Sync), Type); 4] = [
        (&of(notebook.owner.as_ref()), Type::TEXT),
        (&notebook.assistant, Type::TEXT),
        (&model, Type::TEXT),
        (&millis(now), Type::INT8),
    ];
    let trace = |row: &Row| {
        let vector: Option<&[u8]> = get(row, 4)?;
        Ok(Trace {
            id: id(row, 0, MemoryId::parse)?,
            session: optional_id(row, 1, SessionId::parse)?,
            said_at: timestamp(row, 2)?,
            words: Words::from_bytes(get(row, 3)?),
            vector: vector.map(|bytes| bytes.iter().map(|byte| byte.cast_signed()).collect()),
        })
    };
    link.client.query_typed(sql, &values).await?.iter().map(trace).collect()
}

async fn page(
    link: &Link,
    owner: Option<&Owner>,
    filter: &MemoryFilter,
    before: Option<&MemoryId>,
    limit: usize,
) -> Result<MemoryPage, Failure> {
    let owner = of(owner);
    let mut end = i64::MAX;
    if let Some(before) = before {
        let sql = "SELECT position FROM memories WHERE owner = $1 AND id = $2";
        let row = link.client.query_typed_opt(sql, &[(&owner, Type::TEXT), (&before.as_str(), Type::TEXT)]).await?;
        end = get(&row.ok_or(StoreError::NoSession)?, 0)?;
    }
    let sql = format!(
        "SELECT {MEMORY} FROM memories WHERE owner = $1 {} AND position < $5 ORDER BY position DESC LIMIT $6",
        condition(filter)
    );
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&owner, Type::TEXT),
        (&filter.assistant, Type::TEXT),
        (&filter.kind.map(MemoryKind::as_str), Type::TEXT),
        (&filter.session.as_ref().map(SessionId::as_str), Type::TEXT),
        (&end, Type::INT8),
        (&(limit as i64 + 1), Type::INT8),
    ];
    let mut memories = memories(&link.client.query_typed(&sql, &values).await?)?;
    let more = memories.len() > limit;
    memories.truncate(limit);
    Ok(MemoryPage { memories, more })
}

async fn reword(
    link: Arc<Link>,
    owner: Option<Owner>,
    id: MemoryId,
    new: Arc<Reworded>,
    now: Timestamp,
) -> Result<Option<Memory>, Failure> {
    hold(&link, owner.as_ref()).await?;
    let sql = format!(
        "UPDATE memories SET text = $3, words = $4, origin = $5, attribute = $6
         WHERE id = $2 AND owner = $1 AND kind = 'fact' RETURNING {MEMORY}"
    );
    let Reworded { text, words, attribute, ends, over } = &*new;
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&of(owner.as_ref()), Type::TEXT),
        (&id.as_str(), Type::TEXT),
        (&text.as_bytes(), Type::BYTEA),
        (&words.to_bytes(), Type::BYTEA),
        (&Origin::Explicit.as_str(), Type::TEXT),
        (&attribute.as_ref().map(String::as_bytes), Type::BYTEA),
    ];
    let row = link.client.query_typed_opt(&sql, &values).await?;
    let Some(found) = row.as_ref().map(memory).transpose()? else { return Ok(None) };
    if found.ended_at.is_none() {
        let sql =
            "UPDATE memories SET ended_at = $3, ended_by = $2 WHERE owner = $1 AND assistant = $4 AND kind = 'fact'
            AND (attribute = ANY ($5) OR id = ANY ($6)) AND ended_at IS NULL AND id <> $2";
        let ends: Vec<&[u8]> = ends.iter().map(String::as_bytes).collect();
        let over: Vec<&str> = over.iter().map(MemoryId::as_str).collect();
        let values: [(&(dyn ToSql + Sync), Type); 6] = [
            (&of(owner.as_ref()), Type::TEXT),
            (&id.as_str(), Type::TEXT),
            (&millis(now), Type::INT8),
            (&found.assistant, Type::TEXT),
            (&ends, Type::BYTEA_ARRAY),
            (&over, Type::TEXT_ARRAY),
        ];
        link.client.execute_typed(sql, &values).await?;
    }
    Ok(Some(found))
}

async fn without_vector(link: &Link, model: &str, limit: usize) -> Result<Vec<(MemoryId, String)>, Failure> {
    let mut found = Vec::new();
    // Each in a form that leads straight to the rows: those that have the model are the most.
    for which in ["model IS NULL AND $1::text IS NOT NULL", "model < $1", "model > $1"] {
        let sql = format!(
            "SELECT id, (SELECT text FROM memories WHERE memories.id = memory_traces.id) FROM memory_traces
             WHERE {which} ORDER BY model DESC, said_at DESC LIMIT $2"
        );
        let left = (limit - found.len()) as i64;
        for row in link.client.query_typed(&sql, &[(&model, Type::TEXT), (&left, Type::INT8)]).await? {
            found.push((id(&row, 0, MemoryId::parse)?, utf8(get(&row, 1)?)?));
        }
    }
    Ok(found)
}

async fn set_vectors(link: Arc<Link>, model: Arc<str>, vectors: Arc<Vec<(MemoryId, Vec<i8>)>>) -> Result<(), Failure> {
    // In the order of their ids, so that no two gateways wait for each other.
    let mut vectors: Vec<_> = vectors.iter().collect();
    vectors.sort_by(|one, other| one.0.cmp(&other.0));
    for (id, vector) in vectors {
        let sql = "UPDATE memory_traces SET model = $2, vector = $3
            WHERE (owner, assistant, id) = (SELECT owner, assistant, id FROM memories WHERE id = $1)";
        let bytes: Vec<u8> = vector.iter().map(|number| number.cast_unsigned()).collect();
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&id.as_str(), Type::TEXT), (&&*model, Type::TEXT), (&bytes, Type::BYTEA)];
        link.client.execute_typed(sql, &values).await?;
    }
    Ok(())
}
