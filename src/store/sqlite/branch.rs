//! How a conversation goes on another way: statements like those of `rows.rs`, inside a transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{
        Branch, Branched, Scope, StoreError,
        columns::{json_list, millis},
    },
    memories::forget::undo_message,
    rows::{MESSAGE, id, insert_message, message, message_row, messages, session_exists},
};
use crate::chat::{Message, MessageId, Owner, Role, RunId, SessionId, ToolUse};

pub(super) fn branch(
    connection: &Connection,
    session: &SessionId,
    branch: &Branch,
    newest: usize,
) -> Result<Branched, StoreError> {
    if !session_exists(connection, session)? {
        return Err(StoreError::NoSession);
    }
    let new = branch.question.as_ref().unwrap_or(&branch.answer);
    if let Some(existing) = message(connection, session, &new.id)? {
        return Ok(Branched::Exists(Box::new(existing)));
    }
    let Some(at) = branching_point(connection, session, branch)? else { return Ok(Branched::NotFound) };
    if let Some(tools) = &branch.decided {
        return go_on(connection, session, &at, tools, branch.answer.clone(), newest);
    }
    let mut answer = branch.answer.clone();
    let (question, first) = match (&branch.question, at.role) {
        (Some(_), Role::Assistant) => return Ok(Branched::NotAQuestion),
        (Some(edited), Role::User) => (Message { replaces: Some(at.id.clone()), ..edited.clone() }, at.id),
        (None, _) => {
            let Some((question, old)) = question_and_answer(connection, session, at)? else {
                return Ok(Branched::NotFound);
            };
            answer.replaces = Some(old.clone());
            (Message { run: answer.run.clone(), ..question }, old)
        }
    };
    answer.question = Some(question.id.clone());
    let replaced = connection
        .prepare_cached(
            "UPDATE messages SET replaced = 1 WHERE session_id = ?1 AND replaced = 0
             AND position >= (SELECT position FROM messages WHERE session_id = ?1 AND id = ?2)",
        )?
        .execute([session.as_str(), first.as_str()])?;
    if branch.question.is_some() {
        let owner = "SELECT owner FROM sessions WHERE id = ?1";
        let owner: Option<String> =
            connection.prepare_cached(owner)?.query_row([session.as_str()], |row| row.get(0))?;
        // What its first form told is taken back with it: whatever becomes of the new one, the old one is not said any more.
        undo_message(
            connection,
            owner.as_deref().map(Owner::new).as_ref(),
            (session.clone(), first),
            question.created_at,
        )?;
        insert_message(connection, session, &question)?;
    } else {
        connection
            .prepare_cached("UPDATE messages SET run = ?3 WHERE session_id = ?1 AND id = ?2")?
            .execute(params![session.as_str(), question.id.as_str(), answer.run.as_ref().map(RunId::as_str)])?;
    }
    insert_message(connection, session, &answer)?;
    let more = 1 + i64::from(branch.question.is_some()) - replaced as i64;
    connection
        .prepare_cached(
            "UPDATE sessions SET message_count = message_count + ?3, updated_at = max(updated_at, ?2) WHERE id = ?1",
        )?
        .execute(params![session.as_str(), millis(answer.created_at), more])?;
    let page = messages(connection, session, None, newest, Scope::Conversation)?;
    Ok(Branched::Stored { question: Box::new(question), page })
}

/// What waited in the answer `at` is decided, and another one goes on from it.
fn go_on(
    connection: &Connection,
    session: &SessionId,
    at: &Message,
    tools: &[ToolUse],
    mut answer: Message,
    newest: usize,
) -> Result<Branched, StoreError> {
    let decided = connection
        .prepare_cached(
            "UPDATE messages SET tools = ?3, status = 'complete'
             WHERE session_id = ?1 AND id = ?2 AND status = 'awaiting_approval'",
        )?
        .execute(params![session.as_str(), at.id.as_str(), json_list(tools)?])?;
    let question = at.question.as_ref().map(|id| message(connection, session, id)).transpose()?.flatten();
    let (true, Some(question)) = (decided > 0, question) else { return Ok(Branched::NotFound) };
    answer.question = Some(question.id.clone());
    insert_message(connection, session, &answer)?;
    connection
        .prepare_cached(
            "UPDATE sessions SET message_count = message_count + 1, updated_at = max(updated_at, ?2) WHERE id = ?1",
        )?
        .execute(params![session.as_str(), millis(answer.created_at)])?;
    let page = messages(connection, session, None, newest, Scope::Conversation)?;
    Ok(Branched::Stored { question: Box::new(question), page })
}

/// The message of the conversation at which a branch begins.
fn branching_point(
    connection: &Connection,
    session: &SessionId,
    branch: &Branch,
) -> Result<Option<Message>, StoreError> {
    match &branch.at {
        Some(at) => Ok(message(connection, session, at)?.filter(|message| !message.replaced)),
        None => {
            let sql = format!(
                "SELECT {MESSAGE} FROM messages WHERE session_id = ?1 AND replaced = 0 AND role = 'assistant'
                 ORDER BY position DESC LIMIT 1"
            );
            Ok(connection.prepare_cached(&sql)?.query_row([session.as_str()], message_row).optional()?)
        }
    }
}

/// The question that `message` is, or answers, and the first answer that it has in the conversation: others go on from it.
fn question_and_answer(
    connection: &Connection,
    session: &SessionId,
    known: Message,
) -> Result<Option<(Message, MessageId)>, StoreError> {
    let question = match known.role {
        Role::User => Some(known),
        Role::Assistant => known.question.as_ref().map(|id| message(connection, session, id)).transpose()?.flatten(),
    };
    let Some(question) = question else { return Ok(None) };
    let sql =
        "SELECT id FROM messages WHERE session_id = ?1 AND question = ?2 AND replaced = 0 ORDER BY position LIMIT 1";
    let answer = connection
        .prepare_cached(sql)?
        .query_row([session.as_str(), question.id.as_str()], |row| id(row, 0, MessageId::parse))
        .optional()?;
    Ok(answer.map(|answer| (question, answer)))
}
