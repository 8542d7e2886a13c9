//! One attempt at one target, as a state machine: asked → preamble → committed → ended, under its clocks.
//!
//! The clocks of an attempt:
//! - *connect*: until the connection stands (kept by the endpoint's HTTP client);
//! - *first token*: from the start until the model says anything: visible text, or the first sign of reasoning. Heads,
//!   role chunks, empty deltas and comments that keep a connection alive are not something;
//! - *gap*: from then on, between two such signs. A model that reasons for minutes is at work and is not cut, a silent
//!   one is;
//! - *total*: the whole answer, reasoning included.
//!
//! Pure: knows no time but the one it is told.

use std::time::Duration;

use tokio::time::Instant;

use super::{Clock, ModelEvent, Stage};

/// What an endpoint tells of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Signal {
    /// The head of the answer came, and it is good.
    Head,
    /// A step of the answer.
    Model(ModelEvent),
}

/// The clocks of a target, without the connection's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) first_token: Duration,
    pub(super) gap: Duration,
    pub(super) total: Duration,
}

/// An attempt as far as it has come.
#[derive(Debug)]
pub(super) struct Attempt {
    stage: Stage,
    gap: Duration,
    total: Instant,
    /// The clock that a sign of life pushes on, and when it runs out.
    silence: (Instant, Clock),
}

impl Attempt {
    /// One that begins `now` and, whatever its own clocks say, has to end by `latest`.
    pub(super) fn start(clocks: Clocks, now: Instant, latest: Instant) -> Self {
        Self {
            stage: Stage::Asked,
            gap: clocks.gap,
            total: latest.min(now + clocks.total),
            silence: (now + clocks.first_token, Clock::FirstToken),
        }
    }

    /// How far it has come.
    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Takes a signal.
    pub(super) fn take(&mut self, signal: &Signal, now: Instant) {
        match signal {
            Signal::Head => self.stage = Stage::Preamble,
            Signal::Model(ModelEvent::Thinking(_)) => self.silence = (now + self.gap, Clock::Gap),
            Signal::Model(ModelEvent::Text(_)) => {
                self.silence = (now + self.gap, Clock::Gap);
                self.stage = Stage::Committed;
            }
            Signal::Model(ModelEvent::Finish(_)) => self.stage = Stage::Ended,
            Signal::Model(
                ModelEvent::Queued(_)
                | ModelEvent::Asked
                | ModelEvent::By(_)
                | ModelEvent::Usage(_)
                | ModelEvent::Failover(_),
            ) => {}
        }
    }

    /// Which clock runs out next, and when. None once the answer is whole: what may follow has a clock of its own.
    pub(super) fn deadline(&self) -> Option<(Instant, Clock)> {
        if self.stage == Stage::Ended {
            return None;
        }
        Some(if self.silence.0 < self.total { self.silence } else { (self.total, Clock::Total) })
    }

    /// The clock that has run out.
    pub(super) fn expired(&self, now: Instant) -> Option<Clock> {
        self.deadline().filter(|(at, _)| now >= *at).map(|(_, clock)| clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::FinishReason;

    const SECOND: Duration = Duration::from_secs(1);
    const CLOCKS: Clocks = Clocks { first_token: Duration::from_secs(3), gap: SECOND, total: Duration::from_secs(5) };

    fn text() -> Signal {
        Signal::Model(ModelEvent::Text("a".to_owned()))
    }

    #[test]
    fn the_clocks_run_one_after_the_other_under_the_total() {
        let start = Instant::now();
        let mut attempt = Attempt::start(CLOCKS, start, start + 60 * SECOND);
        assert_eq!(attempt.deadline(), Some((start + 3 * SECOND, Clock::FirstToken)));
        attempt.take(&Signal::Head, start + 2 * SECOND);
        assert_eq!(attempt.deadline(), Some((start + 3 * SECOND, Clock::FirstToken)), "a head is no sign of life");
        attempt.take(&text(), start + 2 * SECOND);
        assert_eq!(attempt.deadline(), Some((start + 3 * SECOND, Clock::Gap)));
        attempt.take(&text(), start + 4 * SECOND);
        assert_eq!(attempt.deadline(), Some((start + 5 * SECOND, Clock::Total)));
        assert_eq!(
            (attempt.expired(start + 4 * SECOND), attempt.expired(start + 5 * SECOND)),
            (None, Some(Clock::Total))
        );
    }

    #[test]
    fn the_runs_own_end_comes_before_an_attempts() {
        let start = Instant::now();
        let attempt = Attempt::start(CLOCKS, start, start + 2 * SECOND);
        assert_eq!(attempt.deadline(), Some((start + 2 * SECOND, Clock::Total)));
    }

    #[test]
    fn it_is_committed_by_visible_text_and_by_nothing_else() {
        let now = Instant::now();
        let mut attempt = Attempt::start(CLOCKS, now, now + 60 * SECOND);
        assert_eq!(attempt.stage(), Stage::Asked);
        attempt.take(&Signal::Head, now);
        attempt.take(&Signal::Model(ModelEvent::Thinking(2)), now);
        assert_eq!(attempt.stage(), Stage::Preamble);
        attempt.take(&text(), now);
        assert_eq!(attempt.stage(), Stage::Committed);
        attempt.take(&Signal::Model(ModelEvent::Thinking(2)), now);
        assert_eq!(attempt.stage(), Stage::Committed);
        attempt.take(&Signal::Model(ModelEvent::Finish(FinishReason::Stop)), now);
        assert_eq!((attempt.stage(), attempt.deadline()), (Stage::Ended, None));
    }
}
