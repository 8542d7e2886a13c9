//! How writes are committed: on a few connections, many in one transaction.
//!
//! A session's writes all go to the same connection, one after the other; those of different sessions go side by side in
//! one transaction, without waiting for each other's answers. An operation looks first and writes then: one that refuses
//! has changed nothing, so the others are not concerned. When the database itself refuses something, the transaction is
//! lost, and each of its operations is tried again in one of its own. An operation is answered after the commit.
//!
//! A commit whose answer never came may have happened. It is answered as not done, and whoever asks again with the same
//! ids finds what there is.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join, join_all},
};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::connect::{Database, Link, described, unavailable};
use crate::{
    store::StoreError,
    telemetry::metrics::{STORAGE_BATCH, STORAGE_COMMIT, STORAGE_FAILURES},
};

/// Connections that write.
const WRITERS: usize = 4;
/// Operations that may wait before one of them. Beyond it the caller is told at once.
const QUEUE: usize = 256;
/// The most operations of one transaction.
const BATCH: usize = 64;
/// How long a transaction may take. After it nobody knows how it ended, and the connection is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before each transaction: whoever loses touch with the server must not hold its rows for long, nor wait for those of
/// somebody who has.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// Why an operation did not do it.
pub(super) enum Failure {
    /// It says so itself, and has changed nothing.
    Refused(StoreError),
    /// The database says so, and gives up the whole transaction.
    Lost(tokio_postgres::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Lost(error)
    }
}

type Attempt = BoxFuture<'static, Result<(), tokio_postgres::Error>>;

/// One write.
struct Operation {
    /// Those of one key go one after the other.
    key: u64,
    /// Tries it, once more if need be.
    attempt: Box<dyn Fn(Arc<Link>) -> Attempt + Send + Sync>,
    /// Tells the caller, once the fate of the transaction is known.
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send + Sync>,
}

/// The way to the connections that write.
pub(super) struct Writers {
    queues: Mutex<Vec<mpsc::Sender<Operation>>>,
    tasks: TaskTracker,
    commits: Arc<AtomicU64>,
}

