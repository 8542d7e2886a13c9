//! Licence expressions as crates have them (SPDX), read as far as it takes to say what has to be allowed. Pure.

use std::collections::BTreeSet;

/// The sets of licences of which one has to be allowed as a whole; `None` where the text is no expression. `/` is how `OR`
/// was once written.
pub(super) fn ways(text: &str) -> Option<Vec<BTreeSet<String>>> {
    let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let read = either(&mut words)?;
    words.next().is_none().then_some(read)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>) -> Option<Vec<BTreeSet<String>>> {
    let mut ways = both(words)?;
    while words.next_if_eq(&"OR").is_some() {
        ways.extend(both(words)?);
    }
    Some(ways)
}

fn both(words: &mut Words<'_>) -> Option<Vec<BTreeSet<String>>> {
    let mut ways = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        let others = one(words)?;
        ways = ways.iter().flat_map(|way| others.iter().map(move |other| way | other)).collect();
    }
    Some(ways)
}

fn one(words: &mut Words<'_>) -> Option<Vec<BTreeSet<String>>> {
    match words.next()? {
        "(" => {
            let inside = either(words)?;
            (words.next()? == ")").then_some(inside)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        name => {
            let exception = match words.next_if_eq(&"WITH") {
                Some(_) => format!(" WITH {}", words.next()?),
                None => String::new(),
            };
            Some(vec![BTreeSet::from([format!("{name}{exception}")])])
        }
    }
}

#[test]
fn expressions_say_what_has_to_be_allowed() {
    for (text, expected) in [
        ("MIT", Some("MIT")),
        ("MIT OR Apache-2.0", Some("MIT | Apache-2.0")),
        ("Unlicense/MIT", Some("Unlicense | MIT")),
        ("Apache-2.0 / MIT", Some("Apache-2.0 | MIT")),
        ("MIT AND BSD-3-Clause", Some("BSD-3-Clause+MIT")),
        ("A OR B AND C", Some("A | B+C")),
        ("(A OR B) AND C", Some("A+C | B+C")),
        ("Apache-2.0 WITH LLVM-exception OR MIT", Some("Apache-2.0 WITH LLVM-exception | MIT")),
        ("", None),
        ("MIT OR", None),
        ("MIT Apache-2.0", None),
        ("(MIT", None),
        ("MIT)", None),
        ("MIT WITH", None),
    ] {
        let read = ways(text).map(|ways| {
            let ways = ways.iter().map(|way| way.iter().cloned().collect::<Vec<_>>().join("+"));
            ways.collect::<Vec<_>>().join(" | ")
        });
        assert_eq!(read.as_deref(), expected, "{text}");
    }
}
