use proptest::prelude::*;

use super::*;
use crate::formula::{
    function::Function,
    node::{Comparison, Operator},
    parse::MAX_CHARS,
};

fn value(text: &str) -> Result<f64, String> {
    let parsed = Expression::parse(text).map_err(|error| error.to_string())?;
    let names = |name: &str| [("x", 4.0), ("zero", 0.0), ("e", 3.0)].iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    parsed.evaluate(&names).map_err(|error| error.to_string())
}

#[test]
fn values_are_exact() {
    let rows = [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 4 - 3", 3.0),
        ("100 / 10 / 2", 5.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("2 ** 3", 8.0),
        ("2*3**2", 18.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("--3", 3.0),
        ("4 - -3", 7.0),
        ("200 * 15%", 30.0),
        ("15% * 200", 30.0),
        ("100 + 10%", 100.1),
        ("50% - 0.5", 0.0),
        ("17 % 5", 2.0),
        ("-17 % 5", -2.0),
        ("17%5", 2.0),
        ("17 % (5)", 2.0),
        ("17 % x", 1.0),
        ("(20)%", 0.2),
        (".5 + 1. + 1e2 + 1E-1", 101.6),
        ("x ^ 0.5 + sqrt(16)", 6.0),
        ("min(3, 1, 2) + max(3, 1, 2)", 4.0),
        ("abs(-3) + floor(1.7) + ceil(1.2)", 6.0),
        ("round(2.5) + round(-2.5) + round(2.675, 2)", 2.68),
        ("round(1250, -2)", 1300.0),
        ("ln(exp(2))", 2.0),
        ("log10(1000)", 3.0),
        ("pow(2, 10)", 1024.0),
        ("if(x > 3, 10, 20) + if(x == 3, 1, 2)", 12.0),
        ("if(zero == 0, 7, 1 / zero)", 7.0),
        ("(1 < 2) + (2 <= 2) + (3 != 3) + (3 >= 4)", 2.0),
        ("2 * e", 6.0), // Named, so not the constant.
        ("pi", std::f64::consts::PI),
    ];
    for (text, expected) in rows {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_has_no_value_is_told_in_words() {
    let rows = [
        ("1 / zero", "1 / 0 is a division by zero"),
        ("5 % zero", "5 % 0 is a division by zero"),
        ("0 ^ -1", "0 ^ -1 is a division by zero"),
        ("sqrt(-4)", "sqrt(-4) is no number"),
        ("ln(0)", "ln(0) is no number"),
        ("(-8) ^ 0.5", "-8 ^ 0.5 is no number"),
        ("10 ^ 400", "10 ^ 400 is too large"),
        ("1e308 * 10", "1e308 * 10 is too large"),
        ("exp(1000)", "exp(1000) is too large"),
        ("y + 1", "there is no `y`"),
    ];
    for (text, expected) in rows {
        assert_eq!(value(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_expression_is_told_with_its_place() {
    let rows = [
        ("", "at character 1: a number or a name is missing"),
        ("1 +", "at character 4: a number or a name is missing"),
        ("1 + * 2", "at character 5: `*` stands where a number or a name should"),
        ("(1 + 2", "at character 7: `)` is missing"),
        ("1 2", "at character 3: `2` was not expected"),
        ("500,000", "at character 4: `,` was not expected"),
        ("1 < 2 < 3", "at character 7: `<` was not expected"),
        ("5%%", "at character 4: a number or a name is missing"),
        ("sin(1)", "at character 1: there is no function `sin`"),
        ("1 + pow(2)", "at character 5: `pow` takes 2 values, not 1"),
        ("min()", "at character 5: `)` stands where a number or a name should"),
        ("1e999", "at character 1: the number is too large"),
        (".", "at character 1: a number has digits"),
        ("€5", "at character 1: `€` stands where a number or a name should"),
        ("ä + 1", "at character 1: `ä` stands where a number or a name should"),
    ];
    for (text, expected) in rows {
        assert_eq!(Expression::parse(text).unwrap_err().to_string(), expected, "{text}");
    }
    let deep = |signs: &str, close: &str, times| format!("{}1{}", signs.repeat(times), close.repeat(times));
    for (open, close) in [("(", ")"), ("-", ""), ("2^", ""), ("abs(", ")")] {
        assert!(Expression::parse(&deep(open, close, 63)).is_ok(), "{open}");
        let error = Expression::parse(&deep(open, close, 64)).unwrap_err();
        assert_eq!(error.problem, "nested deeper than 64", "{open}");
    }
    let long = format!("1{}", "+1".repeat(499));
    assert_eq!(value(&long), Ok(500.0));
    assert!(Expression::parse(&format!("{long}+1")).unwrap_err().problem.contains("at most 1000 characters"));
}

#[test]
fn it_is_written_with_the_parentheses_that_it_needs_and_no_others() {
    let rows = [
        ("((a+b))*c", "(a + b) * c"),
        ("a-(b-c)", "a - (b - c)"),
        ("(a-b)-c", "(a - b) - c"),
        ("(2^3)^2", "(2 ^ 3) ^ 2"),
        ("(-2)^2", "(-2) ^ 2"),
        ("17 % (-5)", "17 % (-5)"),
        ("(a+b)%", "(a + b)%"),
        ("if(a<b,1,2)", "if(a < b, 1, 2)"),
        ("1e30", "1e30"),
    ];
    for (text, expected) in rows {
        assert_eq!(Expression::parse(text).unwrap().to_string(), expected);
    }
    assert_eq!(Expression::parse("a * (b + a) - min(c, 2)").unwrap().names(), ["a", "b", "a", "c"]);
}

/// Trees as the parser makes them.
fn node() -> impl Strategy<Value = Node> {
    let name =
        prop_oneof![Just("x"), Just("rate_2"), Just("e"), Just("e1")].prop_map(|name| Node::Name(name.to_owned()));
    let leaf =
        prop_oneof![(0.0..1e12_f64).prop_map(Node::Number), (0..100_u8).prop_map(|n| Node::Number(n.into())), name];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let of = |operators: Vec<Operator>, inner: BoxedStrategy<Node>| {
            let rest = prop::collection::vec((prop::sample::select(operators), inner.clone()), 1..4);
            (inner.prop_map(Box::new), rest).prop_map(|(first, rest)| Node::Chain(first, rest))
        };
        prop_oneof![
            boxed().prop_map(Node::Negative),
            boxed().prop_map(Node::Percent),
            (boxed(), boxed()).prop_map(|(base, exponent)| Node::Power(base, exponent)),
            of(vec![Operator::Add, Operator::Subtract], inner.clone().boxed()),
            of(vec![Operator::Multiply, Operator::Divide, Operator::Remainder], inner.clone().boxed()),
            (boxed(), prop::sample::select(Comparison::ALL.to_vec()), boxed())
                .prop_map(|(left, comparison, right)| Node::Compare(left, comparison, right)),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|values| Node::Call(Function::Max, values)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(node in node()) {
        let written = Expression(node.clone()).to_string();
        prop_assume!(written.len() <= MAX_CHARS);
        prop_assert_eq!(Expression::parse(&written).map(|read| read.0), Ok(node), "{}", written);
    }

    #[test]
    fn any_text_is_survived(text in "[-+*/^%(),.<>=!0-9a-z_ €]{0,80}|.{0,40}") {
        if let Ok(read) = Expression::parse(&text) {
            let value = read.evaluate(&|_| Some(2.0));
            prop_assert!(value.is_err() || value.is_ok_and(f64::is_finite));
        }
    }
}
