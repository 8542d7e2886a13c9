//! What a run tells about itself besides its events: how its span ends, and what the gateway itself added to the first
//! text.
//!
//! A stream around the run's. Until the first text, time passes while the run is polled, which is work, or while it is
//! not, which is waiting: for the model's server, and in the pauses between attempts, however many there are. So the
//! two are told apart without a word from below, and a failed attempt cannot be taken for the gateway's work. After the
//! first text nothing is measured. Uses `telemetry`, `chat`.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use tokio::time::Instant;

use super::event::RunEvent;
use crate::{
    chat::{Doing, Phase},
    telemetry::{metrics::RUN_OVERHEAD, spans::RunSpan},
};

/// A run that is watched.
pub(super) struct Watched<S> {
    events: Pin<Box<S>>,
    span: RunSpan,
    is_over: bool,
    /// Until the first text.
    watch: Option<Watch>,
}

impl<S> Watched<S> {
    /// Watches a run from its first poll on.
    pub(super) fn new(events: S, span: RunSpan) -> Self {
        Self { events: Box::pin(events), span, is_over: false, watch: Some(Watch::default()) }
    }
}

impl<S: Stream<Item = RunEvent>> Stream for Watched<S> {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        if let Some(watch) = &mut self.watch {
            watch.works(Instant::now());
        }
        let polled = self.events.as_mut().poll_next(context);
        if let Poll::Ready(Some(RunEvent::End(outcome))) = &polled {
            self.is_over = true;
            self.span.ended(outcome.status.as_str(), outcome.error.as_ref().map(|error| error.code));
        }
        if let Some(watch) = &mut self.watch {
            match &polled {
                Poll::Pending => watch.waits(Instant::now()),
                // Its turn has come: what it waited for that is nobody's work.
                Poll::Ready(Some(RunEvent::Doing(Doing { phase: Phase::Retrieving, .. }))) => {
                    *watch = Watch::default();
                    watch.works(Instant::now());
                }
                Poll::Ready(Some(RunEvent::Retrieved { took, .. })) => watch.retrieved(*took),
                Poll::Ready(Some(RunEvent::Text(_))) => {
                    metrics::histogram!(RUN_OVERHEAD, "part" => "retrieval").record(watch.retrieval);
                    metrics::histogram!(RUN_OVERHEAD, "part" => "gateway").record(watch.worked(Instant::now()));
                    self.watch = None;
                }
                Poll::Ready(_) => {}
            }
        }
        polled
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        if !self.is_over {
            self.span.ended("cancelled", None);
        }
    }
}

/// What the time until the first text is spent on. Knows no time but the one it is told.
#[derive(Debug, Default)]
struct Watch {
    begun: Option<Instant>,
    waiting_since: Option<Instant>,
    /// Without the retrieval's own.
    waited: Duration,
    retrieval: Duration,
}

impl Watch {
    fn works(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
        if let Some(since) = self.waiting_since.take() {
            self.waited += now - since;
        }
    }

    const fn waits(&mut self, now: Instant) {
        self.waiting_since = Some(now);
    }

    const fn retrieved(&mut self, took: Duration) {
        self.retrieval = took;
        self.waited = Duration::ZERO;
    }

    /// Neither retrieval nor waiting.
    fn worked(&self, now: Instant) -> Duration {
        let all = self.begun.map_or(Duration::ZERO, |begun| now - begun);
        all.saturating_sub(self.retrieval).saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waiting_is_not_work_however_often_it_is_interrupted() {
        let start = Instant::now();
        let mut watch = Watch::default();
        watch.works(start);
        watch.waits(start + MS);
        watch.works(start + 9 * MS); // 8 ms of the retrieval's 10
        watch.retrieved(10 * MS);
        watch.works(start + 10 * MS);
        watch.waits(start + 12 * MS); // 2 ms for the request
        watch.works(start + 50 * MS); // a failed attempt
        watch.waits(start + 50 * MS);
        watch.works(start + 150 * MS); // a pause
        watch.waits(start + 151 * MS); // 1 ms for the next request
        watch.works(start + 251 * MS);
        assert_eq!(watch.worked(start + 254 * MS), 6 * MS, "2 + 1 + 3 for the answer's first piece");
        assert_eq!(watch.retrieval, 10 * MS);
    }
}
