//! How far an attempt has come, and when it is given up: asked → preamble → committed, under its clocks.
//!
//! The clocks of an attempt:
//! - *connect*: until the connection stands (kept by the endpoint's HTTP client);
//! - *first token*: from the start until the model says anything: visible text, or the first sign of reasoning. Heads,
//!   role chunks, empty deltas and comments that keep a connection alive are not something;
//! - *gap*: from then on, between two such signs. A model that reasons for minutes is at work and is not cut, a silent
//!   one is;
//! - *total*: the whole answer, reasoning included.
//!
//! Once an answer has finished and only its usage is expected, these stand still, and silence is its end. Pure: knows no
//! time but the one it is told.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{Clock, Stage};

/// How long a stream is read on after its finish, for usage and `[DONE]`.
const AFTER_FINISH: Duration = Duration::from_secs(2);

/// The clocks of a target, without the connection's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    pub(super) first_token: Duration,
    pub(super) gap: Duration,
    pub(super) total: Duration,
}

/// An attempt as far as it has come.
#[derive(Debug)]
pub(super) struct Progress {
    stage: Stage,
    gap: Duration,
    total: Instant,
    /// The clock that a sign of life pushes on, and when it runs out.
    silence: (Instant, Clock),
    /// It has finished; so long it is read on.
    rests_until: Option<Instant>,
}

/// What is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// This clock, and the attempt with it.
    Clock(Clock),
    /// The wait for what may follow a finish.
    Rest,
}

impl Progress {
    /// One that begins `now` and, whatever its own clocks say, has to end by `latest`.
    pub(super) fn start(clocks: Clocks, now: Instant, latest: Instant) -> Self {
        Self {
            stage: Stage::Asked,
            gap: clocks.gap,
            total: latest.min(now + clocks.total),
            silence: (now + clocks.first_token, Clock::FirstToken),
            rests_until: None,
        }
    }

    /// How far it has come.
    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// The head of the answer came.
    pub(super) const fn head(&mut self) {
        self.stage = Stage::Preamble;
    }

    /// The model is at work.
    pub(super) fn works(&mut self, now: Instant) {
        self.silence = (now + self.gap, Clock::Gap);
    }

    /// Text was passed on.
    pub(super) fn speaks(&mut self, now: Instant) {
        self.works(now);
        self.stage = Stage::Committed;
    }

    /// Whether nothing but usage is expected now.
    pub(super) fn rests(&mut self, rests: bool, now: Instant) {
        match self.rests_until {
            None if rests => self.rests_until = Some(now + AFTER_FINISH),
            Some(_) if !rests => self.rests_until = None,
            _ => {}
        }
    }

    /// When something is over next.
    pub(super) fn deadline(&self) -> Instant {
        self.rests_until.unwrap_or_else(|| self.silence.0.min(self.total))
    }

    /// What is over.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        if now < self.deadline() {
            return None;
        }
        Some(match self.rests_until {
            Some(_) => Due::Rest,
            None if self.silence.0 < self.total => Due::Clock(self.silence.1),
            None => Due::Clock(Clock::Total),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CLOCKS: Clocks = Clocks { first_token: Duration::from_secs(3), gap: SECOND, total: Duration::from_secs(5) };

    /// What is over next, and after how many seconds.
    fn next(progress: &Progress, start: Instant) -> (u64, Due) {
        let deadline = progress.deadline();
        assert_eq!(progress.due(deadline - Duration::from_nanos(1)), None);
        ((deadline - start).as_secs(), progress.due(deadline).unwrap())
    }

    #[test]
    fn the_clocks_run_one_after_the_other_under_the_total() {
        let start = Instant::now();
        let mut progress = Progress::start(CLOCKS, start, start + 60 * SECOND);
        assert_eq!(next(&progress, start), (3, Due::Clock(Clock::FirstToken)));
        progress.head();
        assert_eq!(next(&progress, start), (3, Due::Clock(Clock::FirstToken)), "a head is no sign of life");
        progress.speaks(start + 2 * SECOND);
        assert_eq!(next(&progress, start), (3, Due::Clock(Clock::Gap)));
        progress.works(start + 4 * SECOND);
        assert_eq!(next(&progress, start), (5, Due::Clock(Clock::Total)));
    }

    #[test]
    fn the_runs_own_end_comes_before_an_attempts() {
        let start = Instant::now();
        let progress = Progress::start(CLOCKS, start, start + 2 * SECOND);
        assert_eq!(next(&progress, start), (2, Due::Clock(Clock::Total)));
    }

    #[test]
    fn it_is_committed_by_visible_text_and_by_nothing_else() {
        let now = Instant::now();
        let mut progress = Progress::start(CLOCKS, now, now + 60 * SECOND);
        assert_eq!(progress.stage(), Stage::Asked);
        progress.head();
        progress.works(now);
        assert_eq!(progress.stage(), Stage::Preamble);
        progress.speaks(now);
        progress.works(now);
        assert_eq!(progress.stage(), Stage::Committed);
    }

    #[test]
    fn behind_a_finish_the_clocks_stand_still_until_text_comes_all_the_same() {
        let start = Instant::now();
        let mut progress = Progress::start(CLOCKS, start, start + 60 * SECOND);
        progress.speaks(start + 4 * SECOND);
        progress.rests(true, start + 4 * SECOND);
        progress.rests(true, start + 5 * SECOND);
        assert_eq!(next(&progress, start), (6, Due::Rest), "counted from the finish");
        progress.rests(false, start + 5 * SECOND);
        assert_eq!(next(&progress, start), (5, Due::Clock(Clock::Total)));
    }
}
