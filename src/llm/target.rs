//! One target: a model at a server, with its clocks, prices and breaker; and one attempt at it, watched and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    attempt::Attempt,
    breaker::{Breaker, BreakerRule, BreakerState, Permit, Verdict},
    clocks::Clocks,
    error::{Clock, ModelError, Rejection, TargetsError},
    ledger,
    model::TargetReport,
    openai::{Endpoint, EndpointConfig},
    pacer::{Need, Reservation},
    request::ChatRequest,
};
use crate::{chat::Owner, config::TargetSettings, telemetry::recorder};

/// Longer clocks are mistakes, and some would overflow.
const A_DAY: Duration = Duration::from_secs(86_400);

/// A model that can be asked.
#[derive(Debug)]
pub(super) struct Target {
    endpoint: Arc<Endpoint>,
    clocks: Clocks,
    prices: Option<(f64, f64)>,
    weight: Option<f64>,
    takes_tools: bool,
    /// It goes on with an answer that it is given the beginning of, as far as is known.
    continues: AtomicBool,
    standing: Mutex<Standing>,
}

/// What is known of a target from the runs that asked it.
#[derive(Debug)]
struct Standing {
    breaker: Breaker,
    last_failure: Option<&'static str>,
}

impl Target {
    /// Checks the settings; connects to nothing.
    pub(super) fn new(settings: TargetSettings, rule: BreakerRule) -> Result<Self, TargetsError> {
        let name = settings.name.clone();
        let seconds = |clock, seconds| clock_of(seconds).ok_or_else(|| TargetsError::Clock(name.clone(), clock));
        let clocks = Clocks {
            first_token: seconds("first_token_s", settings.first_token_s)?,
            gap: seconds("gap_s", settings.gap_s)?,
            total: seconds("total_s", settings.total_s)?,
        };
        let config = EndpointConfig {
            connect: seconds("connect_s", settings.connect_s)?,
            name: settings.name,
            provider: settings.provider,
            base_url: settings.base_url,
            api_key: settings.api_key,
            model: settings.model,
            headers: settings.headers,
            strip: settings.strip,
            begins_in_thought: settings.begins_in_thought,
        };
        let endpoint = Endpoint::new(config).map_err(|error| TargetsError::Endpoint(name.clone(), error))?;
        let standing = Mutex::new(Standing { breaker: Breaker::new(rule), last_failure: None });
        Ok(Self {
            endpoint: Arc::new(endpoint),
            clocks,
            prices: settings.prices,
            weight: settings.weight,
            takes_tools: settings.tools,
            continues: settings.continues.into(),
            standing,
        })
    }

    /// What errors, metrics and clients call it.
    pub(super) fn name(&self) -> &str {
        self.endpoint.name()
    }

    /// The model's name at the provider.
    pub(super) fn model(&self) -> &str {
        self.endpoint.model()
    }

    /// Its share of the runs among its neighbours in the list that have one.
    pub(super) const fn weight(&self) -> Option<f64> {
        self.weight
    }

    /// Whether it can be asked this, whatever it may be like now: one that knows no tools is told of none.
    pub(super) fn takes(&self, request: &ChatRequest) -> bool {
        self.takes_tools || !request.has_tools()
    }

    /// Whether it goes on with an answer that it is given the beginning of.
    pub(super) fn continues(&self) -> bool {
        self.continues.load(Ordering::Relaxed)
    }

    /// It refuses to go on.
    pub(super) fn does_not_continue(&self) {
        if self.continues.swap(false, Ordering::Relaxed) {
            tracing::info!(
                target_name = self.name(),
                "a target refuses to go on with an answer; it writes anew from now on"
            );
        }
    }

    /// Leave to ask it, for one run of `asker`. `None` while it is to be left alone.
    pub(super) fn admit(self: &Arc<Self>, asker: Option<&Owner>) -> Option<Admission> {
        let permit = self.change(|standing| standing.breaker.admit(asker, Instant::now()))?;
        Some(Admission { target: Arc::clone(self), permit, asker: asker.cloned(), is_settled: false })
    }

    /// Whether it is not to be left alone now.
    pub(super) fn may_be_asked(&self, asker: Option<&Owner>) -> bool {
        self.standing.lock().breaker.may_admit(asker, Instant::now())
    }

