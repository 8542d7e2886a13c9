//! The configured targets as one model: the first one that answers, answers.
//!
//! The one retry loop of the house. Until the first visible text nobody sees who is asked: an attempt that fails is
//! repeated at the same target or made at the next one, as [`retry`](super::retry) decides, within the time that the
//! whole answer has. After the first visible text, a failure ends the answer. Usage is that of all attempts together,
//! since each was paid for. Uses `chat`, `config`'s LLM section.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    ChatModel, ChatRequest, FinishReason, ModelError, ModelEvent, ModelStream,
    openai::EndpointError,
    retry::{Next, RetryRule},
    target::{Target, clock_of},
};
use crate::{
    chat::Usage,
    config::{LlmConfig, TargetFault},
};

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
    list: Arc<[Arc<Target>]>,
    rule: RetryRule,
    /// For the whole answer, all attempts included.
    total: Duration,
}

impl Targets {
    /// Checks the configuration; connects to nothing. `None` when no target is configured.
    ///
    /// # Errors
    /// [`TargetsError`] when a target is configured that could never work.
    pub fn from_config(config: &LlmConfig) -> Result<Option<Self>, TargetsError> {
        let settled = config.settled_targets().map_err(TargetsError::Setting)?;
        let list: Arc<[_]> = settled.into_iter().map(|one| Target::new(one).map(Arc::new)).collect::<Result<_, _>>()?;
        let Some(first) = list.first() else {
            return Ok(None);
        };
        let total = clock_of(config.total_s).ok_or_else(|| TargetsError::Clock("llm".to_owned(), "total_s"))?;
        let within = Duration::try_from_secs_f64(config.retry_s).unwrap_or(Duration::ZERO);
        Ok(Some(Self {
            name: first.model().to_owned(),
            rule: RetryRule { retries: config.retries, within },
            list,
            total,
        }))
    }
}

impl ChatModel for Targets {
    fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        Box::pin(answer(Arc::clone(&self.list), self.rule, self.total, request))
    }
}

/// An answer of the first target that gives one.
fn answer(
    targets: Arc<[Arc<Target>]>,
    rule: RetryRule,
    total: Duration,
    request: ChatRequest,
) -> impl Stream<Item = Result<ModelEvent, ModelError>> + Send {
    async_stream::stream! {
        let started = Instant::now();
        let latest = started + total;
        let mut spent = Spent::default();
        let mut last = None;
        for target in targets.iter() {
            for attempt in 0.. {
                let mut events = Box::pin(target.ask(request.clone(), latest));
                let mut is_committed = false;
                let mut failed = None;
                while let Some(event) = events.next().await {
                    match event {
                        Ok(ModelEvent::Usage(usage)) => yield Ok(ModelEvent::Usage(spent.with(usage))),
                        Ok(event) => {
                            is_committed |= matches!(event, ModelEvent::Text(_));
                            yield Ok(event);
                        }
                        Err(error) => failed = Some(error),
                    }
                }
                spent.close();
                let Some(error) = failed else { return };
                if is_committed {
                    yield Err(error);
                    return;
                }
                let now = Instant::now();
                match rule.after(&error, attempt, started, now, rand::random()) {
                    Next::Again(pause) if now + pause < latest => {
                        warn!(%error, ?pause, "a model did not answer, asking it again");
                        drop(events);
                        sleep(pause).await;
                    }
                    Next::Again(_) | Next::Other => {
                        warn!(%error, "a model did not answer");
                        last = Some(error);
                        break;
                    }
                    Next::Nobody => {
                        warn!(%error, "a content filter refused a question");
                        yield Ok(ModelEvent::Finish(FinishReason::Filtered));
                        return;
                    }
                }
            }
            if Instant::now() >= latest {
                break;
            }
        }
        if let Some(error) = last {
            yield Err(error);
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
