use proptest::prelude::*;

use super::*;

const SEASON: [f64; 12] = [-12.0, -8.0, 0.0, 4.0, 6.0, 10.0, 12.0, 8.0, 2.0, -4.0, -8.0, -10.0];

fn imports(months: usize) -> Vec<Option<f64>> {
    (0..months).map(|i| Some(100.0 + 2.0 * i as f64 + SEASON[i % 12])).collect()
}

fn values(forecast: &Forecast) -> Vec<f64> {
    forecast.points.iter().map(|point| point.value).collect()
}

#[test]
fn a_trend_with_seasons_goes_on_as_it_does() {
    let found = forecast(&imports(36), 12, None).unwrap();
    let expected = [160.0, 166.0, 176.0, 182.0, 186.0, 192.0, 196.0, 194.0, 190.0, 186.0, 184.0, 184.0];
    assert_eq!((found.model, found.season, found.missing), (Model::HoltWintersAdditive, 12, 0));
    for (point, expected) in found.points.iter().zip(expected) {
        assert!((point.value - expected).abs() < 0.5, "{:?}", values(&found));
    }
    assert!(found.is_better && found.error.unwrap() < 0.05, "{:?}", found.error);
    assert_eq!(found, forecast(&imports(36), 12, Some(12)).unwrap(), "the same again");
}

#[test]
fn seasons_that_grow_with_the_level_are_multiplied() {
    let series: Vec<_> = (0..48).map(|i| Some((100.0 + 5.0 * i as f64) * (1.0 + SEASON[i % 12] / 40.0))).collect();
    let found = forecast(&series, 12, Some(6)).unwrap();
    assert_eq!(found.model, Model::HoltWintersMultiplicative);
    for (at, point) in found.points.iter().enumerate() {
        let i = 48 + at;
        let expected = (100.0 + 5.0 * i as f64) * (1.0 + SEASON[i % 12] / 40.0);
        assert!((point.value / expected - 1.0).abs() < 0.02, "{} for {expected}", point.value);
    }
}

#[test]
fn what_is_no_better_than_a_season_ago_says_so() {
    let repeated: Vec<_> = (0..48).map(|i| Some(SEASON[i % 12])).collect();
    let found = forecast(&repeated, 12, None).unwrap();
    assert_eq!((found.model, found.is_better), (Model::SeasonalNaive, false));
    assert_eq!(values(&found), SEASON);
    // Nothing follows from what was before.
    let mut state = 7_u64;
    let noise = (0..60).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        Some((state >> 40) as f64)
    });
    let noise: Vec<_> = noise.collect();
    let found = forecast(&noise, 1, Some(5)).unwrap();
    assert!(found.points.iter().all(|point| point.high_95 - point.low_95 > 1e6), "{found:?}");
}

#[test]
fn a_line_goes_on_straight() {
    let line: Vec<_> = (0..20).map(|i| Some(3.0 * f64::from(i))).collect();
    let found = forecast(&line, 1, Some(3)).unwrap();
    assert_eq!(found.model, Model::Drift);
    assert!(values(&found).iter().zip([60.0, 63.0, 66.0]).all(|(a, b)| (a - b).abs() < 1e-9));
}

#[test]
fn gaps_are_few_or_it_is_refused() {
    let mut series = imports(36);
    (series[5], series[20]) = (None, None);
    let found = forecast(&series, 12, None).unwrap();
    assert_eq!(found.missing, 2);
    assert!((found.points[0].value - 160.0).abs() < 6.0, "{:?}", values(&found));
    (series[6], series[7]) = (None, None);
    assert_eq!(forecast(&series, 12, None), Err(Unfit::Gaps { missing: 4, all: 36 }));
    assert_eq!(forecast(&imports(7), 12, None), Err(Unfit::Short(7)));
    assert_eq!(forecast(&[], 12, None), Err(Unfit::Short(0)));
    assert_eq!(forecast(&imports(36), 12, Some(19)), Err(Unfit::Far(18)));
    assert_eq!(forecast(&imports(36), 12, Some(0)), Err(Unfit::Far(18)));
    assert_eq!(forecast(&imports(60), 12, Some(25)), Err(Unfit::Far(24)));
    assert_eq!(forecast(&vec![Some(f64::MAX); 20], 1, None), Err(Unfit::Large));
    // The newest begin in a gap: they begin behind it.
    let mut long: Vec<_> = (0..5002).map(|i| Some(f64::from(i))).collect();
    long[2] = None;
    let whole = super::series::whole(&long).unwrap();
    assert_eq!((whole.len(), whole[0]), (4999, 3.0));
    // Before there are two seasons, there is none.
    assert_eq!(forecast(&imports(20), 12, Some(3)).unwrap().season, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_series_is_survived(
        series in prop::collection::vec(prop::option::weighted(0.95, -1e6..1e6_f64), 0..80),
        season in 1..13_usize,
        horizon in prop::option::of(0..50_usize),
    ) {
        if let Ok(found) = forecast(&series, season, horizon) {
            prop_assert!(horizon.is_none_or(|wanted| wanted == found.points.len()));
            for point in &found.points {
                let ordered = [point.low_95, point.low_80, point.value, point.high_80, point.high_95];
                prop_assert!(ordered.windows(2).all(|two| two[0] <= two[1]), "{:?}", point);
            }
            prop_assert_eq!(Ok(found), forecast(&series, season, horizon));
        }
    }
}
