//! The bounded queue between async callers and the model's thread: questions first.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::{EmbedError, Vector};

/// Questions that may wait; the next one is refused.
const MAX_QUERIES: usize = 256;
/// Batches of documents that may wait; the next one waits outside.
const MAX_DOCUMENT_BATCHES: usize = 4;

/// Texts, and who wants their vectors.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) texts: Vec<String>,
    pub(super) reply: oneshot::Sender<Result<Vec<Vector>, EmbedError>>,
}

/// What the model does in one call: many questions or one batch of documents.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Job>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
    room: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    queries: VecDeque<Job>,
    documents: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Refuses with [`EmbedError::Busy`] at the bound: a question that waits too long is worth nothing.
    pub(super) fn push_query(&self, job: Job) -> Result<(), EmbedError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(closed());
        }
        if waiting.queries.len() >= MAX_QUERIES {
            return Err(EmbedError::Busy);
        }
        waiting.queries.push_back(job);
        self.work.notify_one();
        Ok(())
    }

    /// Waits for room at the bound.
    pub(super) async fn push_documents(&self, job: Job) -> Result<(), EmbedError> {
        loop {
            // Listens before it looks, so that no room is missed in between.
            let room = self.room.notified();
            {
                let mut waiting = self.waiting.lock();
                if waiting.closed {
                    return Err(closed());
                }
                if waiting.documents.len() < MAX_DOCUMENT_BATCHES {
                    waiting.documents.push_back(job);
                    self.work.notify_one();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// Blocks until there is work; `None` once the queue is closed.
    pub(super) fn next(&self, max_queries: usize) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if !waiting.queries.is_empty() {
                let count = waiting.queries.len().min(max_queries);
                return Some(Batch { jobs: waiting.queries.drain(..count).collect() });
            }
            if let Some(job) = waiting.documents.pop_front() {
                self.room.notify_one();
                return Some(Batch { jobs: vec![job] });
            }
            self.work.wait(&mut waiting);
        }
    }

    /// Drops what waits, so that its callers hear of it, and lets nothing in any more.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.queries.clear();
        waiting.documents.clear();
        self.work.notify_all();
        self.room.notify_waiters();
    }
}

fn closed() -> EmbedError {
    EmbedError::Failed("its thread has ended".to_owned())
}
