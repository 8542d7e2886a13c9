//! What the mock has seen: requests, how they ended, and who went away.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use super::{
    script::{Encoded, Script},
    stamp::wall_clock_us,
};

/// Requests that are remembered, for whoever wants to see what was asked.
const REMEMBERED: usize = 16;
/// Cancelled completions that are remembered, for whoever wants to know how soon a stop arrives.
const CANCELLED: usize = 16_384;
/// Model names whose chunks are kept.
const MAX_MODELS: usize = 16;

/// What the mock has seen; stays valid when the mock is gone.
#[derive(Debug, Clone, Default)]
pub struct Stats(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    counts: watch::Sender<Counts>,
    tokens: AtomicU64,
    requests: Mutex<VecDeque<SeenRequest>>,
    cancelled: Mutex<VecDeque<Cancelled>>,
    encoded: Mutex<HashMap<String, Arc<Encoded>>>,
}

/// Completions so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Asked for.
    pub requests: usize,
    /// Being answered, stalled ones included.
    pub open: usize,
    /// Answered to the end of what was meant to be said.
    pub finished: usize,
    /// Given up because the other side went away.
    pub cancelled: usize,
}

/// A completion that was given up because the other side went away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// The text of the request's last message.
    pub question: String,
    /// When it was noticed, in microseconds of the wall clock.
    pub at_us: u64,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Stats {
    /// The counts now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.0.counts.borrow()
    }

    /// Waits until the counts are as wanted.
    pub async fn wait_until(&self, wanted: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.0.counts.subscribe();
        // The sender lives in `self`, so waiting ends only with what is wanted.
        counts.wait_for(wanted).await.map_or_else(|_| self.counts(), |counts| *counts)
    }

    /// The last requests, at most 16, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.0.requests.lock().iter().cloned().collect()
    }

    /// The last completions that were given up, oldest first.
    #[must_use]
    pub fn cancelled(&self) -> Vec<Cancelled> {
        self.0.cancelled.lock().iter().cloned().collect()
    }

    pub(super) fn remember(&self, request: SeenRequest) {
        let mut requests = self.0.requests.lock();
        if requests.len() == REMEMBERED {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    fn remember_cancelled(&self, question: String) {
        let mut cancelled = self.0.cancelled.lock();
        if cancelled.len() == CANCELLED {
            cancelled.pop_front();
        }
        cancelled.push_back(Cancelled { question, at_us: wall_clock_us() });
    }

    /// Tokens of streams that have ended.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.0.tokens.load(Ordering::Relaxed)
    }

    pub(super) fn encoded(&self, script: &Script, model: &str) -> Arc<Encoded> {
        let mut encoded = self.0.encoded.lock();
        if let Some(known) = encoded.get(model) {
            return Arc::clone(known);
        }
        let new = Arc::new(script.encode(model));
        if encoded.len() < MAX_MODELS {
            encoded.insert(model.to_owned(), Arc::clone(&new));
        }
        new
    }
}

/// One completion being answered; counts its end, however it comes.
#[derive(Debug)]
pub(super) struct Open {
    stats: Stats,
    question: String,
    pub(super) tokens: u64,
    pub(super) finished: bool,
}

impl Open {
    pub(super) fn new(stats: Stats, question: String) -> Self {
        stats.0.counts.send_modify(|counts| {
            counts.requests += 1;
            counts.open += 1;
        });
        Self { stats, question, tokens: 0, finished: false }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stats.0.tokens.fetch_add(self.tokens, Ordering::Relaxed);
        if !self.finished {
            self.stats.remember_cancelled(std::mem::take(&mut self.question));
        }
        self.stats.0.counts.send_modify(|counts| {
            counts.open -= 1;
            if self.finished {
                counts.finished += 1;
            } else {
                counts.cancelled += 1;
            }
        });
    }
}
