//! Sessions, messages and spending in PostgreSQL, for any number of gateways. Uses `chat` and `telemetry` only.
//!
//! Each session is written to by the gateway that took it last: what it writes is compared with the row of the session in
//! the same transaction (`sessions.rs`). Who is alive is in `lease.rs`. Writes are committed together, those of a session
//! one after the other (`writer.rs`); reads go side by side (`reader.rs`). Only plain SQL, and nothing that belongs to a
//! connection beyond a transaction, so that a pooler may stand in between. The layout is in `schema.rs`, statements in
//! `sessions.rs`, `messages.rs`, `tallies.rs`, `credentials.rs`,
//! `artifacts.rs`, `memories.rs` and `audit.rs`.

use std::{fmt, hash::Hash, sync::Arc};

use async_trait::async_trait;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    connect::{Database, Link},
    lease::Leases,
    messages::Hand,
    reader::Readers,
    writer::{Failure, Writers},
};
use super::{
    Appended, Awaited, Awaiting, Branch, Branched, FeedbackCount, Fence, FinishedAnswer, Lease, MAX_EXPIRED, MAX_PAGE,
    MessagePage, NodeId, Piece, Scope, SessionPage, SessionRecord, SessionStore, SpendingStore, Spent, StoreError,
    Turn, refuse_unfit, session_taken,
};
use crate::{
    chat::{Feedback, Message, MessageId, Owner, SessionId, Timestamp, Title},
    telemetry::metrics::DATABASE_DURATION,
};

mod artifacts;
mod audit;
mod connect;
mod credentials;
mod documents;
mod lease;
mod memories;
mod messages;
mod reader;
mod rows;
mod schema;
mod sessions;
mod tallies;
#[cfg(test)]
pub(in crate::store) mod tests;
mod writer;

/// What writes that are of no session are in line behind.
const OF_NO_SESSION: &str = "";

/// The store that several gateways share. Cheap to share behind an `Arc`.
///
/// An answer means committed, on the standbys too where the server has synchronous ones. At most 256 writes wait before
/// each of 4 connections and 1024 reads are under way; the next one is answered [`StoreError::Unavailable`] at once. So is
/// everything while the database is away, and it works again when that is back.
pub struct PostgresStore {
    readers: Readers,
    writers: Writers,
    leases: Arc<Leases>,
    keeping: CancellationToken,
    tasks: TaskTracker,
}

impl PostgresStore {
    /// Whether this can be the URL of a database. Asks nobody.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what is wrong, never with the URL.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        connect::parse(url).map(drop)
    }

    /// Opens the database at a URL, brings its layout up to date, and becomes one of its gateways.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason, never with the URL.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let (database, link) = Self::prepare(url).await?;
        let store = Self::over(&database, Leases::begin(&link).await?);
        store.tasks.spawn(store.leases.clone().keep(database, store.keeping.clone()));
        Ok(store)
    }

    /// Opens it for a command beside its gateways, which is none of them: they do not count it, and it can take no sessions.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_beside(url: &str) -> Result<Self, StoreError> {
        let (database, _link) = Self::prepare(url).await?;
        Ok(Self::over(&database, Leases::of_nobody()))
    }

    async fn prepare(url: &str) -> Result<(Database, Arc<Link>), StoreError> {
        let database = Database::at(url)?;
        let link = Arc::new(database.connect().await?);
        schema::migrate(&link).await?;
        Ok((database, link))
    }

    fn over(database: &Database, leases: Leases) -> Self {
        let (leases, keeping, tasks) = (Arc::new(leases), CancellationToken::new(), TaskTracker::new());
        Self { readers: Readers::new(database), writers: Writers::start(database), leases, keeping, tasks }
    }

    /// Whether [`open`](Self::open) would take the database as it is, and what it has noted of where the documents lie. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason, never with the URL.
    pub async fn inspect(url: &str) -> Result<Option<String>, StoreError> {
        schema::inspect(&Database::at(url)?.connect().await?).await
    }

    /// Finishes what waits, and leaves its sessions to others. What is asked of the store afterwards is answered
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.writers.close().await;
        self.keeping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// How many transactions were committed; with the number of operations it shows how well they are grouped.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writers.commits()
    }

    /// Runs `work` in a transaction, behind what else is of `key`.
    async fn write<T, F, Fut>(&self, op: &'static str, key: &(impl Hash + ?Sized), work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(Arc<Link>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let started = Instant::now();
        let result = self.writers.run(key, work).await;
        metrics::histogram!(DATABASE_DURATION, "op" => op).record(started.elapsed().as_secs_f64());
        result
    }

    async fn read<T, F, Fut>(&self, op: &'static str, work: F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Link>) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let started = Instant::now();
        let result = self.readers.run(work).await;
        metrics::histogram!(DATABASE_DURATION, "op" => op).record(started.elapsed().as_secs_f64());
        result
    }

    fn hand(&self, session: &SessionId, fence: Fence) -> Hand {
        Hand { session: session.clone(), node: self.leases.node(), fence }
    }
}

