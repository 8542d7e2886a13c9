//! A series that can be gone on with: long enough, and with few gaps. Pure.

/// Fewer figures say nothing of what follows.
pub const MIN_POINTS: usize = 8;
/// The most figures that are looked at: the newest.
pub const MAX_POINTS: usize = 5000;
/// The share of figures that may be missing.
const MAX_MISSING: f64 = 0.1;

/// Why a series cannot be gone on with, in words for the model and for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is too short.
    #[error("a forecast needs {MIN_POINTS} figures at least, and there are {0}")]
    Short(usize),
    /// Too many are missing.
    #[error("{missing} of {all} figures are missing: at most a tenth may be")]
    Gaps {
        /// So many.
        missing: usize,
        /// Of so many.
        all: usize,
    },
    /// It cannot be looked so far ahead.
    #[error("at most {0} points can be forecast from so many figures")]
    Far(usize),
    /// Its figures are beyond all measure.
    #[error("the figures are too large to be reckoned with")]
    Large,
}

/// The figures with those that are missing put between their neighbours.
pub(super) fn whole(figures: &[Option<f64>]) -> Result<Vec<f64>, Unfit> {
    let last = figures.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let newest = &figures[last.saturating_sub(MAX_POINTS)..last];
    // Before the first of them that is known there is nothing to put a missing one after.
    let figures = &newest[newest.iter().position(Option::is_some).unwrap_or(newest.len())..];
    let known = figures.iter().flatten().count();
    if known < MIN_POINTS {
        return Err(Unfit::Short(known));
    }
    let missing = figures.len() - known;
    if missing as f64 > MAX_MISSING * figures.len() as f64 {
        return Err(Unfit::Gaps { missing, all: figures.len() });
    }
    // Squares and products of what is larger are no numbers.
    if figures.iter().flatten().any(|value| !value.is_finite() || value.abs() > 1e100) {
        return Err(Unfit::Large);
    }
    let mut whole: Vec<f64> = Vec::with_capacity(figures.len());
    for (at, figure) in figures.iter().enumerate() {
        whole.push(match (figure, whole.last()) {
            (Some(value), _) => *value,
            (None, Some(before)) => {
                let next = figures[at..].iter().enumerate().find_map(|(steps, value)| Some((steps, (*value)?)));
                next.map_or(*before, |(steps, value)| before + (value - before) / (steps + 1) as f64)
            }
            (None, None) => 0.0, // Does not come: the first is known.
        });
    }
    Ok(whole)
}
