//! The best of many, with room for those alone.

use std::{cmp::Ordering, collections::BinaryHeap};

/// Collects the `depth` highest scores.
#[derive(Debug)]
pub(super) struct Top<R> {
    /// The worst on top.
    kept: BinaryHeap<Kept<R>>,
    depth: usize,
}

#[derive(Debug)]
struct Kept<R> {
    score: f32,
    row: R,
}

impl<R: Ord + Copy> Top<R> {
    pub(super) fn new(depth: usize) -> Self {
        Self { kept: BinaryHeap::with_capacity(depth + 1), depth }
    }

    /// A score below this need not be offered.
    pub(super) fn threshold(&self) -> f32 {
        if self.kept.len() < self.depth {
            f32::NEG_INFINITY
        } else {
            self.kept.peek().map_or(f32::INFINITY, |k| k.score)
        }
    }

    /// Of equal scores the row that comes first stays.
    pub(super) fn offer(&mut self, score: f32, row: R) {
        if self.depth == 0 || score < self.threshold() {
            return;
        }
        self.kept.push(Kept { score, row });
        if self.kept.len() > self.depth {
            self.kept.pop();
        }
    }

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<(f32, R)> {
        self.kept.into_sorted_vec().into_iter().map(|kept| (kept.score, kept.row)).collect()
    }
}

/// The worse is the greater.
impl<R: Ord> Ord for Kept<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.row.cmp(&other.row))
    }
}

impl<R: Ord> PartialOrd for Kept<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Ord> PartialEq for Kept<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<R: Ord> Eq for Kept<R> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_beginning_of_the_sorted_list(scores in prop::collection::vec(0u8..20, 0..60), depth in 0usize..30) {
            let mut top = Top::new(depth);
            let mut all: Vec<(f32, usize)> = scores.iter().map(|score| f32::from(*score)).zip(0..).collect();
            for &(score, row) in &all {
                top.offer(score, row);
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(depth);
            prop_assert_eq!(top.into_sorted(), all);
        }
    }
}
