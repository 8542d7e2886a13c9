//! Sessions, messages and spending in memory, for tests and for gateways that shall keep nothing. Uses `chat` only.
//!
//! "Durable" means here: until the process ends.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    fmt,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    Appended, ArtifactStore, Awaited, Awaiting, Branch, Branched, FeedbackCount, Fence, FinishedAnswer, MAX_AWAITED,
    MAX_EXPIRED, MAX_PAGE, MAX_SESSIONS, MessagePage, Piece, Scope, SessionPage, SessionRecord, SessionStore,
    SpendingStore, Spent, StoreError, Turn,
    artifacts::{KeptArtifact, MAX_OLD_ARTIFACTS, refuse_long},
    columns::json,
    continue_text, feedback, refuse_unfit, session_taken, unknown_answer,
};
use crate::chat::{
    ArtifactId, Feedback, Message, MessageId, Owner, Role, SessionId, Status, Timestamp, Title, ToolUse,
};

/// A [`SessionStore`] without a disk.
///
/// It holds a fixed number of sessions and of messages in each. At the bound it refuses what is new with
/// [`StoreError::Unavailable`] and goes on serving what it has; it never drops anything by itself.
pub struct VolatileStore {
    max_sessions: usize,
    max_messages: usize,
    state: Mutex<State>,
    /// Tokens, by day and account.
    spent: Mutex<HashMap<(u64, String), i64>>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<SessionId, Conversation>,
    /// The order in which sessions are listed.
    by_age: BTreeSet<(Reverse<Timestamp>, SessionId)>,
    /// In the order in which they were made.
    artifacts: Vec<(SessionId, KeptArtifact)>,
}

struct Conversation {
    record: SessionRecord,
    messages: Vec<Message>,
    positions: HashMap<MessageId, usize>,
}

impl VolatileStore {
    /// An empty store that holds at most so many sessions, and so many messages (questions and answers) in each.
    #[must_use]
    pub fn new(max_sessions: usize, max_messages: usize) -> Self {
        Self { max_sessions, max_messages, state: Mutex::default(), spent: Mutex::default() }
    }
}

impl Default for VolatileStore {
    /// 10,000 sessions of 1,000 messages.
    fn default() -> Self {
        Self::new(10_000, 1_000)
    }
}

impl fmt::Debug for VolatileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolatileStore").field("sessions", &self.state.lock().sessions.len()).finish_non_exhaustive()
    }
}

impl State {
    fn insert(&mut self, session: SessionRecord, most: usize) -> Result<(), StoreError> {
        if self.sessions.len() >= most {
            return Err(StoreError::Unavailable(format!("{most} sessions are the most it holds")));
        }
        let is_own = |conversation: &&Conversation| conversation.record.owner == session.owner;
        if session.owner.is_some() && self.sessions.values().filter(is_own).count() >= MAX_SESSIONS {
            return Err(StoreError::TooManySessions);
        }
        self.by_age.insert((Reverse(session.created_at), session.id.clone()));
        let record = SessionRecord { message_count: 0, ..session };
        let conversation = Conversation { messages: Vec::new(), positions: HashMap::new(), record };
        self.sessions.insert(conversation.record.id.clone(), conversation);
        Ok(())
    }

    fn conversation(&self, id: &SessionId) -> Result<&Conversation, StoreError> {
        self.sessions.get(id).ok_or(StoreError::NoSession)
    }

    fn conversation_mut(&mut self, id: &SessionId) -> Result<&mut Conversation, StoreError> {
        self.sessions.get_mut(id).ok_or(StoreError::NoSession)
    }

    fn remove(&mut self, id: &SessionId) -> bool {
        let Some(conversation) = self.sessions.remove(id) else { return false };
        self.artifacts.retain(|(session, _)| session != id);
        self.by_age.remove(&(Reverse(conversation.record.created_at), id.clone()))
    }
}

impl Conversation {
    fn message(&self, id: &MessageId) -> Option<&Message> {
        self.positions.get(id).and_then(|position| self.messages.get(*position))
    }

    /// The answer, if it is still pending; `None` when it has ended.
    fn pending(&mut self, id: &MessageId) -> Result<Option<&mut Message>, StoreError> {
        let position = self.positions.get(id).copied().ok_or_else(|| unknown_answer(id))?;
        Ok(self.messages.get_mut(position).filter(|message| message.status == Status::Pending))
    }

