//! Values as programs write them. Forms and languages without whole numbers send `1024.0`, `"1024"` and `"true"`; what is
//! meant is beyond doubt, so it is taken. Pure.

use serde_json::{Map, Value};

/// From here on not every whole number is a floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A finite number, also one that is written as a text.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A whole number, in whichever form.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let exact = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64(),
    };
    exact.or_else(|| {
        let number = number(value).filter(|number| number.fract() == 0.0 && number.abs() < EXACT)?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the bounds")]
        let whole = number as i64;
        Some(whole)
    })
}

/// Yes or no, also as a text.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        value => value.as_bool(),
    }
}

/// Whether it holds nothing.
pub(super) fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(Map::is_empty)
        || value.as_str().is_some_and(str::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_meant_is_taken_and_nothing_else() {
        for (value, expected) in [
            (json!(7), Some(7)),
            (json!(-1), Some(-1)),
            (json!(1024.0), Some(1024)),
            (json!("1024"), Some(1024)),
            (json!(" 1024.0 "), Some(1024)),
            (json!(i64::MIN), Some(i64::MIN)),
            (json!(i64::MAX.to_string()), Some(i64::MAX)),
            (json!(1.5), None),
            (json!("1.5"), None),
            (json!(u64::MAX), None),
            (json!(1e300), None),
            (json!("many"), None),
            (json!(""), None),
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(whole(&value), expected, "{value}");
        }
        assert_eq!((number(&json!("0.7")), number(&json!("inf")), number(&json!("NaN"))), (Some(0.7), None, None));
        assert_eq!(
            (boolean(&json!("True")), boolean(&json!(false)), boolean(&json!(1))),
            (Some(true), Some(false), None)
        );
    }
}
