//! Numbers as people write them and want to read them. Pure.

use serde_json::Value;

/// A 64-bit float has this many decimal digits for certain; what a calculation leaves behind them is noise.
const DIGITS: i32 = 15;
/// The first whole number whose successor a 64-bit float does not have.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// To so many decimal places, halves away from zero: 2.675 is 2.68 to two. Looks at 15 significant digits, as spreadsheets
/// do, so that 2.6749999999999998, which a calculation may have left of it, is rounded alike. Negative places are tens,
/// hundreds and so on.
#[must_use]
pub fn round(value: f64, places: i32) -> f64 {
    let text = format!("{:.*e}", (DIGITS - 1) as usize, value.abs());
    let Some((mantissa, exponent)) = text.split_once('e') else { return value }; // No number at all.
    let digits = mantissa.replace('.', "").parse::<u64>();
    let (Ok(digits), Ok(exponent)) = (digits, exponent.parse::<i32>()) else { return value };
    let cut = DIGITS - 1 - exponent.saturating_add(places);
    let (kept, power) = match u32::try_from(cut) {
        // A value near the largest one has no neighbour above.
        Err(_) | Ok(0) => {
            return text.parse().ok().filter(|near: &f64| near.is_finite()).map_or(value, |n| signed(n, value));
        }
        Ok(cut) if cut > DIGITS as u32 => (0, 0),
        Ok(cut) => {
            let unit = 10_u64.pow(cut);
            (digits / unit + u64::from(digits % unit >= unit / 2), exponent - (DIGITS - 1) + cut as i32)
        }
    };
    format!("{kept}e{power}").parse().map_or(value, |rounded| signed(rounded, value))
}

fn signed(magnitude: f64, like: f64) -> f64 {
    if like < 0.0 && magnitude != 0.0 { -magnitude } else { magnitude }
}

/// Without the noise of a calculation: 0.1 + 0.2 is 0.3.
#[must_use]
pub fn tidy(value: f64) -> f64 {
    round(value, 400)
}

/// For people: 16,251.22. With as many decimal places as are named, or as the number has.
#[must_use]
pub fn grouped(value: f64, places: Option<u8>) -> String {
    let text = match places {
        _ if value.abs() >= 1e15 => return written(tidy(value)),
        Some(places) => format!("{:.*}", usize::from(places), round(value, places.into())),
        None => written(tidy(value)),
    };
    let whole_from = usize::from(text.starts_with('-'));
    let whole_to = text.find(['.', 'e']).unwrap_or(text.len());
    let mut grouped = text[..whole_from].to_owned();
    for (at, digit) in text[whole_from..whole_to].char_indices() {
        if at > 0 && (whole_to - whole_from - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &text[whole_to..]
}

/// For programs, and for whoever reads it again: the shortest text that is this number, with an exponent where it would be
/// long.
#[must_use]
pub fn written(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e15).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

/// As JSON has it: whole numbers without a point. What is no number is `null`.
#[must_use]
pub fn json(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < MAX_WHOLE { Value::from(value as i64) } else { Value::from(value) }
}

/// A number that was written as text: 500000, 10.5, 1e6, 1,000,000, 5,00,000, 16,251.22. `None` for what is none, and for
/// what may be two: 500,000 is another number where the comma is the decimal point.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E');
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let plain = match whole.matches(',').count() {
        0 => text.to_owned(),
        1 if rest.is_empty() => return None,
        _ if is_grouped(whole) && !rest.contains(',') => whole.replace(',', "") + rest,
        _ => return None,
    };
    let value: f64 = plain.bytes().all(is_plain).then(|| plain.parse().ok())??;
    value.is_finite().then_some(value)
}

/// Whether the commas stand where people put them: before the last three digits, and before two or three each.
fn is_grouped(whole: &str) -> bool {
    let mut groups: Vec<&str> = whole.trim_start_matches(['+', '-']).split(',').collect();
    let last = groups.pop();
    let is_first = |group: &&str| (1..=3).contains(&group.len());
    last.is_some_and(|group| group.len() == 3)
        && groups.first().is_some_and(is_first)
        && groups.iter().skip(1).all(|group| (2..=3).contains(&group.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_go_away_from_zero_as_they_are_written() {
        let rows = [
            (2.675, 2, 2.68),
            (1.005, 2, 1.01),
            (0.1 * 3.0, 16, 0.3),
            (-2.5, 0, -3.0),
            (2.5, 0, 3.0),
            (0.5, 0, 1.0),
            (0.49, 0, 0.0),
            (-0.4, 0, 0.0),
            (999.995, 2, 1000.0),
            (1251.0, -2, 1300.0),
            (49.0, -2, 0.0),
            (50.0, -2, 100.0),
            (5.0, -3, 0.0),
            (0.0, 2, 0.0),
            (1e300, 2, 1e300),
            (f64::MAX, 2, f64::MAX),
            (16_251.219_999_999_99, 2, 16251.22),
        ];
        for (value, places, expected) in rows {
            assert_eq!(round(value, places), expected, "{value} to {places}");
        }
        assert!(round(f64::NAN, 2).is_nan() && !round(-0.001, 2).is_sign_negative());
    }

    #[test]
    fn people_read_groups_of_three() {
        let rows = [
            (16251.22, Some(2), "16,251.22"),
            (22000.0, Some(2), "22,000.00"),
            (-1234567.5, None, "-1,234,567.5"),
            (999.0, None, "999"),
            (0.30000000000000004, None, "0.3"),
            (-0.001, Some(2), "0.00"),
            (1e20, Some(2), "1e20"),
            (0.0000001, None, "1e-7"),
        ];
        for (value, places, expected) in rows {
            assert_eq!(grouped(value, places), expected);
        }
        assert_eq!((json(36.0).to_string(), json(10.5).to_string()), ("36".to_owned(), "10.5".to_owned()));
    }

    #[test]
    fn a_text_is_a_number_where_it_can_be_no_other() {
        let numbers = [
            ("500000", 500_000.0),
            (" 10.5 ", 10.5),
            ("-3", -3.0),
            ("1e6", 1e6),
            ("1,000,000", 1e6),
            ("5,00,000", 5e5),
            ("16,251.22", 16251.22),
            ("-1,000.5", -1000.5),
        ];
        for (text, expected) in numbers {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in [
            "", "500,000", "5 lakh", "1,00", "1,0000.5", "1.000,5", ",000,000", "inf", "NaN", "1e999", "0x10",
            "1,,000.5",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_that_was_written_is_read_again(value: f64) {
            prop_assume!(value.is_finite());
            prop_assert_eq!(written(value).parse::<f64>().ok(), Some(value));
            let near = tidy(value);
            prop_assert!((near - value).abs() <= value.abs() * 1e-14, "{} for {}", near, value);
        }

        #[test]
        fn rounding_is_near_and_once_is_enough(value in -1e9..1e9_f64, places in -3..6_i32) {
            let rounded = round(value, places);
            let most = 0.5 * 10_f64.powi(-places) + value.abs() * 1e-14;
            prop_assert!((rounded - value).abs() <= most, "{} for {}", rounded, value);
            prop_assert_eq!(round(rounded, places), rounded);
        }

        #[test]
        fn any_text_is_survived(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
