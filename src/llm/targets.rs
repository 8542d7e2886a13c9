//! The configured targets as one model: the first one that answers, answers.
//!
//! The one retry loop of the house. Until the first visible text nobody sees who is asked: an attempt that fails is
//! repeated at the same target or made at the next one, as `retry.rs` decides, within the time that the
//! whole answer has. A target whose breaker is open is passed by. After the first visible text, the next target takes
//! over once per answer, and everybody is told ([`Failover`](super::Failover)): it writes anew, or goes on where the text ends, when it
//! is declared able to. Until its own first text is there, nothing is withdrawn. Usage is that of all attempts together,
//! since each was paid for. Uses `chat`, `config`'s LLM section.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep};
use tracing::warn;

use self::shown::{Shown, Spent};
use super::{
    ChatModel, ChatRequest, FinishReason, ModelError, ModelEvent, ModelStream, Rejection, TargetReport,
    breaker::{BreakerRule, Trip},
    estimated_tokens,
    extractive::Extractive,
    openai::EndpointError,
    order,
    pacer::{Need, Reservation, Turn},
    retry::{Next, RetryRule},
    seam::Seam,
    target::{Target, clock_of},
};
use crate::{
    chat::Author,
    config::{Fallback, LlmConfig, TargetFault},
    telemetry::metrics::LLM_PACED,
};

mod shown;

/// Said before an answer of the fallback.
pub const FALLBACK_NOTICE: &str =
    "The language model cannot be reached. Here is what the documents say, in their own words:\n\n";

/// Who waits for a rate limit looks again after so long, at the least and at the most: those before it may leave.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// Why the configured targets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    /// A setting of a target cannot be.
    #[error("{} must be {}", .0.key(), .0.expected)]
    Setting(TargetFault),
    /// A clock that cannot run.
    #[error("{0}: {1} must be more than 0 seconds and at most a day")]
    Clock(String, &'static str),
    /// The endpoint cannot be used.
    #[error("{0}: {1}")]
    Endpoint(String, EndpointError),
}

/// The configured targets as one [`ChatModel`].
#[derive(Debug)]
pub struct Targets {
    /// What clients are told before anybody is asked: the first target's model.
    name: String,
    plan: Plan,
}

/// Who is asked, and how patiently.
#[derive(Debug, Clone)]
struct Plan {
    targets: Arc<[Arc<Target>]>,
    rule: RetryRule,
    /// For the whole answer, all attempts included.
    total: Duration,
    /// Who answers when nobody else does.
    fallback: Option<Extractive>,
}

impl Targets {
    /// Checks the configuration; connects to nothing. `None` when no target is configured.
    ///
    /// # Errors
    /// [`TargetsError`] when a target is configured that could never work.
    pub fn from_config(config: &LlmConfig) -> Result<Option<Self>, TargetsError> {
        let settled = config.settled_targets().map_err(TargetsError::Setting)?;
        let breaker = BreakerRule {
            trip: match config.breaker_rate {
                Some(share) => Trip::Rate { share, of: config.breaker_requests },
                None => Trip::InARow(config.breaker_failures),
            },
            open: clock_of(config.breaker_open_s)
                .ok_or_else(|| TargetsError::Clock("llm".to_owned(), "breaker_open_s"))?,
        };
        let targets = settled.into_iter().map(|one| Target::new(one, breaker).map(Arc::new));
        let targets: Arc<[_]> = targets.collect::<Result<_, _>>()?;
        let Some(first) = targets.first() else {
            return Ok(None);
        };
        targets.iter().for_each(|target| target.publish());
        let total = clock_of(config.total_s).ok_or_else(|| TargetsError::Clock("llm".to_owned(), "total_s"))?;
        let within = Duration::try_from_secs_f64(config.retry_s).unwrap_or(Duration::ZERO);
        Ok(Some(Self {
            name: first.model().to_owned(),
            plan: Plan {
                rule: RetryRule { retries: config.retries, within },
                fallback: (config.fallback == Fallback::Extractive).then(Extractive::default),
                targets,
                total,
            },
        }))
    }
}

impl ChatModel for Targets {
    fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        Box::pin(answer(self.plan.clone(), request))
    }

    fn targets(&self) -> Vec<TargetReport> {
        self.plan.targets.iter().map(|target| target.report()).collect()
    }
}

