//! A set of keys that a maker of tokens publishes, as it is now: fetched at the start, from time to time, and when somebody
//! has a token of a key that is not in it. The only file here that asks others.
//!
//! Many who ask cause one fetch, and another one only after a while: so tokens with invented names of keys cost next to
//! nothing, and nobody else waits for them. What was fetched stays when it cannot be fetched again, but not for ever: whoever
//! keeps the gateway from the publisher would keep a key good that was taken back.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use parking_lot::{Mutex, RwLock};
use reqwest::{Client, StatusCode, Url, header, redirect::Policy};
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::key_set::{KeySet, MAX_BYTES, SetFault};
use crate::{config::is_loopback, llm, telemetry::metrics::JWKS_FETCHES};

/// How often a set is fetched, and how long it is good.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// By then a key that was taken out of it is not good any more.
    refreshed_every: Duration,
    /// How soon again when that failed.
    repeated_after: Duration,
    /// How often at most because somebody asked.
    asked_every: Duration,
    /// How long the keys are good that were fetched last.
    stale_for: Duration,
    /// How long one fetch may take.
    fetch_time: Duration,
}

const PACE: Pace = Pace {
    refreshed_every: Duration::from_secs(15 * 60),
    repeated_after: Duration::from_secs(30),
    asked_every: Duration::from_secs(30),
    stale_for: Duration::from_secs(24 * 3600),
    fetch_time: Duration::from_secs(10),
};
/// How long until the connection stands.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The most who wait for a fetch; who comes then is refused at once.
const MAX_WAITING: usize = 1000;

/// Why there is no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address.
    #[error("it is no address: {0}")]
    Address(String),
    /// There was no answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// It answered something else. Redirections are not followed: whoever could make one would choose the keys.
    #[error("the answer was {0}")]
    Status(StatusCode),
    /// It does not end.
    #[error("the answer has more than {} KiB", MAX_BYTES >> 10)]
    TooLarge,
    /// It took too long.
    #[error("the answer was not there within {} seconds", PACE.fetch_time.as_secs())]
    TooSlow,
    /// It is something else.
    #[error("{0}")]
    Set(#[from] SetFault),
}

/// How a set stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceState {
    /// It was there when it was asked for last.
    Ready,
    /// It was not, and the keys known from before are good.
    Stale,
    /// There are none: it has not been there yet, or not for too long.
    #[default]
    Missing,
}

impl SourceState {
    /// As reports have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Missing => "missing",
        }
    }
}

/// A set of keys and the address at which it is published.
#[derive(Debug)]
pub struct KeySource {
    /// As it is set.
    address: String,
    url: Url,
    client: Client,
    pace: Pace,
    known: RwLock<Known>,
    asking: Mutex<Asking>,
    wanted: Notify,
    /// Counts the fetches that have ended.
    rounds: watch::Sender<u64>,
    waiting: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<KeySet>,
    fetched_at: Option<Instant>,
    state: SourceState,
    /// Whether it was told that there are none.
    is_told: bool,
}

#[derive(Debug)]
struct Asking {
    /// From when on the next fetch may be asked for.
    again_at: Option<Instant>,
    is_under_way: bool,
}

/// Waits for fetches to end.
pub(super) struct Rounds<'a> {
    ended: watch::Receiver<u64>,
    _place: SemaphorePermit<'a>,
}

impl Rounds<'_> {
    /// Waits for the end of the next one; `false` when there will be none.
    pub(super) async fn ended(&mut self) -> bool {
        self.ended.changed().await.is_ok()
    }
}

