//! Messages: turns, answers that grow and end, other ways for a conversation to go on, and how all of it is read.

use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};

use super::{
    connect::Link,
    memories::{forget::undo_message, rows::hold},
    rows::{self, MESSAGE, get},
    sessions,
    writer::Failure,
};
use crate::{
    chat::{Feedback, Message, MessageId, Owner, Role, RunId, SessionId, Timestamp, Title, ToolUse},
    store::{
        Appended, Awaited, Branch, Branched, Fence, FinishedAnswer, MAX_AWAITED, MessagePage, Piece, Scope, StoreError,
        Turn,
        columns::{json, json_list, millis, role_name},
        unknown_answer,
    },
};

/// By whom a session is written to.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) session: SessionId,
    pub(super) node: Arc<str>,
    pub(super) fence: Fence,
}

impl Hand {
    async fn hold(&self, link: &Link) -> Result<(), Failure> {
        sessions::hold(link, &self.session, &self.node, self.fence).await
    }
}

/// Stores a turn. One statement where nothing speaks against it, for each costs the server as much to plan as to do.
pub(super) async fn append_turn(link: Arc<Link>, hand: Hand, turn: Arc<Turn>) -> Result<Appended, Failure> {
    if try_append(&link, &hand, &turn).await? {
        return Ok(Appended::Stored);
    }
    match (hand.hold(&link).await, &turn.opens) {
        (Err(Failure::Refused(StoreError::NoSession)), Some(opened)) => {
            if !sessions::insert(&link, opened, Some(&hand.node)).await? {
                return Err(StoreError::Fenced.into()); // Another node has opened it at the same moment.
            }
        }
        (held, _) => held?,
    }
    if let Some(existing) = one(&link, &hand.session, &turn.question.id).await? {
        return Ok(Appended::Exists(Box::new(existing)));
    }
    match try_append(&link, &hand, &turn).await? {
        true => Ok(Appended::Stored),
        false => Err(StoreError::Fenced.into()),
    }
}

/// Nothing, where the session is not this node's, or has a message of the question's id.
async fn try_append(link: &Link, hand: &Hand, turn: &Turn) -> Result<bool, Failure> {
    let sql = "WITH held AS (
            SELECT id FROM sessions WHERE id = $1 AND node = $2 AND fence = $3
            AND NOT EXISTS (SELECT FROM messages WHERE session_id = $1 AND messages.id = $4) FOR NO KEY UPDATE
        ), lapsed AS (
            UPDATE messages SET status = 'complete' FROM held
            WHERE session_id = held.id AND status = 'awaiting_approval'
        ), said AS (
            INSERT INTO messages (session_id, id, role, text, status, run, created_at, question, fence)
            SELECT held.id, said.id, role, text, status, $11, created_at, question, $3 FROM held, (
                VALUES (1, $4, 'user', $5, $6, $12, NULL), (2, $7, 'assistant', $8, $9, $13, $10)
            ) AS said (n, id, role, text, status, created_at, question) ORDER BY n
        ) UPDATE sessions SET message_count = message_count + 2, updated_at = greatest(updated_at, $12),
            title = coalesce(title, CASE message_count WHEN 0 THEN $14 END),
            title_folded = coalesce(title_folded, CASE message_count WHEN 0 THEN $15 END)
        FROM held WHERE sessions.id = held.id";
    let Turn { question, answer, .. } = turn;
    let title = Title::of_question(&question.text);
    let values: [(&(dyn ToSql + Sync), Type); 15] = [
        (&hand.session.as_str(), Type::TEXT),
        (&&*hand.node, Type::TEXT),
        (&(hand.fence.0 as i64), Type::INT8),
        (&question.id.as_str(), Type::TEXT),
        (&question.text.as_bytes(), Type::BYTEA),
        (&question.status.as_str(), Type::TEXT),
        (&answer.id.as_str(), Type::TEXT),
        (&answer.text.as_bytes(), Type::BYTEA),
        (&answer.status.as_str(), Type::TEXT),
        (&answer.question.as_ref().map(MessageId::as_str), Type::TEXT),
        (&question.run.as_ref().map(RunId::as_str), Type::TEXT),
        (&millis(question.created_at), Type::INT8),
        (&millis(answer.created_at), Type::INT8),
        (&title.as_ref().map(Title::as_str), Type::TEXT),
        (&title.as_ref().map(Title::folded), Type::TEXT),
    ];
    Ok(link.client.execute_typed(sql, &values).await? > 0)
}

