//! The one retry loop's decisions: what follows an attempt that failed before its first visible text. Pure: the time
//! and the dice are passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::error::{ModelError, Rejection};

/// Pauses grow from the first to at most the second; each is drawn from zero to that (full jitter), so that many
/// callers do not come back together.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How often and how long the same target is asked again.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryRule {
    /// Further attempts at a target.
    pub(super) retries: u32,
    /// From the start of a run, the time within which they begin.
    pub(super) within: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask the same target again, after a pause.
    Again(Duration),
    /// Ask the next target.
    Other,
    /// Ask nobody: the answer would be the same.
    Nobody,
}

impl RetryRule {
    /// What follows `error`, the outcome of the attempt number `attempt` (from 0) at a target, in a run that began at
    /// `started`. `dice` is drawn from 0 to 1.
    pub(super) fn after(self, error: &ModelError, attempt: u32, started: Instant, now: Instant, dice: f64) -> Next {
        let wait = match error {
            ModelError::Rejected { reason: Rejection::Filter, .. } => return Next::Nobody,
            // It would refuse again, or be silent for as long again.
            ModelError::Rejected { .. } | ModelError::Timeout { .. } => return Next::Other,
            // Not all in the same instant.
            ModelError::Unavailable { retry_after: Some(wait), .. } => {
                wait.saturating_add((*wait).min(PAUSE.1).mul_f64(0.1 * dice.clamp(0.0, 1.0)))
            }
            ModelError::Unavailable { .. } | ModelError::Unusable { .. } | ModelError::Truncated { .. } => {
                pause(attempt, dice)
            }
        };
        let fits = now.duration_since(started).checked_add(wait).is_some_and(|begins| begins <= self.within);
        if attempt < self.retries && fits { Next::Again(wait) } else { Next::Other }
    }
}

fn pause(attempt: u32, dice: f64) -> Duration {
    let (first, most) = PAUSE;
    first.saturating_mul(1 << attempt.min(16)).min(most).mul_f64(dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::llm::{Clock, Stage};

    const RULE: RetryRule = RetryRule { retries: 2, within: Duration::from_secs(15) };

    fn unavailable(retry_after: Option<u64>) -> ModelError {
        let retry_after = retry_after.map(Duration::from_secs);
        ModelError::Unavailable { target: "t".to_owned(), detail: String::new(), retry_after }
    }

    fn rejected(reason: Rejection) -> ModelError {
        ModelError::Rejected { target: "t".to_owned(), status: 400, detail: String::new(), reason }
    }

    fn after(error: &ModelError, attempt: u32, passed: u64) -> Next {
        let started = Instant::now();
        RULE.after(error, attempt, started, started + Duration::from_secs(passed), 0.5)
    }

    #[test]
    fn what_may_pass_is_tried_again_a_few_times() {
        assert_eq!(after(&unavailable(None), 0, 0), Next::Again(Duration::from_millis(100)));
        assert_eq!(after(&unavailable(None), 1, 0), Next::Again(Duration::from_millis(200)));
        assert_eq!(after(&unavailable(None), 2, 0), Next::Other);
        assert_eq!(after(&unavailable(None), 0, 15), Next::Other, "too late");
        let truncated = ModelError::Truncated { target: "t".to_owned(), detail: String::new() };
        assert_eq!(after(&truncated, 0, 0), Next::Again(Duration::from_millis(100)));
    }

    #[test]
    fn retry_after_is_kept_when_it_fits_and_else_somebody_else_is_asked() {
        assert_eq!(after(&unavailable(Some(7)), 0, 3), Next::Again(Duration::from_millis(7250)));
        assert_eq!(after(&unavailable(Some(13)), 0, 3), Next::Other);
        assert_eq!(after(&unavailable(Some(u64::MAX)), 0, 3), Next::Other);
    }

    #[test]
    fn silence_and_refusals_are_not_repeated() {
        for clock in [Clock::Connect, Clock::FirstToken] {
            let error = ModelError::Timeout { target: "t".to_owned(), clock, stage: Stage::Asked };
            assert_eq!(after(&error, 0, 0), Next::Other);
        }
        assert_eq!(after(&rejected(Rejection::Request), 0, 0), Next::Other);
        assert_eq!(after(&rejected(Rejection::ContextLength), 0, 0), Next::Other, "another one may take longer ones");
        assert_eq!(after(&rejected(Rejection::Filter), 0, 0), Next::Nobody);
    }

    proptest! {
        #[test]
        fn pauses_are_bounded(attempt: u32, dice in 0.0f64..=1.0) {
            prop_assert!(pause(attempt, dice) <= PAUSE.1);
            prop_assert!(pause(attempt, 1.0) >= PAUSE.0);
        }
    }
}