impl Drop for PostgresStore {
    /// Who does not close it leaves its sessions to others when its lease is over.
    fn drop(&mut self) {
        self.keeping.cancel();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("node", &self.leases.node()).finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn take(&self, session: &SessionId) -> Result<Fence, StoreError> {
        if !self.lease().is_certain {
            return Err(StoreError::Unavailable("the lease of this gateway could not be renewed".to_owned()));
        }
        let (id, node) = (session.clone(), self.leases.node());
        self.write("take", session, move |link| sessions::take(link, id.clone(), node.clone())).await
    }

    async fn owner(&self, session: &SessionId) -> Result<Option<NodeId>, StoreError> {
        let node = self.leases.node();
        self.read("owner", |link| sessions::owner(link, session.clone(), node.clone())).await
    }

    fn give_up(&self, session: &SessionId, fence: Fence) -> oneshot::Receiver<()> {
        self.leases.give_up(session, fence)
    }

    async fn is_gone(&self, node: &NodeId) -> Result<bool, StoreError> {
        self.read("is_gone", |link| sessions::is_gone(link, node.clone())).await
    }

    fn node(&self) -> Option<NodeId> {
        Some(NodeId(self.leases.node()))
    }

    fn others(&self) -> Vec<NodeId> {
        self.leases.others()
    }

    fn lease(&self) -> Lease {
        self.leases.lease()
    }

    async fn create_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        let (id, session) = (session.id.clone(), Arc::new(session));
        let create = move |link: Arc<Link>| {
            let session = session.clone();
            async move {
                let is_new = sessions::insert(&link, &session, None).await?;
                if is_new { Ok(()) } else { Err(session_taken(&session.id).into()) }
            }
        };
        self.write("create_session", &id, create).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.read("session", |link| async move { sessions::one(&link, id).await }).await
    }

    async fn sessions(
        &self,
        owner: Option<&Owner>,
        part: Option<&Title>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<SessionPage, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let page = |link| sessions::page(link, owner.cloned(), part.map(Title::folded), before.cloned(), limit);
        self.read("sessions", page).await
    }

    async fn rename_session(&self, session: &SessionId, title: Title) -> Result<bool, StoreError> {
        let id = session.clone();
        self.write("rename_session", session, move |link| sessions::rename(link, id.clone(), title.clone())).await
    }

    async fn delete_session(&self, session: &SessionId) -> Result<bool, StoreError> {
        let id = session.clone();
        self.write("delete_session", session, move |link| sessions::delete(link, id.clone())).await
    }

    async fn append_turn(&self, session: &SessionId, fence: Fence, turn: Turn) -> Result<Appended, StoreError> {
        let (hand, turn) = (self.hand(session, fence), Arc::new(turn));
        let append = move |link| messages::append_turn(link, hand.clone(), turn.clone());
        self.write("append_turn", session, append).await
    }

