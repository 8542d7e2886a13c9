//! How far off a forecast may be: what it was off by so far, drawn again and again. Pure, and always the same.

use super::model::Fitted;

/// So many ways on are drawn.
const PATHS: usize = 500;
/// Where the draws begin.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bounds of each point: of 80 % and of 95 % of what may come.
pub(super) struct Bounds {
    pub(super) of_80: (f64, f64),
    pub(super) of_95: (f64, f64),
}

/// Draws ways on from what a model was off by.
pub(super) fn bounds(fitted: &Fitted, points: &[f64]) -> Vec<Bounds> {
    // One after the other, so that none is drawn more often for where it stands.
    let residuals = fitted.residuals();
    let mut random = Random(SEED);
    let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(PATHS); points.len()];
    for _ in 0..PATHS {
        let path = fitted.path(points.len(), || match residuals.len() {
            0 => 0.0,
            many => residuals[(random.next() % many as u64) as usize],
        });
        for (at, value) in path.into_iter().enumerate() {
            drawn[at].push(value);
        }
    }
    let bounds = drawn.into_iter().zip(points).map(|(mut values, point)| {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        // What is most likely is never outside.
        let around = |low: f64, high: f64| (at(low).min(*point), at(high).max(*point));
        Bounds { of_80: around(0.1, 0.9), of_95: around(0.025, 0.975) }
    });
    bounds.collect()
}

/// SplitMix64: small, and the same everywhere and for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(SEED);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
