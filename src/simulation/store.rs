//! A database in memory that several gateways share: nodes with leases, death as a row, sessions that are taken, and writes
//! that are compared with who has them. What `store::postgres` does, without a database.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    sync::{Mutex as Line, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::process::Process;
use crate::{
    chat::{Feedback, Message, MessageId, Owner, SessionId, Status, Timestamp, Title},
    store::{
        Appended, Awaited, Awaiting, Branch, Branched, FeedbackCount, Fence, FinishedAnswer, Lease, MessagePage,
        NodeId, Piece, Scope, SessionPage, SessionRecord, SessionStore, StoreError, Turn, volatile::VolatileStore,
    },
};

/// As in `store::postgres::lease`.
const TTL: Duration = Duration::from_secs(6);
const RENEW_EVERY: Duration = Duration::from_secs(2);
const MARGIN: Duration = Duration::from_millis(600);
const KEEPER_PATIENCE: Duration = Duration::from_secs(3);
/// As in `store::postgres::writer`.
const PATIENCE: Duration = Duration::from_secs(10);
const GATHER: Duration = Duration::from_millis(50);

/// The database.
pub(super) struct Database {
    content: VolatileStore,
    tables: Mutex<Tables>,
    rng: Mutex<SmallRng>,
    /// Of a thousand writes so many are answered as not done, before or after they were.
    doubtful: Mutex<u32>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Tables {
    nodes: HashMap<NodeId, Node>,
    tenures: HashMap<SessionId, (Option<NodeId>, u64)>,
    /// By whom what was written, in the order of the rows.
    written: HashMap<SessionId, Vec<(MessageId, NodeId, u64)>>,
    born: u32,
}

struct Node {
    expires: Instant,
    is_dead: bool,
}

impl Tables {
    fn is_dead(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|node| node.is_dead)
    }

    fn register(&mut self) -> NodeId {
        self.born += 1;
        let id = NodeId(format!("node-{}", self.born).into());
        self.nodes.insert(id.clone(), Node { expires: Instant::now() + TTL, is_dead: false });
        id
    }

    fn hold(&self, session: &SessionId, node: &NodeId, fence: Fence) -> Result<(), StoreError> {
        match self.tenures.get(session) {
            None => Err(StoreError::NoSession),
            Some((owner, known)) if owner.as_ref() == Some(node) && *known == fence.0 => Ok(()),
            Some(_) => Err(StoreError::Fenced),
        }
    }
}

impl Database {
    pub(super) fn new(seed: u64, tasks: TaskTracker) -> Arc<Self> {
        let rng = Mutex::new(SmallRng::seed_from_u64(seed));
        let (content, tables, doubtful) = (VolatileStore::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { content, tables, rng, doubtful, tasks })
    }

    pub(super) fn set_doubtful(&self, of_a_thousand: u32) {
        *self.doubtful.lock() = of_a_thousand;
    }

    /// All messages of a session, and who wrote each, with which fence.
    pub(super) fn rows(&self, session: &SessionId) -> (Vec<Message>, Vec<(MessageId, NodeId, u64)>) {
        let page = now(self.content.messages(session, None, 500, Scope::Everything));
        let written = self.tables.lock().written.get(session).cloned().unwrap_or_default();
        (page.map(|page| page.messages).unwrap_or_default(), written)
    }

    fn latency(&self) -> Duration {
        Duration::from_millis(self.rng.lock().random_range(0..6))
    }

    fn is_doubtful(&self) -> bool {
        let doubtful = *self.doubtful.lock();
        self.rng.lock().random_range(0..1000) < doubtful
    }