    async fn branch(
        &self,
        session: &SessionId,
        fence: Fence,
        branch: Branch,
        newest: usize,
    ) -> Result<Branched, StoreError> {
        let (hand, branch, newest) = (self.hand(session, fence), Arc::new(branch), newest.min(MAX_PAGE));
        let work = move |link| messages::branch(link, hand.clone(), branch.clone(), newest);
        self.write("branch", session, work).await
    }

    async fn rate(&self, session: &SessionId, message: &MessageId, feedback: Feedback) -> Result<bool, StoreError> {
        let (id, message) = (session.clone(), message.clone());
        let rate = move |link| messages::rate(link, id.clone(), message.clone(), feedback.clone());
        self.write("rate", session, rate).await
    }

    async fn feedback(&self, tenant: Option<&str>, since: Timestamp) -> Result<Vec<FeedbackCount>, StoreError> {
        self.read("feedback", |link| tallies::feedback(link, tenant.map(str::to_owned), since)).await
    }

    async fn checkpoint(&self, pieces: Vec<Piece>) -> Result<usize, StoreError> {
        // Each with the other writes of its session: no two connections wait for each other then.
        let mut parts: Vec<(usize, Vec<Piece>)> = Vec::new();
        for piece in pieces {
            let part = Writers::part_of(&piece.session);
            match parts.iter_mut().find(|(known, _)| *known == part) {
                Some((_, pieces)) => pieces.push(piece),
                None => parts.push((part, vec![piece])),
            }
        }
        let kept = parts.into_iter().filter_map(|(_, pieces)| {
            let key = pieces.first()?.session.clone();
            let (node, pieces) = (self.leases.node(), Arc::new(pieces));
            Some(async move {
                let keep = move |link| messages::keep(link, node.clone(), pieces.clone());
                self.write("checkpoint", &key, keep).await
            })
        });
        Ok(futures_util::future::try_join_all(kept).await?.into_iter().sum())
    }

    async fn awaiting(&self, whose: Awaiting<'_>, part: Option<&str>) -> Result<Vec<Awaited>, StoreError> {
        let owners = &whose.bounds();
        self.read("awaiting", |link| async move { messages::awaiting(&link, owners, part).await }).await
    }

    async fn finish_answer(&self, session: &SessionId, fence: Fence, answer: FinishedAnswer) -> Result<(), StoreError> {
        refuse_unfit(&answer)?;
        let (hand, answer) = (self.hand(session, fence), Arc::new(answer));
        let finish = move |link| messages::finish(link, hand.clone(), answer.clone());
        self.write("finish_answer", session, finish).await
    }

    async fn message(&self, session: &SessionId, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.read("message", |link| async move { messages::one(&link, session, id).await }).await
    }

    async fn messages(
        &self,
        session: &SessionId,
        before: Option<&MessageId>,
        limit: usize,
        scope: Scope,
    ) -> Result<MessagePage, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let page = |link: Arc<Link>| async move { messages::page(&link, session, before, limit, scope).await };
        self.read("messages", page).await
    }

    async fn delete_expired(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<SessionId>, StoreError> {
        let limit = limit.min(MAX_EXPIRED);
        let delete = move |link| sessions::delete_expired(link, cutoff, limit);
        self.write("delete_expired", OF_NO_SESSION, delete).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.write("check", OF_NO_SESSION, schema::probe).await
    }
}

#[async_trait]
impl SpendingStore for PostgresStore {
    async fn spent(&self, day: u64, limit: usize) -> Result<Vec<Spent>, StoreError> {
        self.read("spent", |link| tallies::spent(link, day, limit)).await
    }

    async fn spend(&self, day: u64, spent: Vec<Spent>) -> Result<Vec<Spent>, StoreError> {
        let spent = Arc::new(spent);
        self.write("spend", OF_NO_SESSION, move |link| tallies::spend(link, day, spent.clone())).await
    }
}