/// An answer of the first target that gives one.
fn answer(plan: Plan, request: ChatRequest) -> impl Stream<Item = Result<ModelEvent, ModelError>> + Send {
    async_stream::stream! {
        let started = Instant::now();
        let latest = started + plan.total;
        let mut spent = Spent::default();
        let mut shown = Shown::default();
        let mut last = None;
        let need = need_of(&request);
        let until = latest.min(started + plan.rule.within);
        let mut told = 0; // The place in line.
        let mut untried = plan.in_order();
        'targets: loop {
            untried.retain(|target| shown.may_be_joined_by(target, &request));
            let Some(target) = choose(&mut untried, need) else { break };
            untried.retain(|other| !Arc::ptr_eq(other, target));
            let mut reservation = target.line_up(need);
            let mut wait = Duration::ZERO;
            // The wait may grow while it lasts: others may use up more than they said.
            while let Turn::Wait(left, position) = reservation.turn(Instant::now()) {
                wait = left;
                if Instant::now() + wait > until {
                    break;
                }
                if std::mem::replace(&mut told, position) != position {
                    yield Ok(ModelEvent::Queued(position));
                }
                sleep(wait.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1)).await;
            }
            if reservation.is_waiting() {
                paced(target, "refused");
                last = last.or_else(|| Some(exhausted(target, wait)));
                continue;
            }
            if std::mem::take(&mut told) > 0 {
                paced(target, "waited");
                yield Ok(ModelEvent::Asked);
            }
            let Some(admission) = target.admit() else { continue };
            let mut attempt = 0;
            let failure = loop {
                let mut events = Box::pin(target.ask(shown.request(&request, target), reservation, latest));
                let mut seam = shown.seam(target);
                let mut is_committed = false;
                let mut failed = None;
                while let Some(event) = events.next().await {
                    let joined = match event {
                        Ok(ModelEvent::Usage(usage)) => {
                            yield Ok(ModelEvent::Usage(spent.with(usage)));
                            continue;
                        }
                        Ok(ModelEvent::Text(text)) => match &mut seam {
                            Some(seam) => seam.push(&text),
                            None => {
                                shown.text.push_str(&text);
                                if !std::mem::replace(&mut is_committed, true) {
                                    admission.begins();
                                    yield Ok(ModelEvent::By(Author::new(target.model())));
                                }
                                yield Ok(ModelEvent::Text(text));
                                continue;
                            }
                        },
                        Ok(ModelEvent::Finish(reason)) => {
                            if let Some(joined) = seam.as_mut().and_then(Seam::end) {
                                seam = None;
                                is_committed = true;
                                for event in shown.take_over(target, joined) {
                                    yield Ok(event);
                                }
                            }
                            yield Ok(ModelEvent::Finish(reason));
                            continue;
                        }
                        Ok(event) => {
                            yield Ok(event);
                            continue;
                        }
                        Err(error) => {
                            failed = Some(error);
                            continue;
                        }
                    };
                    if let Some(joined) = joined {
                        seam = None;
                        is_committed = true;
                        admission.begins();
                        for event in shown.take_over(target, joined) {
                            yield Ok(event);
                        }
                    }
                }
                drop(events);
                spent.close();
                let Some(error) = failed else {
                    admission.succeeded();
                    return;
                };
                if is_committed {
                    break error;
                }
                let now = Instant::now();
                match plan.rule.after(&error, attempt, started, now, rand::random()) {
                    Next::Again(pause) if now + pause < latest => {
                        warn!(%error, ?pause, "a model did not answer, asking it again");
                        sleep(pause).await;
                        attempt += 1;
                        reservation = target.line_up(need);
                        if !has_come(&mut reservation, until).await {
                            break error;
                        }
                    }
                    Next::Again(_) | Next::Other | Next::Nobody => break error,
                }
            };
            let is_filter = matches!(failure, ModelError::Rejected { reason: Rejection::Filter, .. });
            warn!(error = %failure, "a model did not answer, or not to the end");
            admission.failed(&failure);
            if is_filter {
                yield Ok(ModelEvent::Finish(FinishReason::Filtered));
                return;
            }
            let may_go_on = shown.broke_off(target, &failure);
            last = Some(failure);
            if !may_go_on || Instant::now() >= latest {
                break 'targets;
            }
        }
        // When an answer broke off and nobody took over, its own failure is the reason.
        let error = shown.failure.or(last).unwrap_or_else(|| plan.all_resting());
        let Some(fallback) = plan.fallback.filter(|_| shown.text.is_empty()) else {
            yield Err(error);
            return;
        };
        yield Ok(ModelEvent::By(Author::new(fallback.name())));
        yield Ok(ModelEvent::Text(FALLBACK_NOTICE.to_owned()));
        let mut events = fallback.stream(request);
        while let Some(event) = events.next().await {
            yield event.map(|event| match event {
                ModelEvent::Usage(usage) => ModelEvent::Usage(spent.with(usage)),
                event => event,
            });
        }
    }
}

