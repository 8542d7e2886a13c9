//! The threads that own the connections, and the bounded queues before them.

use std::{
    collections::VecDeque,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::super::StoreError;
use crate::telemetry::metrics::{STORAGE_BATCH, STORAGE_COMMIT, STORAGE_FAILURES};

/// Operations that may wait before a thread. Beyond it the caller is told at once.
const QUEUE: usize = 1024;
/// The most operations of one transaction, so that the first of them does not wait for ever.
const BATCH: usize = 256;

/// Tells the caller how it went, once the fate of the transaction is known.
pub(super) type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// One write: runs inside the open transaction, or is told why there is none.
pub(super) type Operation = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Tried + Send>;
/// One read.
pub(super) type Query = Box<dyn FnOnce(&Connection) + Send>;

/// What an operation leaves behind.
pub(super) struct Tried {
    answer: Reply,
    /// Why nothing of the whole transaction may be kept.
    lost: Option<StoreError>,
}

/// The way into a queue, until it is closed, and the threads behind it.
pub(super) struct Queue<J> {
    sender: RwLock<Option<SyncSender<J>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Each thread holds a sender while it lives.
    alive: watch::Receiver<()>,
}

impl<J> Queue<J> {
    fn new(sender: SyncSender<J>, threads: Vec<JoinHandle<()>>, alive: watch::Receiver<()>) -> Self {
        Self { sender: RwLock::new(Some(sender)), threads: Mutex::new(threads), alive }
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

    /// Takes nothing more. The threads do what waits, and end; they are handed out once.
    pub(super) fn stop(&self) -> Vec<JoinHandle<()>> {
        self.sender.write().take();
        std::mem::take(&mut *self.threads.lock())
    }

    /// Waits until all of them have ended.
    pub(super) async fn ended(&self) {
        let mut alive = self.alive.clone();
        while alive.changed().await.is_ok() {}
    }
}

/// The one thread that writes.
pub(super) struct Writer {
    pub(super) queue: Queue<Operation>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// The thread keeps `lock` for as long as it may write, whoever has lost patience with it meanwhile.
    pub(super) fn start(connection: Connection, lock: File) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let (living, alive) = watch::channel(());
        let commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&commits);
        let thread = spawn("store-writer", living, move || {
            write_all(connection, &receiver, &counter);
            drop(lock);
        })?;
        Ok(Self { queue: Queue::new(sender, vec![thread], alive), commits })
    }

    /// Runs `work` in a transaction, with others, and returns after its commit.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(move |connection| {
            let (result, lost) = match connection {
                Ok(connection) => in_savepoint(connection, work),
                Err(refused) => (Err(refused), None),
            };
            let answer: Reply = Box::new(move |commit| {
                // A caller that went away does not take its write back; nobody listens, and that is all.
                let _ = reply.send(result.and_then(|value| commit.map(|()| value)));
            });
            Tried { answer, lost }
        }))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

/// The threads that read.
pub(super) struct Readers {
    pub(super) queue: Queue<Query>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let (living, alive) = watch::channel(());
        let threads = connections
            .into_iter()
            .map(|connection| {
                let receiver = Arc::clone(&receiver);
                spawn("store-reader", living.clone(), move || read_all(&connection, &receiver))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { queue: Queue::new(sender, threads, alive) })
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
                let _ = reply.send(caught(|| work(connection)).unwrap_or_else(|| Err(panicked())));
            }
        }))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
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

fn panicked() -> StoreError {
    StoreError::Unavailable("the operation panicked".to_owned())
}

/// `None` after a panic, of which the panic hook has told: one bad operation must not end the thread of all.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// `living` is dropped last, also by a panic.
fn spawn(
    name: &str,
    living: watch::Sender<()>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StoreError> {
    let work = move || {
        let _living = living;
        work();
    };
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
            if let Err(error) = begin(&connection) {
                metrics::counter!(STORAGE_FAILURES).increment(1);
                // Who came while we waited for the lock would wait as long again, one after the other.
                waiting.extend(queue.try_iter().take(QUEUE));
                tracing::error!(%error, operations = waiting.len(), "no transaction could be begun");
                refuse(&mut waiting, &error);
                continue;
            }
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

/// Begins a transaction; one that could not be rolled back before must go first.
fn begin(connection: &Connection) -> Result<(), StoreError> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    Ok(connection.execute_batch("BEGIN IMMEDIATE")?)
}

fn refuse(waiting: &mut VecDeque<Operation>, error: &StoreError) {
    for operation in waiting.drain(..) {
        let tried = operation(Err(error.clone()));
        (tried.answer)(Err(error.clone()));
    }
}

/// Takes waiting operations through the open transaction and answers them. Leaves some waiting when the
/// transaction was lost in the middle of them.
fn commit_some(connection: &Connection, waiting: &mut VecDeque<Operation>, commits: &AtomicU64) {
    let mut answers = Vec::with_capacity(waiting.len());
    let mut lost = None;
    while let Some(operation) = waiting.pop_front() {
        let tried = operation(Ok(connection));
        answers.push(tried.answer);
        lost = tried.lost;
        if lost.is_some() {
            break;
        }
    }
    let started = Instant::now();
    let outcome = match lost {
        None => commit(connection),
        Some(error) => Err(error),
    };
    match &outcome {
        Ok(()) => {
            commits.fetch_add(1, Ordering::Relaxed);
            metrics::histogram!(STORAGE_COMMIT).record(started.elapsed().as_secs_f64());
            metrics::histogram!(STORAGE_BATCH).record(answers.len() as f64);
        }
        Err(error) => {
            metrics::counter!(STORAGE_FAILURES).increment(1);
            tracing::error!(%error, operations = answers.len(), "a transaction was lost");
            roll_back(connection);
        }
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch("COMMIT")?)
}

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

/// Runs one operation so that its failure undoes itself and not its neighbours. Where that cannot be had, the
/// second value says why the whole transaction is lost.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> (Result<T, StoreError>, Option<StoreError>) {
    let execute = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    if let Err(error) = execute("SAVEPOINT operation") {
        // Nothing was done yet. A full or failing disk may have ended the transaction all the same.
        let lost = connection.is_autocommit().then(|| error.to_string());
        return (Err(error.into()), lost.map(StoreError::Unavailable));
    }
    let Some(result) = caught(|| work(connection)) else {
        return (Err(panicked()), Some(StoreError::Unavailable("an operation of the same commit panicked".to_owned())));
    };
    // A full or failing disk makes SQLite give up the whole transaction at once.
    if connection.is_autocommit() {
        let cause = match &result {
            Err(error @ StoreError::Unavailable(_)) => error.clone(),
            _ => StoreError::Unavailable("the transaction ended within an operation".to_owned()),
        };
        return (result, Some(cause));
    }
    let undone = if result.is_err() { execute("ROLLBACK TO operation") } else { Ok(0) };
    let released = undone.and_then(|_| execute("RELEASE operation"));
    (result, released.err().map(StoreError::from))
}
