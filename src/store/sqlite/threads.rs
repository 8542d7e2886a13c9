//! The threads that own the connections, and the bounded queues before them.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::{sync::oneshot, time::Instant};

use super::super::StoreError;
use crate::telemetry::metrics::{STORAGE_BATCH, STORAGE_COMMIT};

/// Operations that may wait before a thread. Beyond it the caller is told at once.
const QUEUE: usize = 1024;
/// The most operations of one transaction, so that the first of them does not wait for ever.
const BATCH: usize = 256;

/// Tells the caller how it went, once the fate of the transaction is known.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// One write: runs inside the open transaction.
type Operation = Box<dyn FnOnce(&Connection) -> Answer + Send>;
/// One read.
type Query = Box<dyn FnOnce(&Connection) + Send>;

/// The way into a queue, until it is closed, and the threads behind it.
struct Queue<J> {
    sender: RwLock<Option<SyncSender<J>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<J> Queue<J> {
    fn new(sender: SyncSender<J>, threads: Vec<JoinHandle<()>>) -> Self {
        Self { sender: RwLock::new(Some(sender)), threads: Mutex::new(threads) }
    }

    fn push(&self, job: J) -> Result<(), StoreError> {
        match self.sender.read().as_ref().map(|sender| sender.try_send(job)) {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                Err(StoreError::Unavailable(format!("{QUEUE} operations wait already")))
            }
            Some(Err(TrySendError::Disconnected(_))) | None => Err(closed()),
        }
    }

    fn stop(&self) -> Vec<JoinHandle<()>> {
        self.sender.write().take();
        std::mem::take(&mut *self.threads.lock())
    }
}

/// The one thread that writes.
pub(super) struct Writer {
    queue: Queue<Operation>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        let thread = spawn("store-writer", move || write_all(connection, &receiver, &counter))?;
        Ok(Self { queue: Queue::new(sender, vec![thread]), commits })
    }

    /// Runs `work` in a transaction, with others, and returns after its commit.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |connection| {
            let result = in_savepoint(connection, work);
            Box::new(move |commit| {
                // A caller that went away does not take its write back; nobody listens, and that is all.
                let _ = reply.send(result.and_then(|value| commit.map(|()| value)));
            })
        }))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn stop(&self) -> Vec<JoinHandle<()>> {
        self.queue.stop()
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

/// The threads that read.
pub(super) struct Readers {
    queue: Queue<Query>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = connections
            .into_iter()
            .map(|connection| {
                let receiver = Arc::clone(&receiver);
                spawn("store-reader", move || read_all(&connection, &receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { queue: Queue::new(sender, threads) })
    }

    /// Runs `work` on one of the readers. It sees every write that was answered before.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |connection| {
            if !reply.is_closed() {
                let _ = reply.send(work(connection));
            }
        }))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn stop(&self) -> Vec<JoinHandle<()>> {
        self.queue.stop()
    }
}

/// Waits for threads that were stopped; what is in their queue is done first.
pub(super) fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a storage thread panicked");
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| StoreError::Unavailable(format!("cannot start its thread: {error}")))
}

fn read_all(connection: &Connection, queue: &Mutex<Receiver<Query>>) {
    loop {
        // The lock is held only while waiting, so that the other reader takes the next query.
        let next = queue.lock().recv();
        let Ok(query) = next else { return };
        query(connection);
    }
}

fn write_all(connection: Connection, queue: &Receiver<Operation>, commits: &AtomicU64) {
    let mut waiting = VecDeque::new();
    while let Ok(first) = queue.recv() {
        waiting.push_back(first);
        while !waiting.is_empty() {
            waiting.extend(queue.try_iter().take(BATCH.saturating_sub(waiting.len())));
            commit_some(&connection, &mut waiting, commits);
        }
    }
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log stays until the next start");
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

/// Takes waiting operations through one transaction and answers them. Leaves some waiting when the transaction
/// was lost in the middle of them.
fn commit_some(connection: &Connection, waiting: &mut VecDeque<Operation>, commits: &AtomicU64) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        // The oldest one fails; the next round tries again with the rest.
        if let Some(operation) = waiting.pop_front() {
            operation(connection)(Err(error.into()));
        }
        return;
    }
    let mut answers = Vec::with_capacity(waiting.len());
    while let Some(operation) = waiting.pop_front() {
        answers.push(operation(connection));
        // A full or failing disk makes SQLite give up the whole transaction at once.
        if connection.is_autocommit() {
            break;
        }
    }
    let started = Instant::now();
    let outcome = finish(connection);
    if outcome.is_ok() {
        commits.fetch_add(1, Ordering::Relaxed);
        metrics::histogram!(STORAGE_COMMIT).record(started.elapsed().as_secs_f64());
        metrics::histogram!(STORAGE_BATCH).record(answers.len() as f64);
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

fn finish(connection: &Connection) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        return Err(StoreError::Unavailable("the disk failed while writing; nothing was kept".to_owned()));
    }
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    tracing::error!(%error, "a commit failed");
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "and its rollback, too");
    }
    Err(error.into())
}

/// Runs one operation so that its failure undoes itself and not its neighbours. Outside a transaction it does
/// not run at all: nothing may be written that the answer does not speak of.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if connection.is_autocommit() {
        return Err(StoreError::Unavailable("no transaction could be begun".to_owned()));
    }
    connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
    let result = work(connection);
    if connection.is_autocommit() {
        return result;
    }
    if result.is_err() {
        connection.prepare_cached("ROLLBACK TO operation")?.execute([])?;
    }
    connection.prepare_cached("RELEASE operation")?.execute([])?;
    result
}