    fn take(&self, session: &SessionId, me: &NodeId) -> Result<Fence, StoreError> {
        let mut tables = self.tables.lock();
        if tables.nodes.get(me).is_none_or(|node| node.is_dead) {
            return Err(StoreError::Unavailable("others have taken this gateway for dead".to_owned()));
        }
        let (owner, fence) = tables.tenures.get(session).cloned().ok_or(StoreError::NoSession)?;
        if let Some(owner) = owner.filter(|owner| owner != me && !tables.is_dead(owner)) {
            return Err(StoreError::Elsewhere(Some(owner)));
        }
        tables.tenures.insert(session.clone(), (Some(me.clone()), fence + 1));
        drop(tables);
        let left = now(self.content.messages(session, None, 500, Scope::Everything))?.messages;
        for mut message in left.into_iter().filter(|message| message.status == Status::Pending) {
            let Some(run) = message.run.clone() else { continue };
            message = message.interrupted();
            now(self.content.finish_answer(session, Fence(fence + 1), FinishedAnswer::of(&message, run, None)))?;
        }
        Ok(Fence(fence + 1))
    }

    fn append(&self, session: &SessionId, (me, fence): (&NodeId, Fence), turn: Turn) -> Result<Appended, StoreError> {
        let mut tables = self.tables.lock();
        match tables.hold(session, me, fence) {
            Err(StoreError::NoSession) if turn.opens.is_some() => {
                tables.tenures.insert(session.clone(), (Some(me.clone()), Fence::FIRST.0));
            }
            held => held?,
        }
        let ids = [turn.question.id.clone(), turn.answer.id.clone()];
        let appended = now(self.content.append_turn(session, fence, turn))?;
        if appended == Appended::Stored {
            let written = tables.written.entry(session.clone()).or_default();
            written.extend(ids.map(|id| (id, me.clone(), fence.0)));
        }
        Ok(appended)
    }
}

/// What the content's store does at once.
fn now<T>(done: impl Future<Output = T>) -> T {
    done.now_or_never().expect("memory does not wait")
}

/// The database, as one process sees it.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    process: Arc<Process>,
    /// Open while this says so.
    way: Arc<AtomicBool>,
    me: Mutex<Me>,
    /// A session's writes go one after the other.
    lines: Mutex<HashMap<SessionId, Arc<Line<()>>>>,
}

#[derive(Clone)]
struct Me {
    node: NodeId,
    life: u64,
    renewed: Instant,
    unbroken_since: Instant,
}

impl Client {
    pub(super) fn new(database: Arc<Database>, process: Arc<Process>, way: Arc<AtomicBool>) -> Self {
        let (node, now) = (database.tables.lock().register(), Instant::now());
        let me = Mutex::new(Me { node, life: 0, renewed: now, unbroken_since: now });
        Self(Arc::new(Inner { database, process, way, me, lines: Mutex::default() }))
    }

    /// Renews the lease, for ever.
    pub(super) async fn keep(self) {
        loop {
            let (sent, me) = (Instant::now(), self.0.me.lock().clone());
            if timeout(KEEPER_PATIENCE, self.0.go()).await.is_err() {
                // After an outage everybody renews before anybody is declared dead.
                self.0.me.lock().unbroken_since = sent + RENEW_EVERY;
            } else {
                self.0.renew(sent, &me);
            }
            sleep(RENEW_EVERY.saturating_sub(sent.elapsed())).await;
        }
    }

    /// The process ends: whoever wants a session of it may have it.
    pub(super) fn end(&self) {
        let me = self.me();
        if let Some(node) = self.0.database.tables.lock().nodes.get_mut(&me) {
            node.is_dead = true;
        }
    }

    fn me(&self) -> NodeId {
        self.0.me.lock().node.clone()
    }