    /// How long its rate limit, as far as that is known, makes a request wait that comes now.
    pub(super) fn pause(&self, need: Need) -> Duration {
        self.endpoint.pacer().lock().wait(need, Instant::now())
    }

    /// Goes to the end of the line of those who wait for its rate limit.
    pub(super) fn line_up(&self, need: Need) -> Reservation {
        Reservation::in_line(self.endpoint.pacer(), need)
    }

    /// How it stands now.
    pub(super) fn report(&self) -> TargetReport {
        let (tokens_left, requests_left) = self.endpoint.pacer().lock().left(Instant::now());
        let standing = self.standing.lock();
        let breaker = standing.breaker.state();
        TargetReport {
            name: self.name().to_owned(),
            model: self.model().to_owned(),
            takes_tools: self.takes_tools,
            breaker,
            open_for: match breaker {
                BreakerState::Open(until) => Some(until.saturating_duration_since(Instant::now())),
                BreakerState::Closed | BreakerState::Probing => None,
            },
            failures: standing.breaker.failures(),
            last_failure: standing.last_failure,
            tokens_left: tokens_left.map(whole),
            requests_left: requests_left.map(whole),
        }
    }

    /// Begins its metrics.
    pub(super) fn publish(&self) {
        recorder::begin_known(&[("target", self.name())]);
        ledger::begin(&self.endpoint.call(), self.prices.is_some());
    }

    fn change<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        let mut standing = self.standing.lock();
        let before = standing.breaker.state();
        let result = change(&mut standing);
        let now = standing.breaker.state();
        if before != now {
            tracing::info!(target_name = self.name(), state = now.as_str(), "a breaker changed");
        }
        result
    }

    /// One attempt under its clocks, counted. It ends by `latest`, whatever the clocks say.
    pub(super) fn ask(&self, request: ChatRequest, reservation: Reservation, latest: Instant) -> Attempt {
        Attempt::new(&self.endpoint, self.prices, self.clocks, latest, request, reservation)
    }
}

/// Leave to ask a target, for one run. When it is dropped unsettled, the run was cancelled.
#[derive(Debug)]
pub(super) struct Admission {
    target: Arc<Target>,
    permit: Permit,
    asker: Option<Owner>,
    is_settled: bool,
}

impl Admission {
    /// The target answers.
    pub(super) fn begins(&self) {
        self.target.change(|standing| standing.breaker.begins(self.permit));
    }

    /// Its answer is whole.
    pub(super) fn succeeded(self) {
        self.settle(Verdict::Good, None);
    }

    /// All attempts of the run failed, the last one with `error`.
    pub(super) fn failed(self, error: &ModelError) {
        self.settle(verdict(error), Some(error.outcome()));
    }

    fn settle(mut self, verdict: Verdict, failure: Option<&'static str>) {
        self.is_settled = true;
        self.target.change(|standing| {
            standing.breaker.settle(self.permit, self.asker.as_ref(), verdict, Instant::now());
            standing.last_failure = failure;
        });
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.is_settled {
            let asker = self.asker.as_ref();
            self.target
                .change(|standing| standing.breaker.settle(self.permit, asker, Verdict::Unknown, Instant::now()));
        }
    }
}

/// What a failure says about the target: nothing, when the question is to blame, or the time that the whole run had.
fn verdict(error: &ModelError) -> Verdict {
    match error {
        ModelError::Rejected { reason: Rejection::Filter | Rejection::ContextLength | Rejection::Tools, .. }
        | ModelError::Unusable { .. }
        | ModelError::Timeout { clock: Clock::Total, .. } => Verdict::Unknown,
        // A key, an account or a model that is not there is the target's fault, and stays so.
        ModelError::Rejected { status: 401..=404, .. } => Verdict::Bad,
        ModelError::Rejected { status: 400..500, .. } => Verdict::Unknown,
        _ => Verdict::Bad,
    }
}

/// All of it that is there, in whole ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before, and saturating")]
fn whole(number: f64) -> u64 {
    number.floor().clamp(0.0, 1e15) as u64
}

/// Seconds as a clock takes them: more than none and at most a day.
pub(super) fn clock_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero() && *duration <= A_DAY)
}
