use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

fn tokens(left: &str, reset: &str) -> HeaderMap {
    headers(&[
        ("x-ratelimit-limit-tokens", "6000"),
        ("x-ratelimit-remaining-tokens", left),
        ("x-ratelimit-reset-tokens", reset),
    ])
}

#[test]
fn durations_are_read_as_providers_write_them() {
    let millis = |text| duration(text).map(|duration| duration.as_millis());
    for (text, expected) in
        [("6s", 6000), ("1.57s", 1570), ("2m59.5s", 179_500), ("120ms", 120), ("1h0m0s", 3_600_000), (" 7 ", 7000)]
    {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
    for odd in ["", "s", "-1", "1w", "1e999", "6s!", "NaN", "99999999999999999999d"] {
        assert_eq!(millis(odd), None, "{odd}");
    }
}

#[test]
fn what_is_not_told_is_not_limited() {
    let mut pacer = Pacer::default();
    let now = Instant::now();
    assert_eq!(pacer.wait(Need::of(u32::MAX), now), Duration::ZERO);
    for odd in
        [tokens("x", "6s"), tokens("10", "soon"), tokens("0", "1763650000"), tokens("-1", "6s"), tokens("NaN", "6s")]
    {
        pacer.told(&odd, None, now);
        assert_eq!(pacer.wait(Need::of(u32::MAX), now), Duration::ZERO);
    }
}

#[test]
fn what_is_left_grows_until_it_is_full() {
    let mut pacer = Pacer::default();
    let now = Instant::now();
    // 100 tokens a second.
    pacer.told(&tokens("0", "60s"), None, now);
    assert_eq!(pacer.wait(Need::of(300), now), 3 * SECOND);
    assert_eq!(pacer.wait(Need::of(300), now + SECOND), 2 * SECOND);
    assert_eq!(pacer.wait(Need::of(300), now + 3 * SECOND), Duration::ZERO);
    assert_eq!(pacer.wait(Need::of(60_000), now), 60 * SECOND, "nobody waits for more than the limit");
    assert_eq!(pacer.left(now + 2 * SECOND).0, Some(200.0));
}

#[test]
fn what_is_asked_for_is_reserved_until_it_is_answered() {
    let pacer = Arc::new(Mutex::new(Pacer::default()));
    let now = Instant::now();
    pacer.lock().told(&tokens("1000", "50s"), None, now);
    let mut asked = Reservation::in_line(&pacer, Need::of(800));
    assert_eq!(asked.turn(now), PacerTurn::Come);
    assert_eq!(pacer.lock().wait(Need::of(300), now), SECOND);
    drop(asked);
    assert_eq!(pacer.lock().wait(Need::of(300), now), Duration::ZERO);
}

#[test]
fn a_refusal_stops_everybody_for_its_time() {
    let mut pacer = Pacer::default();
    let now = Instant::now();
    pacer.told(&HeaderMap::new(), Some(7 * SECOND), now);
    assert_eq!(pacer.wait(Need::of(1), now + SECOND), 6 * SECOND);
    assert_eq!(pacer.wait(Need::of(1), now + 7 * SECOND), Duration::ZERO);
}

#[test]
fn requests_count_too() {
    let mut pacer = Pacer::default();
    let now = Instant::now();
    let told = headers(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6s")]);
    pacer.told(&told, None, now);
    assert_eq!(pacer.wait(Need::of(1), now), 6 * SECOND, "without a limit nothing is known but the end");
    assert_eq!(pacer.wait(Need::of(1), now + 6 * SECOND), Duration::ZERO);
}

#[test]
fn nobody_is_overtaken() {
    let pacer = Arc::new(Mutex::new(Pacer::default()));
    let now = Instant::now();
    pacer.lock().told(&tokens("0", "60s"), None, now);
    let mut large = Reservation::in_line(&pacer, Need::of(500));
    let mut small = Reservation::in_line(&pacer, Need::of(100));
    assert_eq!(large.turn(now), PacerTurn::Wait(5 * SECOND, 1));
    assert_eq!(small.turn(now), PacerTurn::Wait(6 * SECOND, 2));
    assert_eq!(
        small.turn(now + 2 * SECOND),
        PacerTurn::Wait(4 * SECOND, 2),
        "there were enough for the small one alone"
    );
    assert_eq!(pacer.lock().wait(Need::of(100), now), 7 * SECOND, "who comes later waits longer");
    assert_eq!(large.turn(now + 5 * SECOND), PacerTurn::Come);
    assert_eq!(small.turn(now + 5 * SECOND), PacerTurn::Wait(SECOND, 1));
    assert_eq!(small.turn(now + 6 * SECOND), PacerTurn::Come);
    drop((large, small));
    assert_eq!(pacer.lock().reserved, Need::default());
}

#[test]
fn where_there_is_enough_for_all_nobody_waits_for_those_ahead() {
    let pacer = Arc::new(Mutex::new(Pacer::default()));
    let now = Instant::now();
    let mut ahead = Reservation::in_line(&pacer, Need::of(500));
    let mut behind = Reservation::in_line(&pacer, Need::of(100));
    assert_eq!(behind.turn(now), PacerTurn::Come, "nothing is known of a limit");
    pacer.lock().told(&tokens("1000", "60s"), None, now);
    let mut last = Reservation::in_line(&pacer, Need::of(400));
    assert_eq!(last.turn(now), PacerTurn::Come, "400 beside 500 and 100");
    assert_eq!(ahead.turn(now), PacerTurn::Come);
    drop((ahead, behind, last));
    assert_eq!(pacer.lock().reserved, Need::default());
}

proptest! {
    #[test]
    fn after_the_wait_its_turn_has_come(
        left in 0.0f64..10_000.0, limit in 1.0f64..10_000.0, reset in 0.0f64..100.0, needs in prop::collection::vec(1u32..5000, 1..6),
    ) {
        let pacer = Arc::new(Mutex::new(Pacer::default()));
        let now = Instant::now();
        let told = headers(&[
            ("x-ratelimit-limit-tokens", &limit.to_string()),
            ("x-ratelimit-remaining-tokens", &left.to_string()),
            ("x-ratelimit-reset-tokens", &reset.to_string()),
        ]);
        pacer.lock().told(&told, None, now);
        for need in needs {
            let mut place = Reservation::in_line(&pacer, Need::of(need));
            if let PacerTurn::Wait(wait, position) = place.turn(now) {
                prop_assert_eq!(position, 1);
                prop_assert_eq!(place.turn(now + wait + Duration::from_millis(1)), PacerTurn::Come);
            }
        }
        prop_assert_eq!(pacer.lock().line.len(), 0);
    }
}
