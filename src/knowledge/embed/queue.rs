//! The bounded queue between async callers and the model's threads: questions first, the shortest of them before others.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::vector::{EmbedError, Vector};

/// Questions that may wait; the next one is refused.
const MAX_QUERIES: usize = 256;
/// Batches of documents that may wait; the next one waits outside.
const MAX_DOCUMENT_BATCHES: usize = 4;
/// The most questions of one call.
const MAX_CALL_QUERIES: usize = 64;
/// The most bytes of one call, counting every question as long as the longest: the model pads them to that length.
const MAX_CALL_BYTES: usize = 2000;
/// Calls after which the question that waits longest goes first, however long it is.
const MAX_PASSED_OVER: usize = 8;

/// Texts, and who wants their vectors.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) texts: Vec<String>,
    pub(super) reply: oneshot::Sender<Result<Vec<Vector>, EmbedError>>,
}

/// What a thread of the model is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Questions and documents.
    Everything,
    /// Questions.
    Questions,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
    room: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// In the order in which they came.
    queries: VecDeque<Job>,
    /// Calls in a row that the first of them was not in.
    passed_over: usize,
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
                    // One of those who wait may be there for questions only.
                    self.work.notify_all();
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// What the model does in its next call: some questions, or one batch of documents if it does those. Blocks until there
    /// is work; `None` once the queue is closed. Jobs that nobody waits for any more are left out.
    pub(super) fn next(&self, does: Does) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.closed {
                return None;
            }
            waiting.queries.retain(|job| !job.reply.is_closed());
            if !waiting.queries.is_empty() {
                return Some(waiting.take_queries());
            }
            if does == Does::Everything
                && let Some(job) = waiting.documents.pop_front()
            {
                self.room.notify_one();
                if job.reply.is_closed() {
                    continue;
                }
                return Some(vec![job]);
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

impl Waiting {
    /// The questions of the next call; there is at least one.
    fn take_queries(&mut self) -> Vec<Job> {
        let bytes = |job: &Job| job.texts.iter().map(String::len).sum();
        let lengths: Vec<usize> = self.queries.iter().map(bytes).collect();
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&i| lengths[i]);
        let is_due = self.passed_over >= MAX_PASSED_OVER;
        let chosen = if is_due { vec![0] } else { fitting(&order, &lengths) };
        self.passed_over = if chosen.contains(&0) { 0 } else { self.passed_over + 1 };
        let mut taken = Vec::with_capacity(chosen.len());
        let mut left = VecDeque::with_capacity(lengths.len() - chosen.len());
        for (i, job) in self.queries.drain(..).enumerate() {
            if chosen.contains(&i) { taken.push(job) } else { left.push_back(job) }
        }
        self.queries = left;
        taken
    }
}

/// As many of the shortest as one call may hold, at least one. `order`: by length, shortest first.
fn fitting(order: &[usize], lengths: &[usize]) -> Vec<usize> {
    let fits = |&(before, i): &(usize, usize)| before == 0 || (before + 1) * lengths[i] <= MAX_CALL_BYTES;
    let shortest = order.iter().copied().take(MAX_CALL_QUERIES).enumerate();
    shortest.take_while(fits).map(|(_, i)| i).collect()
}

fn closed() -> EmbedError {
    EmbedError::Failed("its thread has ended".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question of `length` bytes, and who waits for it.
    fn ask(queue: &Queue, length: usize) -> oneshot::Receiver<Result<Vec<Vector>, EmbedError>> {
        let (reply, answer) = oneshot::channel();
        queue.push_query(Job { texts: vec!["x".repeat(length)], reply }).expect("room");
        answer
    }

    fn lengths(jobs: &[Job]) -> Vec<usize> {
        jobs.iter().map(|job| job.texts[0].len()).collect()
    }

    #[test]
    fn short_questions_do_not_pay_for_a_long_one() {
        let queue = Queue::default();
        let _waiting: Vec<_> = [1900, 30, 1000, 30, 900].map(|length| ask(&queue, length)).into();
        assert_eq!(lengths(&queue.next(Does::Everything).expect("work")), [30, 30]);
        // A question that comes between two calls goes before the longer ones.
        let _new = ask(&queue, 20);
        assert_eq!(lengths(&queue.next(Does::Everything).expect("work")), [900, 20]);
        assert_eq!(lengths(&queue.next(Does::Everything).expect("work")), [1000]);
        assert_eq!(lengths(&queue.next(Does::Everything).expect("work")), [1900]);
    }

    #[test]
    fn a_long_question_is_not_passed_over_for_ever() {
        let queue = Queue::default();
        let _long = ask(&queue, 1900);
        let calls = (0..20).position(|_| {
            let _short = ask(&queue, 300);
            lengths(&queue.next(Does::Everything).expect("work")) == [1900]
        });
        assert_eq!(calls, Some(MAX_PASSED_OVER));
    }

    #[tokio::test]
    async fn who_is_there_for_questions_leaves_documents_to_the_other() {
        let queue = Queue::default();
        let (reply, _answer) = oneshot::channel();
        queue.push_documents(Job { texts: vec!["a document".to_owned()], reply }).await.expect("room");
        let _waiting = ask(&queue, 20);
        assert_eq!(lengths(&queue.next(Does::Questions).expect("work")), [20]);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| queue.next(Does::Questions).is_none());
            assert_eq!(lengths(&queue.next(Does::Everything).expect("work")), [10]);
            queue.close();
            assert!(waits.join().expect("no panic"), "nothing was there for it");
        });
    }

    #[test]
    fn what_nobody_waits_for_is_left_out() {
        let queue = Queue::default();
        drop(ask(&queue, 10));
        let _waiting = ask(&queue, 20);
        assert_eq!(lengths(&queue.next(Does::Everything).expect("work")), [20]);
    }
}