impl KeySource {
    /// A set at this address, which has been checked. Nothing is fetched yet; the first fetch is awaited from now on.
    ///
    /// # Errors
    /// [`FetchError::Address`]
    pub fn new(address: &str) -> Result<Self, FetchError> {
        let url = Url::parse(address).map_err(|error| FetchError::Address(error.to_string()))?;
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIME)
            .redirect(Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("rivulet/", env!("CARGO_PKG_VERSION")));
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| FetchError::Address(error.to_string()))?;
        Ok(Self {
            address: address.to_owned(),
            url,
            client,
            pace: PACE,
            known: RwLock::default(),
            asking: Mutex::new(Asking { again_at: None, is_under_way: true }),
            wanted: Notify::new(),
            rounds: watch::Sender::new(0),
            waiting: Semaphore::new(MAX_WAITING),
        })
    }

    /// A set that is known already and nobody fetches.
    #[cfg(test)]
    pub(super) fn holding(set: KeySet) -> Self {
        let source = Self::new("http://127.0.0.1:9").expect("an address");
        source.take(Ok(set));
        source
    }

    /// Its address, as it is set.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The keys, as long as they are good.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        let known = self.known.read();
        if known.is_good(self.pace) { known.keys.clone() } else { Arc::default() }
    }

    /// How it stands, and how many keys there are.
    #[must_use]
    pub fn state(&self) -> (SourceState, usize) {
        let known = self.known.read();
        if known.is_good(self.pace) { (known.state, known.keys.len()) } else { (SourceState::Missing, 0) }
    }

    /// A place among those who wait, unless there are too many.
    pub(super) fn rounds(&self) -> Option<Rounds<'_>> {
        let place = self.waiting.try_acquire().ok()?;
        Some(Rounds { ended: self.rounds.subscribe(), _place: place })
    }

    /// Asks for a fetch; whether one is under way now.
    pub(super) fn ask(&self, now: Instant) -> bool {
        let mut asking = self.asking.lock();
        if asking.is_under_way {
            return true;
        }
        if asking.again_at.is_some_and(|again_at| now < again_at) {
            return false;
        }
        asking.again_at = Some(now + self.pace.asked_every);
        asking.is_under_way = true;
        self.wanted.notify_one();
        true
    }

    /// Keeps the set up to date until `stop`.
    pub async fn keep(&self, stop: CancellationToken) {
        let keeping = async {
            loop {
                self.refresh().await;
                let (state, _) = self.state();
                let is_ready = state == SourceState::Ready;
                let pause = if is_ready { self.pace.refreshed_every } else { self.pace.repeated_after };
                // Until then, or until somebody asks.
                let _: Result<(), _> = timeout(pause, self.wanted.notified()).await;
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    async fn refresh(&self) {
        self.asking.lock().is_under_way = true;
        let fetched = self.fetch().await;
        let outcome = if fetched.is_ok() { "taken" } else { "failed" };
        metrics::counter!(JWKS_FETCHES, "outcome" => outcome).increment(1);
        self.take(fetched);
        self.asking.lock().is_under_way = false;
        self.rounds.send_modify(|rounds| *rounds = rounds.wrapping_add(1));
    }

    /// Fetches the set once, and says how many keys it has and how many were left out.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn probe(&self) -> Result<(usize, usize), FetchError> {
        self.fetch().await.map(|set| (set.len(), set.left_out()))
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        timeout(self.pace.fetch_time, self.fetch_in_time()).await.unwrap_or(Err(FetchError::TooSlow))
    }

    async fn fetch_in_time(&self) -> Result<KeySet, FetchError> {
        let request = self.client.get(self.url.clone()).header(header::ACCEPT, "application/json");
        let response = request.send().await.map_err(no_answer)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let (mut text, mut body) = (Vec::new(), response.bytes_stream());
        while let Some(bytes) = body.next().await {
            text.extend_from_slice(&bytes.map_err(no_answer)?);
            if text.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
        }
        Ok(KeySet::parse(&text)?)
    }

    /// Takes what a fetch brought. What changes is told, and what stays as it was is not told again.
    fn take(&self, fetched: Result<KeySet, FetchError>) {
        let mut known = self.known.write();
        match fetched {
            Ok(set) => {
                let is_news = known.state != SourceState::Ready
                    || (set.len(), set.left_out()) != (known.keys.len(), known.keys.left_out());
                if is_news {
                    info!(keys = set.len(), left_out = set.left_out(), "the keys of auth.jwks_url are there");
                }
                let (fetched_at, state) = (Some(Instant::now()), SourceState::Ready);
                *known = Known { keys: Arc::new(set), fetched_at, state, is_told: false };
            }
            Err(error) if known.is_good(self.pace) => {
                if known.state == SourceState::Ready {
                    let hours = self.pace.stale_for.as_secs() / 3600;
                    warn!(%error, hours, "the keys of auth.jwks_url cannot be fetched: those known stay good for a while");
                }
                known.state = SourceState::Stale;
            }
            Err(error) => {
                if !std::mem::replace(&mut known.is_told, true) {
                    error!(%error, "there are no keys of auth.jwks_url: tokens that need one are refused");
                }
                known.state = SourceState::Missing;
            }
        }
    }
}

impl Known {
    fn is_good(&self, pace: Pace) -> bool {
        self.fetched_at.is_some_and(|at| at.elapsed() < pace.stale_for)
    }
}

fn no_answer(error: reqwest::Error) -> FetchError {
    FetchError::NoAnswer(llm::innermost(error))
}

#[cfg(test)]
mod tests;