async fn insert(link: &Link, hand: &Hand, message: &Message) -> Result<(), Failure> {
    let (citations, sources) = (json_list(&message.citations)?, json_list(&message.sources)?);
    link.client
        .execute_typed(
            "INSERT INTO messages (session_id, id, role, text, status, run, model, citations, sources, created_at,
                                   question, replaces, fence)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            &[
                (&hand.session.as_str(), Type::TEXT),
                (&message.id.as_str(), Type::TEXT),
                (&role_name(message.role), Type::TEXT),
                (&message.text.as_bytes(), Type::BYTEA),
                (&message.status.as_str(), Type::TEXT),
                (&message.run.as_ref().map(RunId::as_str), Type::TEXT),
                (&message.model, Type::TEXT),
                (&citations, Type::TEXT),
                (&sources, Type::TEXT),
                (&millis(message.created_at), Type::INT8),
                (&message.question.as_ref().map(MessageId::as_str), Type::TEXT),
                (&message.replaces.as_ref().map(MessageId::as_str), Type::TEXT),
                (&(hand.fence.0 as i64), Type::INT8),
            ],
        )
        .await?;
    Ok(())
}

async fn note_use(link: &Link, session: &SessionId, at: Timestamp, more: i64) -> Result<(), Failure> {
    let sql = "UPDATE sessions SET message_count = message_count + $3, updated_at = greatest(updated_at, $2)
        WHERE id = $1";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&session.as_str(), Type::TEXT), (&millis(at), Type::INT8), (&more, Type::INT8)];
    link.client.execute_typed(sql, &values).await?;
    Ok(())
}

pub(super) async fn one(link: &Link, session: &SessionId, id: &MessageId) -> Result<Option<Message>, Failure> {
    let sql = format!("SELECT {MESSAGE} FROM messages WHERE session_id = $1 AND id = $2");
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&session.as_str(), Type::TEXT), (&id.as_str(), Type::TEXT)];
    let row = link.client.query_typed_opt(&sql, &values).await?;
    Ok(row.as_ref().map(rows::message).transpose()?)
}

pub(super) async fn page(
    link: &Link,
    session: &SessionId,
    before: Option<&MessageId>,
    limit: usize,
    scope: Scope,
) -> Result<MessagePage, Failure> {
    let which = match scope {
        Scope::Conversation => "AND NOT replaced",
        Scope::Everything => "",
    };
    // Without such a message nothing stands before it.
    let end = match before {
        Some(_) => "(SELECT position FROM messages WHERE session_id = $1 AND id = $2)",
        None => "coalesce($2::text::bigint, 9223372036854775807)",
    };
    let sql = format!(
        "SELECT {MESSAGE} FROM messages WHERE session_id = $1 {which} AND position < {end}
         ORDER BY position DESC LIMIT $3"
    );
    let values: [(&(dyn ToSql + Sync), Type); 3] = [
        (&session.as_str(), Type::TEXT),
        (&before.map(MessageId::as_str), Type::TEXT),
        (&(limit as i64 + 1), Type::INT8),
    ];
    let found = link.client.query_typed(&sql, &values).await?;
    if found.is_empty() && sessions::one(link, session).await?.is_none() {
        return Err(StoreError::NoSession.into());
    }
    let mut messages = found.iter().take(limit).map(rows::message).collect::<Result<Vec<_>, _>>()?;
    messages.reverse();
    Ok(MessagePage { messages, more: found.len() > limit })
}

pub(super) async fn rate(
    link: Arc<Link>,
    session: SessionId,
    message: MessageId,
    feedback: Feedback,
) -> Result<bool, Failure> {
    let sql = "UPDATE messages SET feedback = $3 WHERE session_id = $1 AND id = $2";
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&session.as_str(), Type::TEXT), (&message.as_str(), Type::TEXT), (&json(&feedback)?, Type::TEXT)];
    let changed = link.client.execute_typed(sql, &values).await?;
    if changed == 0 && sessions::one(&link, &session).await?.is_none() {
        return Err(StoreError::NoSession.into());
    }
    Ok(changed > 0)
}