/// Who is to be asked next of those that were not tried, which forgets those that are to be left alone: the first whose
/// rate limit allows it now, or else the one that makes wait shortest.
fn choose<'a>(untried: &mut Vec<&'a Arc<Target>>, need: Need) -> Option<&'a Arc<Target>> {
    untried.retain(|target| target.may_be_asked());
    let mut shortest: Option<(&'a Arc<Target>, Duration)> = None;
    for target in untried.iter().copied() {
        let wait = target.pause(need);
        if wait.is_zero() {
            if let Some((passed, _)) = shortest {
                paced(passed, "passed");
            }
            return Some(target);
        }
        if shortest.is_none_or(|(_, before)| wait < before) {
            shortest = Some((target, wait));
        }
    }
    shortest.map(|(target, _)| target)
}

/// Waits in line for a further attempt; false when that takes longer than `until`.
async fn has_come(reservation: &mut Reservation, until: Instant) -> bool {
    while let Turn::Wait(wait, _) = reservation.turn(Instant::now()) {
        if Instant::now() + wait > until {
            return false;
        }
        sleep(wait.clamp(LOOK_AGAIN.0, LOOK_AGAIN.1)).await;
    }
    true
}

/// What a request will use up of a rate limit: providers count the most that the answer may have.
fn need_of(request: &ChatRequest) -> Need {
    let prompt = request.prompt.iter().map(|message| message.content.len()).sum();
    Need::of(estimated_tokens(prompt).saturating_add(request.max_output_tokens))
}

fn paced(target: &Target, how: &'static str) {
    metrics::counter!(LLM_PACED, "target" => target.name().to_owned(), "how" => how).increment(1);
}

/// Nobody is asked: the answer would be a 429.
fn exhausted(target: &Target, wait: Duration) -> ModelError {
    ModelError::Unavailable {
        target: target.name().to_owned(),
        detail: "its rate limit is used up".to_owned(),
        retry_after: Some(wait),
    }
}

impl Plan {
    /// The targets, in the order in which this answer asks them.
    fn in_order(&self) -> Vec<&Arc<Target>> {
        let weights: Vec<_> = self.targets.iter().map(|target| target.weight()).collect();
        order::drawn(&weights, rand::random).into_iter().map(|at| &self.targets[at]).collect()
    }

    /// Every breaker is open.
    fn all_resting(&self) -> ModelError {
        let soonest = self.targets.iter().filter_map(|target| target.report().open_for).min();
        ModelError::Unavailable {
            target: "every target".to_owned(),
            detail: "failed too often and is left alone for a while".to_owned(),
            retry_after: soonest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, TargetConfig};

    fn config() -> LlmConfig {
        LlmConfig {
            base_url: Some("http://127.0.0.1:1/v1".to_owned()),
            model: Some("m".to_owned()),
            ..LlmConfig::default()
        }
    }

    #[test]
    fn configurations_that_cannot_work_are_refused() {
        let error = |config: &LlmConfig| Targets::from_config(config).err();
        assert!(Targets::from_config(&LlmConfig::default()).unwrap().is_none());
        assert_eq!(Targets::from_config(&config()).unwrap().unwrap().name(), "m");
        let missing = error(&LlmConfig { model: None, ..config() });
        assert!(missing.is_some_and(|error| error.to_string().starts_with("llm.model must be")));
        for seconds in [0.0, -1.0, 1e18, f64::NAN, f64::INFINITY] {
            let refused = Some(TargetsError::Clock("127.0.0.1:1".to_owned(), "gap_s"));
            assert_eq!(error(&LlmConfig { gap_s: seconds, ..config() }), refused);
        }
        let header = [("X-Team".to_owned(), Secret::new("a\nb"))].into();
        let target = TargetConfig {
            base_url: config().base_url,
            model: config().model,
            headers: header,
            ..TargetConfig::default()
        };
        let refused = error(&LlmConfig { targets: vec![target], ..LlmConfig::default() });
        assert_eq!(
            refused,
            Some(TargetsError::Endpoint("127.0.0.1:1".to_owned(), EndpointError::Header("X-Team".to_owned())))
        );
    }
}
