//! One target: a model at a server, with its clocks and prices; and one attempt at it, watched and counted.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::{
    ChatRequest, ModelError, ModelEvent,
    attempt::{Attempt, Clocks, Signal},
    book::Book,
    openai::{Endpoint, EndpointConfig},
    targets::TargetsError,
};
use crate::config::TargetSettings;

/// Longer clocks are mistakes, and some would overflow.
const A_DAY: Duration = Duration::from_secs(86_400);

/// A model that can be asked.
#[derive(Debug)]
pub(super) struct Target {
    endpoint: Arc<Endpoint>,
    clocks: Clocks,
    prices: Option<(f64, f64)>,
}

impl Target {
    /// Checks the settings; connects to nothing.
    pub(super) fn new(settings: TargetSettings) -> Result<Self, TargetsError> {
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
            base_url: settings.base_url,
            api_key: settings.api_key,
            model: settings.model,
            headers: settings.headers,
            strip: settings.strip,
        };
        let endpoint = Endpoint::new(config).map_err(|error| TargetsError::Endpoint(name.clone(), error))?;
        Ok(Self { endpoint: Arc::new(endpoint), clocks, prices: settings.prices })
    }

    /// What errors, metrics and clients call it.
    pub(super) fn name(&self) -> &str {
        self.endpoint.name()
    }

    /// The model's name at the provider.
    pub(super) fn model(&self) -> &str {
        self.endpoint.model()
    }

    /// One attempt under its clocks, counted. It ends by `latest`, whatever the clocks say.
    pub(super) fn ask(
        self: &Arc<Self>,
        request: ChatRequest,
        latest: Instant,
    ) -> impl Stream<Item = Result<ModelEvent, ModelError>> + Send + use<> {
        let target = Arc::clone(self);
        async_stream::stream! {
            let mut book = Book::open(Arc::clone(&target.endpoint), target.prices, &request.prompt);
            let mut attempt = Attempt::start(target.clocks, book.started(), latest);
            let mut timer = pin!(sleep_until(attempt.deadline().map_or(latest, |(at, _)| at)));
            let mut signals = Box::pin(target.endpoint.attempt(request));
            let failed = loop {
                let signal = tokio::select! {
                    biased;
                    signal = signals.next() => signal,
                    () = &mut timer, if attempt.deadline().is_some() => {
                        // Put off only when it fires: most deadlines are overtaken by text and never looked at.
                        match (attempt.expired(Instant::now()), attempt.deadline()) {
                            (None, Some((deadline, _))) => timer.as_mut().reset(deadline),
                            (Some(clock), _) => break Some(target.timeout(clock, &attempt)),
                            (None, None) => {}
                        }
                        continue;
                    }
                };
                let signal = match signal {
                    Some(Ok(signal)) => signal,
                    Some(Err(error)) => break Some(error),
                    None => break None,
                };
                let now = Instant::now();
                let is_news = attempt.take(&signal, now);
                if let Some((deadline, _)) = attempt.deadline()
                    && deadline < timer.deadline()
                {
                    timer.as_mut().reset(deadline);
                }
                if let Signal::Model(event) = signal {
                    book.note(&event);
                    if is_news {
                        yield Ok(event);
                    }
                }
                // Text that is always there would keep the timer from its turn.
                if let Some(clock) = attempt.expired(now) {
                    break Some(target.timeout(clock, &attempt));
                }
            };
            drop(signals);
            if let Some(usage) = book.close(failed.as_ref()) {
                yield Ok(ModelEvent::Usage(usage));
            }
            if let Some(error) = failed {
                yield Err(error);
            }
        }
    }

    fn timeout(&self, clock: super::Clock, attempt: &Attempt) -> ModelError {
        ModelError::Timeout { target: self.name().to_owned(), clock, stage: attempt.stage() }
    }
}

/// Seconds as a clock takes them: more than none and at most a day.
pub(super) fn clock_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero() && *duration <= A_DAY)
}
