//! In which order the targets of a list are asked: as they stand, but neighbours with a weight share the runs. Pure: the
//! dice are passed in.

/// The places of the list, in the order in which they are to be asked. Neighbours with a weight come in an order that is
/// drawn: the first among them in proportion to their weights, the next likewise of those that are left.
/// `dice` gives numbers from 0 to 1.
pub(super) fn drawn(weights: &[Option<f64>], mut dice: impl FnMut() -> f64) -> Vec<usize> {
    let mut order = Vec::with_capacity(weights.len());
    for group in (0..weights.len()).collect::<Vec<_>>().chunk_by(|a, b| weights[*a].is_some() && weights[*b].is_some())
    {
        let mut left = group.to_vec();
        while left.len() > 1 {
            let weight = |at: &usize| weights[*at].unwrap_or(1.0);
            let mut point = dice() * left.iter().map(weight).sum::<f64>();
            let hit = left.iter().position(|at| {
                point -= weight(at);
                point < 0.0
            });
            order.push(left.remove(hit.unwrap_or(left.len() - 1)));
        }
        order.append(&mut left);
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_weights_the_list_is_the_order() {
        assert_eq!(drawn(&[None, None, None], || panic!("nothing is drawn")), [0, 1, 2]);
        assert_eq!(drawn(&[Some(1.0), None, Some(2.0)], || panic!("nobody to share with")), [0, 1, 2]);
    }

    #[test]
    fn neighbours_share_in_proportion() {
        let weights = [None, Some(3.0), Some(1.0), None];
        let mut first = [0; 2];
        for step in 0..1000 {
            let order = drawn(&weights, || f64::from(step) / 1000.0);
            assert_eq!((order[0], order[3]), (0, 3));
            first[order[1] - 1] += 1;
        }
        assert_eq!(first, [750, 250]);
    }

    proptest! {
        #[test]
        fn everybody_is_asked_once(
            weights in prop::collection::vec(prop::option::of(0.001f64..1000.0), 0..8), dice in prop::collection::vec(0.0f64..=1.0, 8),
        ) {
            let mut dice = dice.into_iter();
            let mut order = drawn(&weights, || dice.next().unwrap_or(1.0));
            order.sort_unstable();
            prop_assert_eq!(order, (0..weights.len()).collect::<Vec<_>>());
        }
    }
}