    async fn read<T: Send>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let reading = async {
            self.0.go().await;
            read(&self.0.database)
        };
        self.0.process.run_or_hang(timeout(PATIENCE, reading)).await.unwrap_or_else(|_| Err(silent()))
    }

    /// Writes, also when whoever asked for it does not wait.
    async fn write<T: Send + 'static>(
        &self,
        session: &SessionId,
        write: impl FnOnce(&Database, &NodeId) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let line = self.0.lines.lock().entry(session.clone()).or_default().clone();
        let (inner, node) = (self.0.clone(), self.me());
        // It may have left the process already when that is stopped or killed.
        let has_left = self.0.database.rng.lock().random();
        let doing = async move {
            let _turn = line.lock().await;
            match has_left {
                true => inner.go().await,
                false => inner.process.run_or_hang(inner.go()).await,
            }
            let is_doubtful = inner.database.is_doubtful();
            if is_doubtful && inner.database.rng.lock().random() {
                return Err(silent());
            }
            let written = write(&inner.database, &node);
            if is_doubtful { Err(silent()) } else { written }
        };
        let written = self.0.database.tasks.spawn(doing);
        match self.0.process.run_or_hang(timeout(PATIENCE, written)).await {
            Ok(written) => written.expect("a write does not fail"),
            Err(_) => Err(silent()),
        }
    }
}

impl Inner {
    async fn go(&self) {
        sleep(self.database.latency()).await;
        while !self.way.load(Ordering::Acquire) {
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn renew(&self, sent: Instant, me: &Me) {
        let (mut tables, now) = (self.database.tables.lock(), Instant::now());
        match tables.nodes.get_mut(&me.node).filter(|node| !node.is_dead) {
            Some(node) => {
                node.expires = now + TTL;
                self.me.lock().renewed = sent;
            }
            None => {
                let node = tables.register();
                *self.me.lock() = Me { node, life: me.life + 1, renewed: sent, unbroken_since: sent };
                return;
            }
        }
        if sent.saturating_duration_since(me.unbroken_since) >= TTL {
            tables.nodes.values_mut().filter(|node| node.expires < now).for_each(|node| node.is_dead = true);
        }
    }
}

fn silent() -> StoreError {
    StoreError::Unavailable("the database does not answer".to_owned())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.me()).finish()
    }
}

#[async_trait]
impl SessionStore for Client {
    async fn take(&self, session: &SessionId) -> Result<Fence, StoreError> {
        let id = session.clone();
        self.write(session, move |database, me| database.take(&id, me)).await
    }

    async fn owner(&self, session: &SessionId) -> Result<Option<NodeId>, StoreError> {
        let me = self.me();
        self.read(|database| {
            let tables = database.tables.lock();
            let (owner, _) = tables.tenures.get(session).cloned().ok_or(StoreError::NoSession)?;
            Ok(owner.filter(|owner| *owner != me && !tables.is_dead(owner)))
        })
        .await
    }

    async fn is_gone(&self, node: &NodeId) -> Result<bool, StoreError> {
        self.read(|database| Ok(database.tables.lock().nodes.get(node).is_none_or(|node| node.is_dead))).await
    }