    fn page(&self, before: Option<&MessageId>, limit: usize, scope: Scope) -> MessagePage {
        let end = match before {
            None => self.messages.len(),
            Some(before) => self.positions.get(before).copied().unwrap_or(0),
        };
        let wanted = |message: &&Message| scope == Scope::Everything || !message.replaced;
        let older = self.messages.get(..end).unwrap_or_default().iter().rev();
        let mut messages: Vec<_> = older.filter(wanted).take(limit + 1).cloned().collect();
        let more = messages.len() > limit;
        messages.truncate(limit);
        messages.reverse();
        MessagePage { messages, more }
    }

    /// Where a branch begins, and the first message that it replaces.
    fn branching_point(&self, branch: &Branch) -> Result<(usize, usize), Box<Branched>> {
        let current = |(_, message): &(usize, &Message)| !message.replaced;
        let mut newest = self.messages.iter().enumerate().filter(current).rev();
        let at = match &branch.at {
            Some(at) => newest.find(|(_, message)| message.id == *at),
            None => newest.find(|(_, message)| message.role == Role::Assistant),
        };
        let (at, message) = at.ok_or_else(|| Box::new(Branched::NotFound))?;
        if branch.question.is_some() {
            return if message.role == Role::User { Ok((at, at)) } else { Err(Box::new(Branched::NotAQuestion)) };
        }
        let question = message.question.as_ref().unwrap_or(&message.id);
        let mut current = self.messages.iter().enumerate().filter(current);
        let answer = current.find(|(_, answer)| answer.question.as_ref() == Some(question));
        let position = self.positions.get(question).copied();
        position.zip(answer.map(|(answer, _)| answer)).ok_or_else(|| Box::new(Branched::NotFound))
    }

    /// What waited in the answer `at` is decided, and another one goes on from it.
    fn go_on(&mut self, at: Option<&MessageId>, tools: Vec<ToolUse>, mut answer: Message, newest: usize) -> Branched {
        let at = at.and_then(|at| self.positions.get(at).copied());
        let waiting = at
            .map(|at| &mut self.messages[at])
            .filter(|answer| answer.status == Status::AwaitingApproval && !answer.replaced);
        let Some(waiting) = waiting else { return Branched::NotFound };
        (waiting.tools, waiting.status) = (tools, Status::Complete);
        let asked = waiting.question.clone();
        let Some(question) = asked.and_then(|asked| self.message(&asked).cloned()) else { return Branched::NotFound };
        answer.question = Some(question.id.clone());
        self.record.updated_at = self.record.updated_at.max(answer.created_at);
        self.record.message_count += 1;
        self.push(answer);
        let page = self.page(None, newest.min(MAX_PAGE), Scope::Conversation);
        Branched::Stored { question: Box::new(question), page }
    }

    fn push(&mut self, message: Message) {
        self.positions.insert(message.id.clone(), self.messages.len());
        self.messages.push(message);
    }
}

