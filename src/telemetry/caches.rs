//! What became of the looks into a cache: counted for `/metrics` and for reports. Uses nothing of ours but the names.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::metrics::CACHE_REQUESTS;

/// The cache of answers, as metrics and reports call it.
pub const ANSWERS: &str = "answers";
/// The cache of questions' vectors.
pub const EMBEDDINGS: &str = "embeddings";
/// The cache of what was found.
pub const RETRIEVAL: &str = "retrieval";
/// The cache of forecasts.
pub const FORECASTS: &str = "forecasts";

/// What became of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It was there.
    Hit,
    /// It was there for all gateways.
    HitShared,
    /// Somebody was just making it, and it was shared.
    Joined,
    /// It was not there and had to be made.
    Miss,
    /// Nobody looked: it may not be shared, or another one was wanted.
    Passed,
}

impl Lookup {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::HitShared => "hit_shared",
            Self::Joined => "joined",
            Self::Miss => "miss",
            Self::Passed => "passed",
        }
    }
}

/// How a cache stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheReport {
    /// Which one.
    pub name: &'static str,
    /// Whether anything is kept.
    pub enabled: bool,
    /// What it holds; expired ones may be among them for a moment.
    pub entries: u64,
    /// The most it holds.
    pub capacity: u64,
    /// For how long; `None`: until there is no room.
    pub ttl: Option<Duration>,
    /// Looks that found it.
    pub hits: u64,
    /// Looks that found it where all gateways look.
    pub hits_shared: u64,
    /// Looks that shared what was just being made.
    pub joined: u64,
    /// Looks in vain.
    pub misses: u64,
    /// What was not looked up.
    pub passed: u64,
}

impl CacheReport {
    /// A cache that is switched off.
    #[must_use]
    pub fn off(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }
}

/// The looks into one cache.
#[derive(Debug)]
pub struct Lookups {
    name: &'static str,
    counts: [AtomicU64; 5],
}

impl Lookups {
    /// None so far.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, counts: Default::default() }
    }

    /// One more.
    pub fn count(&self, outcome: Lookup) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        metrics::counter!(CACHE_REQUESTS, "cache" => self.name, "outcome" => outcome.as_str()).increment(1);
    }

    /// A report of a cache that holds `entries` of at most `capacity`.
    #[must_use]
    pub fn report(&self, entries: u64, capacity: u64, ttl: Option<Duration>) -> CacheReport {
        let [hits, hits_shared, joined, misses, passed] =
            self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let name = self.name;
        CacheReport { name, enabled: true, entries, capacity, ttl, hits, hits_shared, joined, misses, passed }
    }
}