    fn give_up(&self, session: &SessionId, fence: Fence) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let (inner, session) = (self.0.clone(), session.clone());
        self.0.database.tasks.spawn(async move {
            let gathered = async {
                sleep(GATHER).await;
                inner.go().await;
                let me = inner.me.lock().node.clone();
                let mut tables = inner.database.tables.lock();
                if tables.hold(&session, &me, fence).is_ok() {
                    tables.tenures.insert(session, (None, fence.0));
                }
            };
            if inner.process.run(gathered).await.is_some() {
                let _nobody_waits = done.send(());
            }
        });
        is_done
    }

    fn node(&self) -> Option<NodeId> {
        Some(self.me())
    }

    fn lease(&self) -> Lease {
        let me = self.0.me.lock();
        Lease { life: me.life, is_certain: me.renewed.elapsed() < TTL.saturating_sub(MARGIN), nodes: 1 }
    }

    async fn create_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        let id = session.id.clone();
        self.write(&id, move |database, _| {
            let id = session.id.clone();
            now(database.content.create_session(session))?;
            database.tables.lock().tenures.insert(id, (None, 0));
            Ok(())
        })
        .await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.read(|database| now(database.content.session(id))).await
    }

    async fn sessions(
        &self,
        owner: Option<&Owner>,
        part: Option<&Title>,
        before: Option<&SessionId>,
        limit: usize,
    ) -> Result<SessionPage, StoreError> {
        self.read(|database| now(database.content.sessions(owner, part, before, limit))).await
    }

    async fn rename_session(&self, session: &SessionId, title: Title) -> Result<bool, StoreError> {
        let id = session.clone();
        self.write(session, move |database, _| now(database.content.rename_session(&id, title.clone()))).await
    }

    async fn delete_session(&self, session: &SessionId) -> Result<bool, StoreError> {
        let id = session.clone();
        self.write(session, move |database, _| {
            database.tables.lock().tenures.remove(&id);
            now(database.content.delete_session(&id))
        })
        .await
    }

    async fn append_turn(&self, session: &SessionId, fence: Fence, turn: Turn) -> Result<Appended, StoreError> {
        let id = session.clone();
        self.write(session, move |database, me| database.append(&id, (me, fence), turn)).await
    }

    async fn branch(
        &self,
        session: &SessionId,
        fence: Fence,
        branch: Branch,
        newest: usize,
    ) -> Result<Branched, StoreError> {
        let id = session.clone();
        self.write(session, move |database, me| {
            let mut tables = database.tables.lock();
            tables.hold(&id, me, fence)?;
            let ids = [branch.question.as_ref().map(|question| question.id.clone()), Some(branch.answer.id.clone())];
            let branched = now(database.content.branch(&id, fence, branch, newest))?;
            if matches!(branched, Branched::Stored { .. }) {
                let written = tables.written.entry(id.clone()).or_default();
                written.extend(ids.into_iter().flatten().map(|id| (id, me.clone(), fence.0)));
            }
            Ok(branched)
        })
        .await
    }

    async fn rate(&self, session: &SessionId, message: &MessageId, feedback: Feedback) -> Result<bool, StoreError> {
        let (id, message) = (session.clone(), message.clone());
        self.write(session, move |database, _| now(database.content.rate(&id, &message, feedback))).await
    }

    async fn feedback(&self, tenant: Option<&str>, since: Timestamp) -> Result<Vec<FeedbackCount>, StoreError> {
        self.read(|database| now(database.content.feedback(tenant, since))).await
    }

    async fn awaiting(&self, whose: Awaiting<'_>, part: Option<&str>) -> Result<Vec<Awaited>, StoreError> {
        self.read(|database| now(database.content.awaiting(whose, part))).await
    }

    async fn checkpoint(&self, pieces: Vec<Piece>) -> Result<usize, StoreError> {
        let mut kept = 0;
        for piece in pieces {
            let session = piece.session.clone();
            kept += self
                .write(&session, move |database, me| {
                    let held = database.tables.lock().hold(&piece.session, me, piece.fence);
                    if held.is_ok() { now(database.content.checkpoint(vec![piece])) } else { Ok(0) }
                })
                .await?;
        }
        Ok(kept)
    }

    async fn finish_answer(&self, session: &SessionId, fence: Fence, answer: FinishedAnswer) -> Result<(), StoreError> {
        let id = session.clone();
        self.write(session, move |database, me| {
            database.tables.lock().hold(&id, me, fence)?;
            now(database.content.finish_answer(&id, fence, answer))
        })
        .await
    }

    async fn message(&self, session: &SessionId, id: &MessageId) -> Result<Option<Message>, StoreError> {
        self.read(|database| now(database.content.message(session, id))).await
    }

    async fn messages(
        &self,
        session: &SessionId,
        before: Option<&MessageId>,
        limit: usize,
        scope: Scope,
    ) -> Result<MessagePage, StoreError> {
        self.read(|database| now(database.content.messages(session, before, limit, scope))).await
    }

    async fn delete_expired(&self, cutoff: Timestamp, limit: usize) -> Result<Vec<SessionId>, StoreError> {
        self.read(|database| now(database.content.delete_expired(cutoff, limit))).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.read(|_| Ok(())).await
    }
}
