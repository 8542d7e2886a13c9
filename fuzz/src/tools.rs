//! What models write for tools: expressions, and arguments.

use rivulet::{
    dialect::json,
    formula::{Expression, Input, Inputs, MAX_CHARS, Pattern, Presence, Takes, number},
};
use serde_json::Value;

/// An expression that is read is written as one that reads the same, and has a value that is a number or none at all.
/// Arguments that are taken are within their bounds, and are taken again as they are.
pub fn tools(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(read) = Expression::parse(&text) {
        let value = read.evaluate(&|name| Some(name.len() as f64));
        assert!(value.is_err() || value.is_ok_and(f64::is_finite), "{text}");
        let written = read.to_string();
        if written.chars().count() <= MAX_CHARS {
            assert_eq!(Expression::parse(&written).as_ref(), Ok(&read), "{written}");
        }
    }
    if let Some(value) = number::parse(&text) {
        assert!(value.is_finite(), "{text}");
    }
    if let Ok(sent) = json::parse::<Value>(bytes) {
        arguments(&sent);
    }
}

fn arguments(sent: &Value) {
    let inputs = inputs();
    match inputs.check(sent) {
        Ok(taken) => {
            assert!(
                taken.number("months").is_some_and(|months| (6.0..=360.0).contains(&months) && months.fract() == 0.0)
            );
            assert!(taken.number("rate").is_some_and(|rate| (0.0..=36.0).contains(&rate)));
            assert!(
                taken.text("code").is_none_or(|code| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()))
            );
            assert_eq!(inputs.check(&Value::Object(taken.as_json().clone())), Ok(taken));
        }
        Err(told) => {
            let told = told.to_string();
            assert!(!told.is_empty() && told.len() <= 4096 && !told.contains(char::is_control), "{told}");
        }
    }
}

fn inputs() -> Inputs {
    let number = |min: f64, max: f64, whole| Takes::Number { min: Some(min), max: Some(max), whole };
    let input = |name: &str, takes, presence| Input {
        name: name.to_owned(),
        description: None,
        unit: None,
        takes,
        choices: Vec::new(),
        presence,
    };
    let code = Takes::Text { max_chars: 3, pattern: Pattern::parse("[A-Z]{3}").ok() };
    Inputs::new(vec![
        input("months", number(6.0, 360.0, true), Presence::Required),
        input("rate", number(0.0, 36.0, false), Presence::Default(number::json(10.5))),
        input("code", code, Presence::Optional),
        input("sure", Takes::Boolean, Presence::Optional),
    ])
}