/// Keeps pieces of answers; of how many. Who holds an answer's session meanwhile, or ends the answer, waits for it.
pub(super) async fn keep(link: Arc<Link>, node: Arc<str>, pieces: Arc<Vec<Piece>>) -> Result<usize, Failure> {
    let sessions: Vec<&str> = pieces.iter().map(|piece| piece.session.as_str()).collect();
    let fences: Vec<i64> = pieces.iter().map(|piece| piece.fence.0 as i64).collect();
    let answers: Vec<&str> = pieces.iter().map(|piece| piece.answer.as_str()).collect();
    let ats: Vec<i64> = pieces.iter().map(|piece| i64::try_from(piece.at).unwrap_or(i64::MAX)).collect();
    let texts: Vec<&[u8]> = pieces.iter().map(|piece| piece.text.as_bytes()).collect();
    let tools = pieces.iter().map(|piece| piece.tools.as_deref().map(json_list).transpose());
    let tools: Vec<Option<String>> = tools.map(|tools| tools.map(Option::flatten)).collect::<Result<_, _>>()?;
    let sql = "WITH held AS (
            SELECT messages.position, given.at, given.text, given.tools, given.n
            FROM unnest($2, $3, $4, $5, $6, $7) WITH ORDINALITY AS given (session, fence, answer, at, text, tools, n)
            JOIN sessions ON sessions.id = given.session AND sessions.node = $1 AND sessions.fence = given.fence
            JOIN messages ON messages.session_id = given.session AND messages.id = given.answer
            WHERE messages.status = 'pending' FOR NO KEY UPDATE OF sessions, messages
        ), called AS (
            UPDATE messages SET tools = held.tools FROM held
            WHERE messages.position = held.position AND held.tools IS NOT NULL
        ) INSERT INTO pieces (answer, at, text) SELECT position, at, text FROM held ORDER BY n";
    let values: [(&(dyn ToSql + Sync), Type); 7] = [
        (&&*node, Type::TEXT),
        (&sessions, Type::TEXT_ARRAY),
        (&fences, Type::INT8_ARRAY),
        (&answers, Type::TEXT_ARRAY),
        (&ats, Type::INT8_ARRAY),
        (&texts, Type::BYTEA_ARRAY),
        (&tools, Type::TEXT_ARRAY),
    ];
    let kept = link.client.execute_typed(sql, &values).await?;
    Ok(usize::try_from(kept).unwrap_or(usize::MAX))
}

pub(super) async fn finish(link: Arc<Link>, hand: Hand, answer: Arc<FinishedAnswer>) -> Result<(), Failure> {
    let (citations, sources) = (json_list(&answer.citations)?, json_list(&answer.sources)?);
    let tools = json_list(&answer.tools)?;
    let usage = answer.usage.as_ref().map(json).transpose()?;
    let sql = "WITH held AS (
            SELECT id FROM sessions WHERE id = $1 AND node = $2 AND fence = $3 FOR NO KEY UPDATE
        ), ended AS (
            UPDATE messages SET text = $5, run = $7, status = CASE WHEN $6 = 'awaiting_approval' AND EXISTS (
                SELECT FROM messages AS later WHERE later.session_id = $1 AND NOT later.replaced
                AND later.position > messages.position) THEN 'complete' ELSE $6 END, model = $8, citations = $9, sources = $10, usage = $11,
                                tools = $13, version = $14, variant = $15
            FROM held WHERE session_id = held.id AND messages.id = $4 AND status = 'pending' RETURNING position
        ), forgotten AS (
            DELETE FROM pieces USING ended WHERE answer = ended.position
        ) UPDATE sessions SET updated_at = greatest(updated_at, $12) WHERE id = $1 AND EXISTS (SELECT FROM ended)";
    let values: [(&(dyn ToSql + Sync), Type); 15] = [
        (&hand.session.as_str(), Type::TEXT),
        (&&*hand.node, Type::TEXT),
        (&(hand.fence.0 as i64), Type::INT8),
        (&answer.id.as_str(), Type::TEXT),
        (&answer.text.as_bytes(), Type::BYTEA),
        (&answer.status.as_str(), Type::TEXT),
        (&answer.run.as_str(), Type::TEXT),
        (&answer.model, Type::TEXT),
        (&citations, Type::TEXT),
        (&sources, Type::TEXT),
        (&usage, Type::TEXT),
        (&millis(Timestamp::now()), Type::INT8),
        (&tools, Type::TEXT),
        (&answer.version, Type::TEXT),
        (&answer.variant, Type::TEXT),
    ];
    if link.client.execute_typed(sql, &values).await? > 0 {
        return Ok(());
    }
    hand.hold(&link).await?;
    // One that is finished already stays as it is; one that never was is an error.
    let known = one(&link, &hand.session, &answer.id).await?;
    known.map(drop).ok_or_else(|| unknown_answer(&answer.id).into())
}

