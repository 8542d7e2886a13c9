//! What is measured and counted while a scenario is played.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde_json::Value;

use super::job::{Job, Measured};
use crate::load::report::{Quantiles, SAMPLES, histogram, micros};

/// What all sessions of a scenario write to.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) tokens: AtomicU64,
    faults: AtomicU64,
    failures: Mutex<Vec<String>>,
    times: Mutex<BTreeMap<&'static str, Histogram<u64>>>,
    figures: Mutex<BTreeMap<&'static str, Value>>,
}

impl Seen {
    pub(super) fn time(&self, name: &'static str, time: Duration) {
        self.times.lock().entry(name).or_insert_with(histogram).saturating_record(micros(time));
    }

    pub(super) fn figure(&self, name: &'static str, value: impl Into<Value>) {
        self.figures.lock().insert(name, value.into());
    }

    pub(super) fn fault(&self, text: impl Into<String>) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock();
        let text = text.into();
        if failures.len() < SAMPLES && !failures.contains(&text) {
            failures.push(text);
        }
    }

    pub(super) fn outcome(&self, job: &Job) -> Measured {
        let mut figures = std::mem::take(&mut *self.figures.lock());
        for (name, histogram) in self.times.lock().iter() {
            figures.insert(name, serde_json::to_value(Quantiles::of(histogram)).unwrap_or_default());
        }
        let tokens = self.tokens.load(Ordering::Relaxed);
        if tokens > 0 {
            figures.insert("tokens", tokens.into());
        }
        Measured {
            scenario: job.scenario,
            sessions: job.sessions,
            figures,
            faults: self.faults.load(Ordering::Relaxed),
            failures: self.failures.lock().clone(),
        }
    }
}
