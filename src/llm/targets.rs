//! The configured targets as one model: the first one that answers, answers.
//!
//! The one retry loop of the house. Until the first visible text nobody sees who is asked: an attempt that fails is
//! repeated at the same target or made at the next one, as [`retry`](super::retry) decides, within the time that the
//! whole answer has. A target whose breaker is open is passed by. After the first visible text, a failure ends the answer. Usage is that of all attempts together,
//! since each was paid for. Uses `chat`, `config`'s LLM section.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    ChatModel, ChatRequest, FinishReason, ModelError, ModelEvent, ModelStream, TargetReport,
    breaker::{BreakerRule, Trip},
    extractive::Extractive,
    openai::EndpointError,
    retry::{Next, RetryRule},
    target::{Target, clock_of},
};
use crate::{
    chat::Usage,
    config::{Fallback, LlmConfig, TargetFault},
};

/// Said before an answer of the fallback.
pub const FALLBACK_NOTICE: &str =
    "The language model cannot be reached. Here is what the documents say, in their own words:\n\n";

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
        let mut last = None;
        'targets: for target in plan.targets.iter() {
            let Some(admission) = target.admit() else { continue };
            let mut attempt = 0;
            let failure = loop {
                let mut events = Box::pin(target.ask(request.clone(), latest));
                let mut is_committed = false;
                let mut failed = None;
                while let Some(event) = events.next().await {
                    match event {
                        Ok(ModelEvent::Usage(usage)) => yield Ok(ModelEvent::Usage(spent.with(usage))),
                        Ok(event) => {
                            if matches!(event, ModelEvent::Text(_)) && !std::mem::replace(&mut is_committed, true) {
                                admission.begins();
                            }
                            yield Ok(event);
                        }
                        Err(error) => failed = Some(error),
                    }
                }
                drop(events);
                spent.close();
                let Some(error) = failed else {
                    admission.succeeded();
                    return;
                };
                if is_committed {
                    admission.failed(&error);
                    yield Err(error);
                    return;
                }
                let now = Instant::now();
                match plan.rule.after(&error, attempt, started, now, rand::random()) {
                    Next::Again(pause) if now + pause < latest => {
                        warn!(%error, ?pause, "a model did not answer, asking it again");
                        sleep(pause).await;
                        attempt += 1;
                    }
                    Next::Again(_) | Next::Other => break error,
                    Next::Nobody => {
                        warn!(%error, "a content filter refused a question");
                        yield Ok(ModelEvent::Finish(FinishReason::Filtered));
                        return;
                    }
                }
            };
            warn!(error = %failure, "a model did not answer");
            admission.failed(&failure);
            last = Some(failure);
            if Instant::now() >= latest {
                break 'targets;
            }
        }
        let error = last.unwrap_or_else(|| plan.all_resting());
        let Some(fallback) = plan.fallback else {
            yield Err(error);
            return;
        };
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

impl Plan {
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

/// What all attempts of an answer cost together.
#[derive(Debug, Default)]
struct Spent {
    before: Option<Usage>,
    newest: Option<Usage>,
}

impl Spent {
    /// All of it, when the attempt in progress says that it cost `usage`.
    fn with(&mut self, usage: Usage) -> Usage {
        self.newest = Some(usage);
        self.before.map_or(usage, |before| Usage {
            input: before.input.saturating_add(usage.input),
            output: before.output.saturating_add(usage.output),
            estimated: before.estimated || usage.estimated,
        })
    }

    /// The attempt is over.
    fn close(&mut self) {
        if let Some(usage) = self.newest {
            self.before = Some(self.with(usage));
            self.newest = None;
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

    #[test]
    fn all_attempts_are_paid_for() {
        let usage = |input, output, estimated| Usage { input, output, estimated };
        let mut spent = Spent::default();
        spent.close();
        assert_eq!(spent.with(usage(1, 2, true)), usage(1, 2, true));
        assert_eq!(spent.with(usage(1, 3, false)), usage(1, 3, false), "the last one of an attempt counts");
        spent.close();
        assert_eq!(spent.with(usage(10, 20, true)), usage(11, 23, true));
        spent.close();
        assert_eq!(spent.with(usage(1, 1, false)), usage(12, 24, true));
    }
}