/// Lets the conversation go on another way.
pub(super) async fn branch(
    link: Arc<Link>,
    hand: Hand,
    branch: Arc<Branch>,
    newest: usize,
) -> Result<Branched, Failure> {
    hand.hold(&link).await?;
    let new = branch.question.as_ref().unwrap_or(&branch.answer);
    if let Some(existing) = one(&link, &hand.session, &new.id).await? {
        return Ok(Branched::Exists(Box::new(existing)));
    }
    let Some(at) = branching_point(&link, &hand.session, branch.at.as_ref()).await? else {
        return Ok(Branched::NotFound);
    };
    if let Some(tools) = &branch.decided {
        return go_on(&link, &hand, &at, tools, branch.answer.clone(), newest).await;
    }
    let mut answer = branch.answer.clone();
    let (question, first) = match (&branch.question, at.role) {
        (Some(_), Role::Assistant) => return Ok(Branched::NotAQuestion),
        (Some(edited), Role::User) => (Message { replaces: Some(at.id.clone()), ..edited.clone() }, at.id),
        (None, _) => {
            let Some((question, old)) = question_and_answer(&link, &hand.session, at).await? else {
                return Ok(Branched::NotFound);
            };
            answer.replaces = Some(old.clone());
            (Message { run: answer.run.clone(), ..question }, old)
        }
    };
    answer.question = Some(question.id.clone());
    let owner = if branch.question.is_some() { hold_memories(&link, &hand.session).await? } else { None };
    let replaced = replace_from(&link, &hand.session, &first).await?;
    if branch.question.is_some() {
        // What its first form told is taken back with it: whatever becomes of the new one, the old one is not said any more.
        undo_message(&link, owner.as_ref(), (hand.session.clone(), first), question.created_at).await?;
        insert(&link, &hand, &question).await?;
    } else {
        let sql = "UPDATE messages SET run = $3 WHERE session_id = $1 AND id = $2";
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&hand.session.as_str(), Type::TEXT),
            (&question.id.as_str(), Type::TEXT),
            (&answer.run.as_ref().map(RunId::as_str), Type::TEXT),
        ];
        link.client.execute_typed(sql, &values).await?;
    }
    insert(&link, &hand, &answer).await?;
    let more = 1 + i64::from(branch.question.is_some()) - i64::try_from(replaced).unwrap_or(i64::MAX);
    note_use(&link, &hand.session, answer.created_at, more).await?;
    let page = page(&link, &hand.session, None, newest, Scope::Conversation).await?;
    Ok(Branched::Stored { question: Box::new(question), page })
}

/// Holds what the owner of a conversation has told, so that nothing of it is kept meanwhile; who that is.
async fn hold_memories(link: &Link, session: &SessionId) -> Result<Option<Owner>, Failure> {
    let sql = "SELECT owner FROM sessions WHERE id = $1";
    let row = link.client.query_typed_one(sql, &[(&session.as_str(), Type::TEXT)]).await?;
    let owner = get::<Option<&str>>(&row, 0)?.map(Owner::new);
    hold(link, owner.as_ref()).await?;
    Ok(owner)
}