impl Writers {
    pub(super) fn start(database: &Database) -> Self {
        let (tasks, commits) = (TaskTracker::new(), Arc::new(AtomicU64::new(0)));
        let queues = (0..WRITERS).map(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let writer = Writer { database: database.clone(), link: None, commits: commits.clone() };
            tasks.spawn(writer.run(receiver));
            sender
        });
        Self { queues: Mutex::new(queues.collect()), tasks, commits }
    }

    /// Runs `work` in a transaction, with others, and returns after its commit. It may be run more than once.
    pub(super) async fn run<T, F, Fut>(&self, key: &(impl Hash + ?Sized), work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(Arc<Link>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let kept = Arc::new(Mutex::new(None));
        let result = kept.clone();
        let attempt = move |link| {
            let (work, kept) = (work(link), kept.clone());
            let attempt = async move {
                let outcome = match work.await {
                    Ok(value) => Ok(value),
                    Err(Failure::Refused(error)) => Err(error),
                    Err(Failure::Lost(error)) => return Err(error),
                };
                *kept.lock() = Some(outcome);
                Ok(())
            };
            attempt.boxed()
        };
        let answer_with = move |committed: Result<(), StoreError>| {
            let outcome = result.lock().take().unwrap_or_else(|| Err(unavailable("the operation was not run")));
            // A caller that went away does not take its write back; nobody listens, and that is all.
            let _ = reply.send(committed.and(outcome));
        };
        let key = hashed(key);
        self.push(Operation { key, attempt: Box::new(attempt), answer: Box::new(answer_with) })?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    fn push(&self, operation: Operation) -> Result<(), StoreError> {
        let queues = self.queues.lock();
        let queue = queues.get(writer_of(operation.key)).ok_or_else(closed)?;
        queue.try_send(operation).map_err(|_| StoreError::Unavailable(format!("{QUEUE} operations wait already")))
    }

    /// Which of the connections has the writes of a key: what is to be one write must be of one of them.
    pub(super) fn part_of(key: &(impl Hash + ?Sized)) -> usize {
        writer_of(hashed(key))
    }

    /// Finishes what waits, and takes nothing more.
    pub(super) async fn close(&self) {
        self.queues.lock().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

fn hashed(key: &(impl Hash + ?Sized)) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key)
}

fn writer_of(key: u64) -> usize {
    usize::try_from(key % WRITERS as u64).unwrap_or(0)
}

fn closed() -> StoreError {
    unavailable("the store is closed")
}

/// One connection that writes.
struct Writer {
    database: Database,
    link: Option<Arc<Link>>,
    commits: Arc<AtomicU64>,
}

/// How a transaction ended without a commit.
enum Ended {
    /// The connection was over before, or is to a server that only reads.
    NotBegun(String),
    /// The database refused something in it.
    Refused(String),
    /// Nobody knows whether it was committed.
    Unknown(String),
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Operation>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut waiting, BATCH).await > 0 {
            match self.link().await {
                Ok(_) => self.commit_all(mem::take(&mut waiting)).await,
                Err(error) => {
                    // Who came while we waited for the connection would wait as long again.
                    while waiting.len() < QUEUE
                        && let Ok(operation) = queue.try_recv()
                    {
                        waiting.push(operation);
                    }
                    metrics::counter!(STORAGE_FAILURES).increment(1);
                    error!(%error, operations = waiting.len(), "no connection to the database");
                    for operation in waiting.drain(..) {
                        (operation.answer)(Err(error.clone()));
                    }
                }
            }
        }
    }

    async fn link(&mut self) -> Result<Arc<Link>, StoreError> {
        if let Some(link) = self.link.as_ref().filter(|link| !link.is_over()) {
            return Ok(link.clone());
        }
        self.link = None;
        let link = Arc::new(self.database.connect().await?);
        self.link = Some(link.clone());
        Ok(link)
    }

    /// Commits operations together; when that cannot be had, each by itself.
    async fn commit_all(&mut self, operations: Vec<Operation>) {
        let alone = operations.len() == 1;
        match self.commit(&operations).await {
            Err(Ended::Refused(_)) if !alone => {
                for operation in operations {
                    let outcome = self.commit(std::slice::from_ref(&operation)).await;
                    (operation.answer)(outcome.map_err(StoreError::from));
                }
            }
            outcome => {
                let outcome = outcome.map_err(StoreError::from);
                for operation in operations {
                    (operation.answer)(outcome.clone());
                }
            }
        }
    }

    /// Commits; on a new connection, when the one at hand was over before it began.
    async fn commit(&mut self, operations: &[Operation]) -> Result<(), Ended> {
        let link = self.link().await.map_err(Ended::from)?;
        match self.try_commit(&link, operations).await {
            Err(Ended::NotBegun(_)) => {
                let link = self.link().await.map_err(Ended::from)?;
                self.try_commit(&link, operations).await
            }
            outcome => outcome,
        }
    }

    async fn try_commit(&mut self, link: &Arc<Link>, operations: &[Operation]) -> Result<(), Ended> {
        let started = Instant::now();
        let silent = || Ended::Unknown(format!("the database did not answer for {} s", PATIENCE.as_secs()));
        let outcome = timeout(PATIENCE, transact(link, operations)).await.unwrap_or_else(|_| Err(silent()));
        match &outcome {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                metrics::histogram!(STORAGE_COMMIT).record(started.elapsed().as_secs_f64());
                metrics::histogram!(STORAGE_BATCH).record(operations.len() as f64);
            }
            Err(Ended::Refused(reason)) => warn!(reason, operations = operations.len(), "a transaction was lost"),
            Err(Ended::NotBegun(_)) => self.link = None,
            Err(Ended::Unknown(reason)) => {
                // Never cancelled: a commit that is told to stop waiting says that it succeeded.
                self.link = None;
                metrics::counter!(STORAGE_FAILURES).increment(1);
                error!(reason, operations = operations.len(), "nobody knows how a transaction ended");
            }
        }
        outcome
    }
}

/// One transaction. Its beginning, and what different sessions want, are on their way at once.
async fn transact(link: &Arc<Link>, operations: &[Operation]) -> Result<(), Ended> {
    let mut by_key: HashMap<u64, Vec<&Operation>> = HashMap::with_capacity(operations.len());
    for operation in operations {
        by_key.entry(operation.key).or_default().push(operation);
    }
    let in_order = by_key.into_values().map(|operations| async move {
        for operation in operations {
            (operation.attempt)(link.clone()).await?;
        }
        Ok(())
    });
    let (begun, tried): (_, Vec<Result<(), _>>) = join(link.client.batch_execute(BEGIN), join_all(in_order)).await;
    let failed = |error: tokio_postgres::Error| match link.client.is_closed() || error.is_closed() {
        true => Ended::Unknown(described(&error)),
        false if link.is_demoted_by(&error) => Ended::NotBegun(described(&error)),
        false => Ended::Refused(described(&error)),
    };
    if let Err(error) = &begun
        && link.client.is_closed()
    {
        return Err(Ended::NotBegun(described(error)));
    }
    if let Err(error) = begun.and_then(|()| tried.into_iter().collect::<Result<(), _>>()) {
        let ended = failed(error);
        if let Err(error) = link.client.batch_execute("ROLLBACK").await {
            return Err(failed(error));
        }
        return Err(ended);
    }
    match link.commit().await.map_err(failed)? {
        true => Err(Ended::Unknown("the database warned within the commit".to_owned())),
        false => Ok(()),
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::NotBegun(error.to_string())
    }
}

impl From<Ended> for StoreError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Refused(reason) | Ended::NotBegun(reason) => Self::Unavailable(reason),
            Ended::Unknown(reason) => Self::Unavailable(format!("{reason}: it may have been stored")),
        }
    }
}
