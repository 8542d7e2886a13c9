//! The configured targets as one model: the first one that answers, answers. Uses `config`'s LLM section.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;

use self::{answer::Answer, plan::Plan};
use super::{
    breaker::{BreakerRule, Trip},
    error::TargetsError,
    model::{ChatModel, ModelStream, TargetReport},
    request::ChatRequest,
    retry::RetryRule,
    stand_in::StandIn,
    target::{Target, clock_of},
};
use crate::config::{Fallback, LlmConfig};

mod answer;
mod plan;
mod shown;
mod turns;

pub use super::stand_in::FALLBACK_NOTICE;

/// The configured targets as one [`ChatModel`].
#[derive(Debug)]
pub struct Targets {
    /// What clients are told before anybody is asked: the first target's model.
    name: Arc<str>,
    plan: Plan,
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
        let stand_in = StandIn::default();
        Ok(Some(Self {
            name: first.model().into(),
            plan: Plan {
                rule: RetryRule { retries: config.retries, within },
                fallback: (config.fallback == Fallback::Extractive).then(|| stand_in.clone()),
                stand_in,
                targets,
                total,
            },
        }))
    }
}

impl ChatModel for Targets {
    fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    fn stream(&self, request: ChatRequest) -> ModelStream {
        Answer::new(self.plan.narrowed(&request.choice), request).boxed()
    }

    fn targets(&self) -> Vec<TargetReport> {
        self.plan.targets.iter().map(|target| target.report()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Secret, TargetConfig},
        llm::error::EndpointError,
    };

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
        assert_eq!(Targets::from_config(&config()).unwrap().unwrap().name().as_ref(), "m");
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
