//! What is remembered no longer.

use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};

use super::rows::{MEMORY, condition, hold, memory, of};
use crate::{
    chat::{MemoryId, MessageId, Owner, SessionId, Timestamp},
    store::{
        columns::millis,
        memories::{Forget, Forgotten, MAX_FORGOTTEN, MemoryFilter, Met, OfMessage, Past, Stands, TakenBack, Words},
        postgres::{
            connect::Link,
            rows::{get, id as id_of, name, optional_id},
            writer::Failure,
        },
    },
};

pub(super) async fn forget(
    link: Arc<Link>,
    owner: Option<Owner>,
    what: Arc<Forget>,
    now: Timestamp,
) -> Result<Forgotten, Failure> {
    let owner = owner.as_ref();
    hold(&link, owner).await?;
    match &*what {
        Forget::One(id) => one(&link, owner, id, now).await,
        Forget::Undo(id) => undo(&link, owner, id, now).await,
        Forget::Words(assistant, words) => mentioned(&link, owner, assistant, words, now).await,
        Forget::All(filter) => all(&link, owner, filter, now).await,
    }
}

async fn one(link: &Link, owner: Option<&Owner>, id: &MemoryId, now: Timestamp) -> Result<Forgotten, Failure> {
    let sql = format!("SELECT {}, words, position FROM memories WHERE id = $2 AND owner = $1", MEMORY);
    let row = link.client.query_typed_opt(&sql, &[(&of(owner), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    let Some(row) = row else { return Ok(Forgotten::default()) };
    let (found, words) = (memory(&row)?, Words::from_bytes(get(&row, 11)?));
    let said = found.session.clone().zip(found.message.clone());
    let stands = Stands { position: get(&row, 12)?, kind: found.kind, words: words.clone(), said };
    let forgotten = delete(link, &stands.with(notebook(link, owner, &found.assistant).await?)).await?;
    note(link, owner, &found.assistant, &Past::of_words(now, words, (found.session, found.message))).await?;
    Ok(forgotten)
}

/// All of a notebook.
async fn notebook(link: &Link, owner: Option<&Owner>, assistant: &str) -> Result<Vec<Stands>, Failure> {
    let sql = "SELECT position, kind, words, session_id, message FROM memories WHERE owner = $1 AND assistant = $2";
    let mut all = Vec::new();
    for row in link.client.query_typed(sql, &[(&of(owner), Type::TEXT), (&assistant, Type::TEXT)]).await? {
        let said = optional_id(&row, 3, SessionId::parse)?.zip(optional_id(&row, 4, MessageId::parse)?);
        let words = Words::from_bytes(get(&row, 2)?);
        all.push(Stands { position: get(&row, 0)?, kind: name(&row, 1)?, words, said });
    }
    Ok(all)
}

async fn delete(link: &Link, met: &Met) -> Result<Forgotten, Failure> {
    let mut forgotten = Forgotten::default();
    met.gone.iter().for_each(|(_, kind)| forgotten.count(*kind, 1));
    let gone: Vec<i64> = met.gone.iter().map(|(position, _)| *position).collect();
    let sql = "DELETE FROM memories WHERE position = ANY ($1)";
    link.client.execute_typed(sql, &[(&gone, Type::INT8_ARRAY)]).await?;
    Ok(forgotten)
}

async fn undo(link: &Link, owner: Option<&Owner>, id: &MemoryId, now: Timestamp) -> Result<Forgotten, Failure> {
    let sql = "SELECT assistant, session_id, message FROM memories WHERE id = $2 AND owner = $1";
    let row = link.client.query_typed_opt(sql, &[(&of(owner), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    let Some(row) = row else { return Ok(Forgotten::default()) };
    let said = optional_id(&row, 1, SessionId::parse)?.zip(optional_id(&row, 2, MessageId::parse)?);
    let of_message = match &said {
        Some(said) => of_message(link, owner, said).await?,
        None => Vec::new(),
    };
    take_back(link, owner, &TakenBack::one(id, get(&row, 0)?, of_message), said, now).await
}

/// Takes back all memories of a message, in whichever notebook: it was edited. Whoever calls it holds the owner's.
pub(in crate::store::postgres) async fn undo_message(
    link: &Link,
    owner: Option<&Owner>,
    said: (SessionId, MessageId),
    now: Timestamp,
) -> Result<(), Failure> {
    let back = TakenBack::all(of_message(link, owner, &said).await?);
    take_back(link, owner, &back, Some(said), now).await.map(drop)
}

/// What there is of a message, the newest first.
async fn of_message(
    link: &Link,
    owner: Option<&Owner>,
    (session, message): &(SessionId, MessageId),
) -> Result<Vec<OfMessage>, Failure> {
    let sql = "SELECT id, assistant, kind FROM memories WHERE owner = $1 AND session_id = $2 AND message = $3
        ORDER BY position DESC";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&of(owner), Type::TEXT), (&session.as_str(), Type::TEXT), (&message.as_str(), Type::TEXT)];
    let mut found = Vec::new();
    for row in link.client.query_typed(sql, &values).await? {
        found.push(OfMessage { id: id_of(&row, 0, MemoryId::parse)?, assistant: get(&row, 1)?, kind: name(&row, 2)? });
    }
    Ok(found)
}

async fn take_back(
    link: &Link,
    owner: Option<&Owner>,
    back: &TakenBack,
    said: Option<(SessionId, MessageId)>,
    now: Timestamp,
) -> Result<Forgotten, Failure> {
    let mut forgotten = Forgotten::default();
    for id in &back.gone {
        take_back_one(link, owner, id, &mut forgotten).await?;
    }
    if let Some(said) = said {
        let past = Past::of_message(now, said);
        for assistant in &back.assistants {
            note(link, owner, assistant, &past).await?;
        }
    }
    Ok(forgotten)
}

async fn take_back_one(
    link: &Link,
    owner: Option<&Owner>,
    id: &MemoryId,
    forgotten: &mut Forgotten,
) -> Result<(), Failure> {
    let sql = "DELETE FROM memories WHERE id = $2 AND owner = $1 RETURNING kind, ended_at, ended_by";
    let row = link.client.query_typed_opt(sql, &[(&of(owner), Type::TEXT), (&id.as_str(), Type::TEXT)]).await?;
    if let Some(row) = row {
        let sql = "UPDATE memories SET ended_at = $3, ended_by = $4 WHERE ended_by = $2 AND owner = $1";
        let values: [(&(dyn ToSql + Sync), Type); 4] = [
            (&of(owner), Type::TEXT),
            (&id.as_str(), Type::TEXT),
            (&get::<Option<i64>>(&row, 1)?, Type::INT8),
            (&get::<Option<&str>>(&row, 2)?, Type::TEXT),
        ];
        link.client.execute_typed(sql, &values).await?;
        forgotten.count(name(&row, 0)?, 1);
    }
    Ok(())
}

async fn mentioned(
    link: &Link,
    owner: Option<&Owner>,
    assistant: &str,
    words: &Words,
    now: Timestamp,
) -> Result<Forgotten, Failure> {
    let met = Stands::mentioning(words, notebook(link, owner, assistant).await?);
    let forgotten = delete(link, &met).await?;
    for said in met.messages {
        note(link, owner, assistant, &Past::of_message(now, said)).await?;
    }
    note(link, owner, assistant, &Past::of_words(now, words.clone(), (None, None))).await?;
    Ok(forgotten)
}

async fn all(link: &Link, owner: Option<&Owner>, filter: &MemoryFilter, now: Timestamp) -> Result<Forgotten, Failure> {
    let (assistant, session) = (filter.assistant.as_deref(), filter.session.as_ref().map(SessionId::as_str));
    let mut forgotten = Forgotten::default();
    for (kind, filter) in filter.by_kind() {
        let sql = format!("DELETE FROM memories WHERE owner = $1 {}", condition(&filter));
        let values: [(&(dyn ToSql + Sync), Type); 4] =
            [(&of(owner), Type::TEXT), (&assistant, Type::TEXT), (&kind.as_str(), Type::TEXT), (&session, Type::TEXT)];
        let deleted = link.client.execute_typed(&sql, &values).await?;
        forgotten.count(kind, usize::try_from(deleted).unwrap_or(usize::MAX));
    }
    if filter.session.is_none() {
        // What was forgotten before of the same notebooks is covered by this.
        let sql = "DELETE FROM memory_forgotten WHERE owner = $1 AND ($2::text IS NULL OR assistant = $2) AND at <= $3";
        let values: [(&(dyn ToSql + Sync), Type); 3] =
            [(&of(owner), Type::TEXT), (&assistant, Type::TEXT), (&millis(now), Type::INT8)];
        link.client.execute_typed(sql, &values).await?;
    }
    note(link, owner, assistant.unwrap_or_default(), &Past::of_all(now, filter)).await?;
    Ok(forgotten)
}

/// Notes what is not to be remembered again; of a notebook the newest stay.
async fn note(link: &Link, owner: Option<&Owner>, assistant: &str, past: &Past) -> Result<(), Failure> {
    let sql = "INSERT INTO memory_forgotten (owner, assistant, at, words, session_id, message)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let values: [(&(dyn ToSql + Sync), Type); 6] = [
        (&of(owner), Type::TEXT),
        (&assistant, Type::TEXT),
        (&millis(past.at), Type::INT8),
        (&past.words.as_ref().map(Words::to_bytes), Type::BYTEA),
        (&past.session.as_ref().map(SessionId::as_str), Type::TEXT),
        (&past.message.as_ref().map(MessageId::as_str), Type::TEXT),
    ];
    link.client.execute_typed(sql, &values).await?;
    // What is over the bound becomes one: nothing that was said before then is remembered again.
    let sql = "SELECT max(at) FROM (SELECT at, row_number() OVER (ORDER BY position DESC) AS nth FROM memory_forgotten
            WHERE owner = $1 AND assistant = $2) AS all_of_it
        WHERE nth >= $3 AND (SELECT count(*) FROM memory_forgotten WHERE owner = $1 AND assistant = $2) > $3";
    let notebook: [(&(dyn ToSql + Sync), Type); 3] =
        [(&of(owner), Type::TEXT), (&assistant, Type::TEXT), (&(MAX_FORGOTTEN as i64), Type::INT8)];
    let Some(until) = get::<Option<i64>>(&link.client.query_typed_one(sql, &notebook).await?, 0)? else {
        return Ok(());
    };
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&of(owner), Type::TEXT), (&assistant, Type::TEXT), (&until, Type::INT8)];
    let sql = "DELETE FROM memory_forgotten WHERE owner = $1 AND assistant = $2 AND at <= $3";
    link.client.execute_typed(sql, &values).await?;
    let sql = "INSERT INTO memory_forgotten (owner, assistant, at) VALUES ($1, $2, $3)";
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}
