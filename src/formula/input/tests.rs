use proptest::prelude::*;

use super::*;

fn input(name: &str, takes: Takes, presence: Presence) -> Input {
    Input { name: name.to_owned(), description: None, unit: None, takes, choices: Vec::new(), presence }
}

fn loan() -> Inputs {
    let number = |min, max, whole| Takes::Number { min: Some(min), max: Some(max), whole };
    let principal = input("principal", number(10_000.0, 10_000_000.0, false), Presence::Required);
    let kind = Takes::Text { max_chars: 20, pattern: None };
    Inputs::new(vec![
        Input { description: Some("What is lent".to_owned()), unit: Some("INR".to_owned()), ..principal },
        input("annual_rate", number(1.0, 36.0, false), Presence::Default(number::json(10.5))),
        input("months", number(6.0, 360.0, true), Presence::Required),
        Input { choices: vec!["car".into(), "house".into()], ..input("purpose", kind, Presence::Optional) },
        input(
            "pan",
            Takes::Text { max_chars: 20, pattern: Some(Pattern::parse("[A-Z]{5}[0-9]{4}[A-Z]").unwrap()) },
            Presence::Optional,
        ),
        input("insured", Takes::Boolean, Presence::Default(false.into())),
    ])
}

fn told(sent: Value) -> String {
    loan().check(&sent).unwrap_err().to_string()
}

#[test]
fn what_was_left_out_is_filled_in_and_texts_that_are_numbers_are_numbers() {
    let checked = loan().check(&json!({"principal": "5,00,000", "months": 36.0, "purpose": null, "insured": "true"}));
    let checked = checked.unwrap();
    let expected = json!({"annual_rate": 10.5, "insured": true, "months": 36, "principal": 500_000});
    assert_eq!(Value::Object(checked.as_json().clone()), expected);
    assert_eq!((checked.number("principal"), checked.number("insured")), (Some(500_000.0), Some(1.0)));
    assert_eq!((checked.text("purpose"), checked.shown("principal").as_deref()), (None, Some("500,000")));
    // What was checked is taken again as it is.
    assert_eq!(loan().check(&Value::Object(checked.as_json().clone())), Ok(checked));
}

#[test]
fn what_is_wrong_is_told_by_the_name_of_the_input() {
    let rows = [
        (json!({"principal": 500_000, "months": 0}), "months: at least 6"),
        (json!({"principal": 5e9, "months": 12}), "principal: at most 10,000,000"),
        (json!({"months": 12}), "principal: missing"),
        (json!({"principal": 500_000, "months": 12.5}), "months: a whole number, not 12.5"),
        (json!({"principal": "5 lakh", "months": 12}), "principal: a number, like 1000 or 0.5, not \"5 lakh\""),
        (json!({"principal": "500,000", "months": 12}), "principal: a number, like 1000 or 0.5, not \"500,000\""),
        (json!({"principal": [1], "months": 12}), "principal: a number, like 1000 or 0.5, not a list"),
        (json!({"principal": 10_000, "months": 12, "purpose": "boat"}), "purpose: one of car, house"),
        (json!({"principal": 10_000, "months": 12, "pan": "ABC"}), "pan: of the form ^(?:[A-Z]{5}[0-9]{4}[A-Z])$"),
        (json!({"principal": 10_000, "months": 12, "pan": "A".repeat(21)}), "pan: at most 20 characters"),
        (json!({"principal": 10_000, "months": 12, "insured": 1}), "insured: true or false, not 1"),
        (json!("{\"principal\": 1"), "the arguments must be one JSON object"),
        (
            json!({"principal": 10_000, "months": 12, "mnths": 1}),
            "mnths: there is no such argument, but principal, annual_rate, months, purpose, pan, insured",
        ),
        (json!({"principal": 1, "months": 1}), "principal: at least 10,000; months: at least 6"),
    ];
    for (sent, expected) in rows {
        assert_eq!(told(sent.clone()), expected, "{sent}");
    }
    let many: Map<String, Value> = (0..1000).map(|at| (format!("{at}{}", "x".repeat(1000)), Value::Null)).collect();
    let told = told(Value::Object(many));
    assert!(told.len() < 8 * 200, "{told}");
}

#[test]
fn models_are_told_of_them_as_a_schema() {
    let schema = loan().schema();
    assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["principal", "months"])));
    assert_eq!(schema["additionalProperties"], json!(false));
    let principal =
        json!({"type": "number", "minimum": 10_000, "maximum": 10_000_000, "description": "What is lent (INR)"});
    assert_eq!(schema["properties"]["principal"], principal);
    let months = json!({"type": "integer", "minimum": 6, "maximum": 360});
    assert_eq!(schema["properties"]["months"], months);
    assert_eq!(schema["properties"]["annual_rate"]["default"], json!(10.5));
    assert_eq!(schema["properties"]["purpose"]["enum"], json!(["car", "house"]));
    let pan = &schema["properties"]["pan"];
    let told = pan["description"].as_str().unwrap();
    assert!(told.contains("of the form ^(?:[A-Z]{5}[0-9]{4}[A-Z])$") && told.contains("characters"), "{told}");
    assert!(pan.get("pattern").is_none() && pan.get("maxLength").is_none(), "{pan}");
    assert_eq!(Inputs::default().schema()["properties"], json!({}));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
        "[0-9.,+e-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

proptest! {
    #[test]
    fn whatever_is_taken_is_within_the_bounds(principal in any_json(), months in any_json(), insured in any_json()) {
        if let Ok(taken) = loan().check(&json!({"principal": principal, "months": months, "insured": insured})) {
            prop_assert!((10_000.0..=10_000_000.0).contains(&taken.number("principal").unwrap()));
            prop_assert!((6.0..=360.0).contains(&taken.number("months").unwrap()));
            prop_assert_eq!(loan().check(&Value::Object(taken.as_json().clone())), Ok(taken));
        }
    }
}
