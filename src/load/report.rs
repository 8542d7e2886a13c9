//! Adds up what the sessions saw and prints it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

use super::{faults::Faults, history::Recorder};

/// How many texts of failures are kept; the first ones tell the most.
pub(super) const SAMPLES: usize = 8;
/// The longest time that is told apart, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// What one session saw.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) faults: Faults,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) runs: BTreeMap<String, u64>,
    pub(super) cuts: u64,
    pub(super) reconnects: u64,
    pub(super) syncs: u64,
    pub(super) failures: Vec<String>,
}

impl Tally {
    /// Counts an error and keeps what it was.
    pub(super) fn fail(&mut self, text: String) {
        self.faults.errors += 1;
        self.note(text);
    }

    /// Keeps a text that explains a fault counted elsewhere.
    pub(super) fn note(&mut self, text: String) {
        if self.failures.len() < SAMPLES {
            self.failures.push(text);
        }
    }
}

/// What all sessions write to while they run.
pub(super) struct Board {
    ttft: Mutex<Histogram<u64>>,
    gap: Mutex<Histogram<u64>>,
    deltas: AtomicU64,
    pub(super) history: Option<Recorder>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Board {
    pub(super) fn new(history: Option<Recorder>) -> Self {
        let (ttft, gap) = (Mutex::new(histogram()), Mutex::new(histogram()));
        Self { ttft, gap, deltas: AtomicU64::new(0), history }
    }

    pub(super) fn first_text(&self, after: Duration) {
        self.ttft.lock().saturating_record(micros(after));
    }

    pub(super) fn next_text(&self, after: Duration) {
        self.gap.lock().saturating_record(micros(after));
    }

    pub(super) fn delta(&self) {
        self.deltas.fetch_add(1, Ordering::Relaxed);
    }
}

#[expect(clippy::expect_used, reason = "the bounds are constants: 1 µs to an hour with three digits is a histogram")]
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("constant bounds")
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Quantiles, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// The middle one.
    pub p50_ms: f64,
    /// Nine of ten are below.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred are below.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

impl Quantiles {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        let max_ms = histogram.max() as f64 / 1000.0;
        Self { count: histogram.len(), p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), max_ms }
    }
}

/// What came out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Conversations.
    pub sessions: u64,
    /// Questions that were sent at least once.
    pub sent: u64,
    /// Questions whose answers came and were proven by length and checksum.
    pub answered: u64,
    /// Ended runs, by status.
    pub runs: BTreeMap<String, u64>,
    /// From a question to the first text of its answer, reconnects included.
    pub ttft: Quantiles,
    /// Between two deltas on the same connection.
    pub gap: Quantiles,
    /// Deltas that brought new text. Under pressure the gateway merges several tokens into one.
    pub deltas: u64,
    /// Deltas per second, over the whole time.
    pub deltas_per_s: f64,
    /// Sockets that were cut on purpose.
    pub cuts: u64,
    /// Connections that were made after the first of each session.
    pub reconnects: u64,
    /// Times that text had to be asked for again.
    pub syncs: u64,
    /// Seconds from the first connection to the last answer.
    pub seconds: f64,
    /// What must not happen.
    #[serde(flatten)]
    pub faults: Faults,
    /// Some of what went wrong, in words.
    pub failures: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, tally: Tally) {
        self.sessions += 1;
        self.sent += tally.sent;
        self.answered += tally.answered;
        for (status, count) in tally.runs {
            *self.runs.entry(status).or_default() += count;
        }
        self.cuts += tally.cuts;
        self.reconnects += tally.reconnects;
        self.syncs += tally.syncs;
        self.faults.add(&tally.faults);
        for text in tally.failures {
            self.keep(text);
        }
    }

    pub(super) fn add_failure(&mut self, text: String) {
        self.faults.errors += 1;
        self.keep(text);
    }

    fn keep(&mut self, text: String) {
        if self.failures.len() < SAMPLES && !self.failures.contains(&text) {
            self.failures.push(text);
        }
    }

    pub(super) fn finish(&mut self, board: &Board, elapsed: Duration) {
        if let Some(failure) = board.history.as_ref().and_then(Recorder::failure) {
            self.add_failure(failure);
        }
        self.ttft = Quantiles::of(&board.ttft.lock());
        self.gap = Quantiles::of(&board.gap.lock());
        self.deltas = board.deltas.load(Ordering::Relaxed);
        self.seconds = elapsed.as_secs_f64();
        self.deltas_per_s = if self.seconds > 0.0 { self.deltas as f64 / self.seconds } else { 0.0 };
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, .. } = self;
        writeln!(f, "{:<14}{} in {:.1} s", "sessions", self.sessions, self.seconds)?;
        writeln!(f, "{:<14}{} sent, {} answered and proven", "messages", self.sent, self.answered)?;
        let runs: Vec<_> = self.runs.iter().map(|(status, count)| format!("{count} {status}")).collect();
        writeln!(f, "{:<14}{}", "runs", if runs.is_empty() { "none".to_owned() } else { runs.join(", ") })?;
        writeln!(f, "{:<14}{} ({:.0}/s)", "deltas", self.deltas, self.deltas_per_s)?;
        writeln!(f, "\n{:<14}{:>10}{:>10}{:>10}{:>10}", "milliseconds", "p50", "p90", "p99", "max")?;
        for (name, q) in [("first text", self.ttft), ("gap", self.gap)] {
            writeln!(f, "{name:<14}{:>10.2}{:>10.2}{:>10.2}{:>10.2}", q.p50_ms, q.p90_ms, q.p99_ms, q.max_ms)?;
        }
        writeln!(f)?;
        for (name, count) in [
            ("cut", self.cuts),
            ("reconnects", self.reconnects),
            ("syncs", self.syncs),
            ("lost", faults.lost),
            ("duplicated", faults.duplicated),
            ("altered", faults.altered),
            ("disordered", faults.disordered),
            ("malformed", faults.malformed),
            ("errors", faults.errors),
        ] {
            writeln!(f, "{name:<14}{count}")?;
        }
        for text in &self.failures {
            writeln!(f, "  {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_samples_are_bounded() {
        let board = Board::default();
        for ms in 1..=100 {
            board.first_text(Duration::from_millis(ms));
            board.delta();
        }
        board.next_text(Duration::from_secs(100_000));
        let mut report = Report::default();
        for n in 0..20 {
            let mut tally = Tally { sent: 2, answered: 1, ..Tally::default() };
            tally.runs.insert("complete".to_owned(), 1);
            tally.fail(format!("refused {n}"));
            tally.fail("the same".to_owned());
            report.add(tally);
        }
        report.finish(&board, Duration::from_secs(4));
        assert_eq!((report.sessions, report.sent, report.answered, report.faults.errors), (20, 40, 20, 40));
        assert_eq!(report.failures.len(), SAMPLES);
        assert!(
            (report.ttft.p50_ms - 50.0).abs() < 0.1 && (report.ttft.p99_ms - 99.0).abs() < 0.1,
            "{:?}",
            report.ttft
        );
        assert!((report.gap.max_ms - 3_600_000.0).abs() < 4000.0, "{:?}", report.gap);
        assert!((report.deltas_per_s - 25.0).abs() < f64::EPSILON);
        let text = report.to_string();
        for part in ["20 in 4.0 s", "40 sent, 20 answered", "20 complete", "errors        40", "refused 3"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!((json["errors"].as_u64(), json["lost"].as_u64()), (Some(40), Some(0)));
    }
}