/// What waited in the answer `at` is decided, and another one goes on from it.
async fn go_on(
    link: &Link,
    hand: &Hand,
    at: &Message,
    tools: &[ToolUse],
    mut answer: Message,
    newest: usize,
) -> Result<Branched, Failure> {
    let sql = "UPDATE messages SET tools = $3, status = 'complete'
        WHERE session_id = $1 AND id = $2 AND status = 'awaiting_approval'";
    let tools = json_list(tools)?;
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&hand.session.as_str(), Type::TEXT), (&at.id.as_str(), Type::TEXT), (&tools, Type::TEXT)];
    let Some(asked) = &at.question else { return Ok(Branched::NotFound) };
    let Some(question) = one(link, &hand.session, asked).await? else { return Ok(Branched::NotFound) };
    if link.client.execute_typed(sql, &values).await? == 0 {
        return Ok(Branched::NotFound);
    }
    answer.question = Some(question.id.clone());
    insert(link, hand, &answer).await?;
    note_use(link, &hand.session, answer.created_at, 1).await?;
    let page = page(link, &hand.session, None, newest, Scope::Conversation).await?;
    Ok(Branched::Stored { question: Box::new(question), page })
}

/// Answers in which a call waits, of sessions whose owners lie between these.
pub(super) async fn awaiting(
    link: &Link,
    (from, to): &(String, String),
    part: Option<&str>,
) -> Result<Vec<Awaited>, Failure> {
    let sql = format!(
        "SELECT {MESSAGE}, session_id, (SELECT owner FROM sessions WHERE sessions.id = session_id) FROM messages
         WHERE status = 'awaiting_approval' AND NOT replaced
         AND EXISTS (SELECT FROM sessions WHERE sessions.id = session_id AND owner BETWEEN $1 AND $2)
         AND ($3::text IS NULL OR strpos(tools, $3) > 0) ORDER BY position DESC LIMIT $4"
    );
    let values: [(&(dyn ToSql + Sync), Type); 4] =
        [(from, Type::TEXT), (to, Type::TEXT), (&part, Type::TEXT), (&(MAX_AWAITED as i64), Type::INT8)];
    let found = link.client.query_typed(&sql, &values).await?;
    found.iter().map(|row| Ok(rows::awaited(row)?)).collect()
}

async fn replace_from(link: &Link, session: &SessionId, first: &MessageId) -> Result<u64, Failure> {
    let sql = "UPDATE messages SET replaced = true WHERE session_id = $1 AND NOT replaced
        AND position >= (SELECT position FROM messages WHERE session_id = $1 AND id = $2)";
    Ok(link.client.execute_typed(sql, &[(&session.as_str(), Type::TEXT), (&first.as_str(), Type::TEXT)]).await?)
}

/// The message of the conversation at which a branch begins.
async fn branching_point(link: &Link, session: &SessionId, at: Option<&MessageId>) -> Result<Option<Message>, Failure> {
    if let Some(at) = at {
        return Ok(one(link, session, at).await?.filter(|message| !message.replaced));
    }
    let sql = format!(
        "SELECT {MESSAGE} FROM messages WHERE session_id = $1 AND NOT replaced AND role = 'assistant'
         ORDER BY position DESC LIMIT 1"
    );
    let row = link.client.query_typed_opt(&sql, &[(&session.as_str(), Type::TEXT)]).await?;
    Ok(row.as_ref().map(rows::message).transpose()?)
}

/// The question that `known` is, or answers, and the first answer that it has in the conversation: others go on from it.
async fn question_and_answer(
    link: &Link,
    session: &SessionId,
    known: Message,
) -> Result<Option<(Message, MessageId)>, Failure> {
    let question = match (known.role, &known.question) {
        (Role::User, _) => Some(known),
        (Role::Assistant, Some(id)) => one(link, session, id).await?,
        (Role::Assistant, None) => None,
    };
    let Some(question) = question else { return Ok(None) };
    let sql = "SELECT id FROM messages WHERE session_id = $1 AND question = $2 AND NOT replaced
        ORDER BY position LIMIT 1";
    let values: [(&(dyn ToSql + Sync), Type); 2] =
        [(&session.as_str(), Type::TEXT), (&question.id.as_str(), Type::TEXT)];
    let row = link.client.query_typed_opt(sql, &values).await?;
    let answer = row.as_ref().map(|row| rows::id(row, 0, MessageId::parse)).transpose()?;
    Ok(answer.map(|answer| (question, answer)))
}