#[async_trait]
impl SessionStore for VolatileStore {
    async fn create_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.sessions.contains_key(&session.id) {
            return Err(session_taken(&session.id));
        }
        state.insert(session, self.max_sessions)
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.state.lock().sessions.get(id).map(|conversation| conversation.record.clone()))
    }

    async fn sessions(
        &self,
        owner: Option<&Owner>,
        part: Option<&Title>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<SessionPage, StoreError> {
        let (limit, part) = (limit.min(MAX_PAGE), part.map(Title::folded));
        let state = self.state.lock();
        let record = |(_, id): &(Reverse<Timestamp>, SessionId)| {
            let record = &state.sessions.get(id)?.record;
            (record.owner.as_ref() == owner).then_some(record)
        };
        let has_part = |record: &&SessionRecord| match (&part, &record.title) {
            (Some(part), title) => title.as_ref().is_some_and(|title| title.folded().contains(part)),
            (None, _) => true,
        };
        let older = match before {
            None => std::ops::Bound::Unbounded,
            Some(before) => {
                let before_record = &state.conversation(before)?.record;
                if before_record.owner.as_ref() != owner {
                    return Err(StoreError::NoSession);
                }
                std::ops::Bound::Excluded((Reverse(before_record.created_at), before.clone()))
            }
        };
        let own = state.by_age.range((older, std::ops::Bound::Unbounded)).filter_map(record);
        let looked_through = if part.is_some() { MAX_SESSIONS } else { usize::MAX };
        let mut sessions: Vec<_> = own.take(looked_through).filter(has_part).take(limit + 1).cloned().collect();
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        Ok(SessionPage { sessions, more })
    }

    async fn rename_session(&self, id: &SessionId, title: Title) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let Some(conversation) = state.sessions.get_mut(id) else { return Ok(false) };
        conversation.record.title = Some(title);
        Ok(true)
    }

    async fn delete_session(&self, id: &SessionId) -> Result<bool, StoreError> {
        Ok(self.state.lock().remove(id))
    }

    async fn append_turn(&self, session: &SessionId, _fence: Fence, turn: Turn) -> Result<Appended, StoreError> {
        let mut state = self.state.lock();
        let taken = |id: &MessageId| StoreError::Unavailable(format!("the answer's id {id} is taken"));
        if turn.question.id == turn.answer.id && !state.sessions.contains_key(session) {
            return Err(taken(&turn.answer.id)); // Before a session is opened with it.
        }
        if let Some(opened) = turn.opens.filter(|_| !state.sessions.contains_key(session)) {
            state.insert(opened, self.max_sessions)?;
        }
        let conversation = state.conversation_mut(session)?;
        if let Some(existing) = conversation.message(&turn.question.id) {
            return Ok(Appended::Exists(Box::new(existing.clone())));
        }
        if turn.question.id == turn.answer.id || conversation.positions.contains_key(&turn.answer.id) {
            return Err(taken(&turn.answer.id));
        }
        if conversation.messages.len() + 2 > self.max_messages {
            return Err(full(self.max_messages));
        }
        for waiting in conversation.messages.iter_mut().filter(|answer| answer.status == Status::AwaitingApproval) {
            *waiting = Message { status: Status::Complete, ..waiting.clone() }.settled();
        }
        let record = &mut conversation.record;
        record.updated_at = record.updated_at.max(turn.question.created_at);
        if record.message_count == 0 && record.title.is_none() {
            record.title = Title::of_question(&turn.question.text);
        }
        record.message_count += 2;
        conversation.push(turn.question);
        conversation.push(turn.answer);
        Ok(Appended::Stored)
    }

    async fn branch(
        &self,
        session: &SessionId,
        _fence: Fence,
        branch: Branch,
        newest: usize,
    ) -> Result<Branched, StoreError> {
        let mut state = self.state.lock();
        let conversation = state.conversation_mut(session)?;
        let new = branch.question.as_ref().unwrap_or(&branch.answer);
        if let Some(existing) = conversation.message(&new.id) {
            return Ok(Branched::Exists(Box::new(existing.clone())));
        }
        if let Some(tools) = branch.decided {
            return Ok(conversation.go_on(branch.at.as_ref(), tools, branch.answer, newest));
        }
        let (at, first) = match conversation.branching_point(&branch) {
            Ok(found) => found,
            Err(refused) => return Ok(*refused),
        };
        if conversation.messages.len() + 2 > self.max_messages {
            return Err(full(self.max_messages));
        }
        let Branch { question, mut answer, .. } = branch;
        let old = conversation.messages[first].id.clone();
        for message in &mut conversation.messages[first..] {
            conversation.record.message_count -= u64::from(!message.replaced);
            message.replaced = true;
        }
        let question = match question {
            Some(edited) => {
                let edited = Message { replaces: Some(old), ..edited };
                conversation.push(edited.clone());
                conversation.record.message_count += 1;
                edited
            }
            None => {
                answer.replaces = Some(old);
                let question = &mut conversation.messages[at];
                question.run.clone_from(&answer.run);
                question.clone()
            }
        };
        answer.question = Some(question.id.clone());
        conversation.record.updated_at = conversation.record.updated_at.max(answer.created_at);
        conversation.record.message_count += 1;
        conversation.push(answer);
        let page = conversation.page(None, newest.min(MAX_PAGE), Scope::Conversation);
        Ok(Branched::Stored { question: Box::new(question), page })
    }

    async fn rate(&self, session: &SessionId, message: &MessageId, feedback: Feedback) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let conversation = state.conversation_mut(session)?;
        let Some(position) = conversation.positions.get(message).copied() else { return Ok(false) };
        conversation.messages[position].feedback = Some(feedback);
        Ok(true)
    }

    async fn feedback(&self, tenant: Option<&str>, since: Timestamp) -> Result<Vec<FeedbackCount>, StoreError> {
        let state = self.state.lock();
        let rated = state.sessions.values().flat_map(|it| {
            let (owner, assistant) = (it.record.owner.as_ref(), it.record.assistant.as_str());
            it.messages.iter().map(move |answer| (owner, assistant, answer))
        });
        Ok(feedback::count(rated, tenant, since))
    }

    async fn checkpoint(&self, pieces: Vec<Piece>) -> Result<usize, StoreError> {
        let (mut state, mut kept) = (self.state.lock(), 0);
        for Piece { session, answer, at, text, tools, .. } in pieces {
            let Some(conversation) = state.sessions.get_mut(&session) else { continue };
            if let Ok(Some(message)) = conversation.pending(&answer) {
                continue_text(&mut message.text, at, &text);
                if let Some(tools) = tools {
                    message.tools = tools;
                }
                kept += 1;
            }
        }
        Ok(kept)
    }

    async fn awaiting(&self, whose: Awaiting<'_>, part: Option<&str>) -> Result<Vec<Awaited>, StoreError> {
        let (from, to) = whose.bounds();
        let state = self.state.lock();
        let mut found = Vec::new();
        for (session, conversation) in &state.sessions {
            let Some(owner) = conversation.record.owner.clone() else { continue };
            let has_part = |answer: &Message| {
                part.is_none_or(|part| json(&answer.tools).is_ok_and(|written| written.contains(part)))
            };
            let waits = |answer: &&Message| !answer.replaced && answer.waiting().is_some() && has_part(answer);
            if (from.as_str()..=to.as_str()).contains(&owner.as_str())
                && let Some(answer) = conversation.messages.iter().rev().find(waits)
            {
                found.push(Awaited { session: session.clone(), owner, answer: answer.clone() });
            }
        }
        found.sort_by_key(|awaited| Reverse(awaited.answer.created_at));
        found.truncate(MAX_AWAITED);
        Ok(found)
    }

    async fn finish_answer(
        &self,
        session: &SessionId,
        _fence: Fence,
        answer: FinishedAnswer,
    ) -> Result<(), StoreError> {
        refuse_unfit(&answer)?;
        let mut state = self.state.lock();
        let conversation = state.conversation_mut(session)?;
        let newest = conversation.messages.iter().rev().find(|message| !message.replaced);
        let is_newest = newest.is_some_and(|newest| newest.id == answer.id);
        let Some(message) = conversation.pending(&answer.id)? else { return Ok(()) };
        message.text = answer.text;
        message.status = answer.status;
        message.run = Some(answer.run);
        message.model = answer.model;
        message.version = answer.version;
        message.variant = answer.variant;
        message.citations = answer.citations;
        message.sources = answer.sources;
        message.tools = answer.tools;
        if message.status == Status::AwaitingApproval && !is_newest {
            *message = Message { status: Status::Complete, ..message.clone() }.settled();
        }
        conversation.record.updated_at = conversation.record.updated_at.max(Timestamp::now());
        Ok(())
    }

    async fn message(&self, session: &SessionId, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let state = self.state.lock();
        Ok(state.sessions.get(session).and_then(|conversation| conversation.message(id)).cloned())
    }

    async fn messages(
        &self,
        session: &SessionId,
        before: Option<&MessageId>,
        limit: usize,
        scope: Scope,
    ) -> Result<MessagePage, StoreError> {
        Ok(self.state.lock().conversation(session)?.page(before, limit.min(MAX_PAGE), scope))
    }

    async fn delete_expired(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<SessionId>, StoreError> {
        let mut state = self.state.lock();
        let used = |conversation: &Conversation| (conversation.record.updated_at, conversation.record.id.clone());
        let mut expired: Vec<_> = state.sessions.values().map(used).filter(|(at, _)| *at < cutoff).collect();
        expired.sort_unstable();
        expired.truncate(limit.min(MAX_EXPIRED));
        for (_, id) in &expired {
            state.remove(id);
        }
        Ok(expired.into_iter().map(|(_, id)| id).collect())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl SpendingStore for VolatileStore {
    async fn spent(&self, day: u64, limit: usize) -> Result<Vec<Spent>, StoreError> {
        let known = self.spent.lock();
        let of_day = known.iter().filter(|((on, _), _)| *on == day).take(limit);
        Ok(of_day.map(|((_, account), tokens)| Spent { account: account.clone(), tokens: *tokens }).collect())
    }

    async fn spend(&self, day: u64, spent: Vec<Spent>) -> Result<Vec<Spent>, StoreError> {
        let mut known = self.spent.lock();
        known.retain(|(on, _), _| *on + 1 >= day);
        let noted = spent.into_iter().map(|Spent { account, tokens }| {
            let all = known.entry((day, account.clone())).or_default();
            *all += tokens;
            Spent { account, tokens: *all }
        });
        Ok(noted.collect())
    }
}

#[async_trait]
impl ArtifactStore for VolatileStore {
    async fn keep_artifact(&self, session: &SessionId, new: KeptArtifact, most: usize) -> Result<(), StoreError> {
        refuse_long(&new)?;
        let mut state = self.state.lock();
        let owner = state.conversation(session)?.record.owner.clone();
        state.artifacts.push((session.clone(), new));
        let State { sessions, artifacts, .. } = &mut *state;
        let is_own = |of: &SessionId| match &owner {
            Some(owner) => sessions.get(of).is_some_and(|it| it.record.owner.as_ref() == Some(owner)),
            None => of == session,
        };
        let mut surplus = artifacts.iter().filter(|(of, _)| is_own(of)).count().saturating_sub(most);
        artifacts.retain(|(of, _)| {
            let goes = surplus > 0 && is_own(of);
            surplus -= usize::from(goes);
            !goes
        });
        Ok(())
    }

    async fn artifact(&self, owner: Option<&Owner>, id: &ArtifactId) -> Result<Option<KeptArtifact>, StoreError> {
        let state = self.state.lock();
        let found = state.artifacts.iter().find(|(_, kept)| kept.artifact.artifact == *id);
        let own = found.filter(|(of, _)| state.conversation(of).is_ok_and(|it| it.record.owner.as_ref() == owner));
        Ok(own.map(|(_, kept)| kept.clone()))
    }

    async fn delete_old_artifacts(&self, cutoff: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.state.lock();
        let (before, mut left) = (state.artifacts.len(), limit.min(MAX_OLD_ARTIFACTS));
        state.artifacts.retain(|(_, kept)| {
            let goes = left > 0 && kept.created_at < cutoff;
            left -= usize::from(goes);
            !goes
        });
        Ok(before - state.artifacts.len())
    }
}

fn full(most: usize) -> StoreError {
    StoreError::Unavailable(format!("{most} messages are the most it holds of a session"))
}

#[cfg(test)]
mod tests {
    use super::{
        super::contract::{message_id, record, session_id, turn},
        *,
    };

    #[tokio::test]
    async fn at_its_bounds_it_refuses_what_is_new_and_serves_what_it_has() {
        let store = VolatileStore::new(1, 3);
        store.create_session(record("s", 1)).await.expect("stored");
        let refused = store.create_session(record("t", 1)).await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(reason)) if reason.contains("1 sessions")),
            "{refused:?}"
        );

        let session = session_id("s");
        store.append_turn(&session, Fence::FIRST, turn("q1", "?", 1)).await.expect("stored");
        let refused = store.append_turn(&session, Fence::FIRST, turn("q2", "?", 1)).await;
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(reason)) if reason.contains("3 messages")),
            "{refused:?}"
        );
        let again = store
            .append_turn(&session, Fence::FIRST, turn("q1", "?", 1))
            .await
            .expect("a repetition is no new message");
        assert!(matches!(again, Appended::Exists(_)));
        assert!(store.message(&session, &message_id("q1")).await.expect("read").is_some());

        assert!(store.delete_session(&session).await.expect("deleted"));
        store.create_session(record("t", 1)).await.expect("there is room again");
    }
}
