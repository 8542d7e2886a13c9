//! `calc`: works out an expression. Pure.

use serde_json::json;

use super::{error::ToolError, output::Output};
use crate::formula::{Arguments, Expression, Input, Inputs, MAX_CHARS, Presence, Takes, number};

/// So much of an expression stands in the line for people, in characters.
const SHOWN: usize = 80;

pub(super) const DESCRIPTION: &str = "Works out an arithmetic expression exactly. Use it for every calculation. \
    Operators: + - * / ^ % and comparisons; functions: min, max, abs, round(value, places), floor, ceil, sqrt, exp, ln, log10, \
    pow, if(condition, then, otherwise). Numbers without separators, like 500000 or 10.5.";

pub(super) fn inputs() -> Inputs {
    Inputs::new(vec![Input {
        name: "expression".to_owned(),
        description: Some("For example (1 + 0.105 / 12) ^ 36".to_owned()),
        unit: None,
        takes: Takes::Text { max_chars: MAX_CHARS, pattern: None },
        choices: Vec::new(),
        presence: Presence::Required,
    }])
}

pub(super) fn run(arguments: &Arguments) -> Result<Output, ToolError> {
    let text = arguments.text("expression").unwrap_or_default();
    let expression = Expression::parse(text)?;
    let value = expression.evaluate(&|_| None)?;
    let mut shown: String = text.trim().chars().take(SHOWN).collect();
    if text.trim().chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    Ok(Output {
        summary: format!("{shown} = {}", number::grouped(value, None)),
        data: json!({"result": number::json(number::tidy(value))}),
        ..Output::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> Result<Output, String> {
        let arguments = inputs().check(&json!({"expression": expression})).map_err(|error| error.to_string())?;
        run(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_exact_and_says_so_in_a_line() {
        let sum = of("0.1 + 0.2").unwrap();
        assert_eq!((sum.summary.as_str(), sum.data), ("0.1 + 0.2 = 0.3", json!({"result": 0.3})));
        let large = of(" 250000 * 4 ").unwrap();
        assert_eq!((large.summary.as_str(), large.data), ("250000 * 4 = 1,000,000", json!({"result": 1_000_000})));
        let long = of(&format!("1{}", "+1".repeat(99))).unwrap();
        assert!(long.summary.ends_with("…= 100") || long.summary.ends_with("… = 100"), "{}", long.summary);
    }

    #[test]
    fn what_cannot_be_worked_out_is_told_in_words() {
        let rows = [
            ("1 / 0", "1 / 0 is a division by zero"),
            ("2 +", "not an expression: at character 4: a number or a name is missing"),
            ("x + 1", "there is no `x`"),
        ];
        for (expression, expected) in rows {
            assert_eq!(of(expression), Err(expected.to_owned()));
        }
        assert_eq!(of(&"1".repeat(1001)).unwrap_err(), "expression: at most 1000 characters");
    }
}
