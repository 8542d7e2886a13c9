//! What the plain load does not show: many idle sockets, all sockets cut at once, all runs stopped, readers that do not
//! read, and the delay of every token, measured with the smallest client there is.
//!
//! A scenario says on the way what it has come to (`stage`), so that whoever measures a process knows when.
//! `stream.rs` and `model.rs` speak so little that other servers than the gateway can be measured with them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Endpoint, LoadError,
    report::{Quantiles, SAMPLES, histogram, micros},
    resolve,
};

mod client;
mod idle;
mod model;
mod stalled;
mod stamped;
mod stop;
mod storm;
mod stream;

/// What is done to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Questions of the smallest client; the delay of every token. Needs `mock-llm --stamped`
    Stream,
    /// The same, asked of the model's server at --url itself: what everything else adds to
    Model,
    /// Sockets that say nothing for --hold seconds
    Idle,
    /// Every socket cut at once in the middle of an answer, and resumed
    Storm,
    /// Every run stopped; the time until the mock model at --model notices
    Stop,
    /// Questions whose answers nobody reads, for --hold seconds
    Stalled,
}

/// A scenario and its size.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is done.
    pub scenario: Scenario,
    /// To which gateway.
    pub endpoint: Endpoint,
    /// How many conversations at the same time.
    pub sessions: usize,
    /// Sockets on each conversation; `Stream` only.
    pub viewers: usize,
    /// Questions in each, one after the other; the other scenarios ask one, `Stalled` asks all at once.
    pub messages: usize,
    /// What is asked; a number is put behind it, for no two questions to be the same.
    pub text: String,
    /// Tokens that every answer must have; `None`: whatever comes.
    pub tokens: Option<u64>,
    /// Over how long sockets are connected, and then over how long questions are asked (`Stop`: runs stopped).
    pub ramp: Duration,
    /// How long `Idle` and `Stalled` last.
    pub hold: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// The mock model's server, which knows when a run was cancelled.
    pub model: Option<Endpoint>,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Of which scenario.
    pub scenario: Scenario,
    /// How many conversations.
    pub sessions: usize,
    /// Names and values; times are in milliseconds.
    #[serde(flatten)]
    pub figures: BTreeMap<&'static str, Value>,
    /// How often something happened that must not.
    pub faults: u64,
    /// Some of it, in words.
    pub failures: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{}", "sessions", self.sessions)?;
        for (name, value) in &self.figures {
            write!(f, "{name:<16}")?;
            match value.as_object() {
                Some(object) => object.iter().try_for_each(|(name, value)| write!(f, "{name} {value}  "))?,
                None => write!(f, "{value}")?,
            }
            writeln!(f)?;
        }
        writeln!(f, "{:<16}{}", "faults", self.faults)?;
        self.failures.iter().try_for_each(|text| writeln!(f, "  {text}"))
    }
}

/// Plays a scenario to its end; `stage` is told when it has come so far that measuring makes sense.
///
/// # Errors
/// [`LoadError`] when it could not even begin; whatever goes wrong later is in the outcome.
pub async fn run(job: Job, stage: impl Fn(&str)) -> Result<Outcome, LoadError> {
    let address = resolve(&job.endpoint).await?;
    let job = Arc::new(job);
    let seen = Arc::new(Seen::default());
    let started = Instant::now();
    match job.scenario {
        Scenario::Stream => stream::run(&job, address, &seen, &stage).await,
        Scenario::Model => model::run(&job, &seen, &stage).await?,
        Scenario::Idle => idle::run(&job, address, &seen, &stage).await,
        Scenario::Storm => storm::run(&job, address, &seen, &stage).await,
        Scenario::Stop => stop::run(&job, address, &seen, &stage).await?,
        Scenario::Stalled => stalled::run(&job, address, &seen, &stage).await,
    }
    seen.figure("seconds", started.elapsed().as_secs_f64());
    Ok(seen.outcome(&job))
}

/// What all sessions of a scenario write to.
#[derive(Default)]
struct Seen {
    tokens: AtomicU64,
    faults: AtomicU64,
    failures: Mutex<Vec<String>>,
    times: Mutex<BTreeMap<&'static str, Histogram<u64>>>,
    figures: Mutex<BTreeMap<&'static str, Value>>,
}

impl Seen {
    fn time(&self, name: &'static str, time: Duration) {
        self.times.lock().entry(name).or_insert_with(histogram).saturating_record(micros(time));
    }

    fn figure(&self, name: &'static str, value: impl Into<Value>) {
        self.figures.lock().insert(name, value.into());
    }

    fn fault(&self, text: impl Into<String>) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock();
        let text = text.into();
        if failures.len() < SAMPLES && !failures.contains(&text) {
            failures.push(text);
        }
    }

    fn outcome(&self, job: &Job) -> Outcome {
        let mut figures = std::mem::take(&mut *self.figures.lock());
        for (name, histogram) in self.times.lock().iter() {
            figures.insert(name, serde_json::to_value(Quantiles::of(histogram)).unwrap_or_default());
        }
        let tokens = self.tokens.load(Ordering::Relaxed);
        if tokens > 0 {
            figures.insert("tokens", tokens.into());
        }
        Outcome {
            scenario: job.scenario,
            sessions: job.sessions,
            figures,
            faults: self.faults.load(Ordering::Relaxed),
            failures: self.failures.lock().clone(),
        }
    }
}

/// Where the sessions of a scenario wait for one another, and the scenario for them.
struct Together {
    tasks: JoinSet<()>,
    barrier: Arc<Barrier>,
}

impl Together {
    /// One task per session. Each must come to every barrier that the scenario comes to, whatever befalls it.
    fn start<F: Future<Output = ()> + Send + 'static>(
        sessions: usize,
        session: impl Fn(usize, Arc<Barrier>) -> F,
    ) -> Self {
        let barrier = Arc::new(Barrier::new(sessions + 1));
        let mut tasks = JoinSet::new();
        for index in 0..sessions {
            tasks.spawn(session(index, Arc::clone(&barrier)));
        }
        Self { tasks, barrier }
    }

    async fn arrived(&self) -> Instant {
        self.barrier.wait().await;
        Instant::now()
    }

    async fn over(mut self, seen: &Seen) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                seen.fault(format!("a session of the load generator failed: {error}"));
            }
        }
    }
}

/// Spreads sessions over a time.
async fn spread(over: Duration, index: usize, of: usize) {
    sleep(over.mul_f64(index as f64 / of.max(1) as f64)).await;
}

/// Microseconds of the wall clock, which is the same in every process of a machine.
fn wall_clock_us() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
