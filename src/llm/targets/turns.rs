//! A target's turns at one answer, and who has the first ones.

use std::{sync::Arc, time::Duration};

use crate::{
    llm::{
        attempt::Attempt,
        error::ModelError,
        pacer::Need,
        request::ChatRequest,
        seam::Seam,
        target::{Admission, Target},
        tokens::estimated_tokens,
    },
    telemetry::metrics::LLM_PACED,
};

/// A target's turns at this answer.
pub(super) struct Turns {
    pub(super) target: Arc<Target>,
    /// None before its first attempt.
    pub(super) admission: Option<Admission>,
    /// How many of them failed.
    pub(super) failed: u32,
    /// How the last one failed.
    pub(super) error: Option<ModelError>,
    /// Whether it is given the beginning that there is, to go on with.
    pub(super) continues: bool,
    /// It has just refused to go on.
    pub(super) has_refused: bool,
}

/// An attempt under way.
pub(super) struct Asking {
    pub(super) turns: Turns,
    pub(super) attempt: Attempt,
    /// How its text is joined to what was there before; None once that is done.
    pub(super) seam: Option<Seam>,
    /// Text of it was passed on.
    pub(super) is_committed: bool,
    pub(super) has_finished: bool,
    pub(super) failure: Option<ModelError>,
}

impl Asking {
    /// Text of it is passed on from now on.
    pub(super) fn commit(&mut self) {
        self.is_committed = true;
        if let Some(admission) = &self.turns.admission {
            admission.begins();
        }
        if self.turns.has_refused {
            self.turns.target.does_not_continue();
        }
    }
}

/// Who is to be asked next of those that were not tried: the first whose rate limit allows it now, or else the one that
/// makes wait shortest.
pub(super) fn first_to_ask(untried: &[Arc<Target>], need: Need) -> Option<usize> {
    let mut shortest: Option<(usize, Duration)> = None;
    for (at, target) in untried.iter().enumerate() {
        let wait = target.pause(need);
        if wait.is_zero() {
            if let Some((passed, _)) = shortest {
                paced(&untried[passed], "passed");
            }
            return Some(at);
        }
        if shortest.is_none_or(|(_, before)| wait < before) {
            shortest = Some((at, wait));
        }
    }
    shortest.map(|(at, _)| at)
}

/// What a request will use up of a rate limit: providers count the most that the answer may have.
pub(super) fn need_of(request: &ChatRequest) -> Need {
    Need::of(estimated_tokens(request.bytes()).saturating_add(request.max_output_tokens))
}

pub(super) fn paced(target: &Target, how: &'static str) {
    metrics::counter!(LLM_PACED, "target" => target.name().to_owned(), "how" => how).increment(1);
}

/// Nobody is asked: the answer would be a 429.
pub(super) fn exhausted(target: &Target, wait: Duration) -> ModelError {
    ModelError::Unavailable {
        target: target.name().to_owned(),
        detail: "its rate limit is used up".to_owned(),
        retry_after: Some(wait),
    }
}
