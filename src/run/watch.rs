//! What a run tells about itself besides its events: how its span ends, its line in the log, and what the gateway itself
//! added to the first text.
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
use tracing::info;

use super::{event::RunEvent, request::RunRequest};
use crate::{
    chat::{Doing, Owner, Phase, RunId, SessionId, Usage},
    telemetry::{metrics::RUN_OVERHEAD, spans::RunSpan},
};

/// A run that is watched.
pub(super) struct Watched<S> {
    events: Pin<Box<S>>,
    subject: Subject,
    is_over: bool,
    /// Until the first text.
    watch: Option<Watch>,
    told: Told,
}

/// Whose run it is, and where its span is.
pub(super) struct Subject {
    span: RunSpan,
    session: Option<SessionId>,
    run: Option<RunId>,
    owner: Option<Owner>,
}

/// What its line in the log will say.
#[derive(Default)]
struct Told {
    begun: Option<Instant>,
    first_text: Option<Duration>,
    retrieval: Option<Duration>,
    model: Option<String>,
}

impl Watched<()> {
    /// Who is watched.
    pub(super) fn of(request: &RunRequest, span: RunSpan) -> Subject {
        let (session, run, owner) = (request.session.clone(), request.run.clone(), request.owner.clone());
        Subject { span, session, run, owner }
    }
}

impl Subject {
    /// Watches the run from its first poll on.
    pub(super) fn around<S>(self, events: S) -> Watched<S> {
        let (watch, told) = (Some(Watch::default()), Told::default());
        Watched { events: Box::pin(events), subject: self, is_over: false, watch, told }
    }
}

impl<S> Watched<S> {
    fn note(&mut self, event: &RunEvent) {
        let since = |begun: Option<Instant>| begun.map(|begun| begun.elapsed());
        match event {
            RunEvent::Retrieved { took, .. } => self.told.retrieval = Some(*took),
            RunEvent::By(author) => self.told.model = Some(author.model.to_string()),
            RunEvent::Text(_) if self.told.first_text.is_none() => self.told.first_text = since(self.told.begun),
            RunEvent::End(outcome) => {
                let error = outcome.error.as_ref().map(|error| &*error.code);
                self.end(outcome.status.as_str(), error, outcome.usage);
            }
            _ => {}
        }
    }

    fn end(&mut self, status: &'static str, error: Option<&str>, usage: Option<Usage>) {
        self.is_over = true;
        let Subject { span, session, run, owner } = &self.subject;
        span.ended(status, error);
        let millis = |time: Option<Duration>| time.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
        info!(
            session = session.as_ref().map(SessionId::as_str),
            run = run.as_ref().map(RunId::as_str),
            principal = owner.as_ref().map(Owner::digest),
            status,
            error,
            model = self.told.model,
            retrieval_ms = millis(self.told.retrieval),
            ttft_ms = millis(self.told.first_text),
            took_ms = millis(self.told.begun.map(|begun| begun.elapsed())),
            input_tokens = usage.map(|usage| usage.input),
            output_tokens = usage.map(|usage| usage.output),
            "a run ended"
        );
    }
}

impl<S: Stream<Item = RunEvent>> Stream for Watched<S> {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        self.told.begun.get_or_insert_with(Instant::now);
        if let Some(watch) = &mut self.watch {
            watch.works(Instant::now());
        }
        let polled = self.events.as_mut().poll_next(context);
        if let Poll::Ready(Some(event)) = &polled {
            self.note(event);
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
            self.end("cancelled", None, None);
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
