//! What a question tells the mock to do, in three words. Pure.
//!
//! `call NAME {json}` calls a tool, `say "text"` says something, and `then` begins another round: what stands behind it
//! is done when the results are there. All other words mean nothing. So
//! `say "Let me see." and call calc {"expression":"6*7"} and call time {} then say "Done."` is a round with a text and two
//! calls, and one with a text alone.

use serde_json::{Map, Value};

/// One answer: a text, calls, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
}

/// A call that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// A JSON object, as it stands in the question.
    pub(super) arguments: String,
}

/// The rounds of a question, without calls of what is not offered.
pub(super) fn rounds(question: &str, offered: &[&str]) -> Vec<Round> {
    let mut rounds = vec![Round::default()];
    let mut rest = question;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let word = &rest[start..];
        let end = word.find(|c: char| !c.is_alphanumeric()).unwrap_or(word.len());
        let (word, behind) = word.split_at(end);
        rest = behind;
        let Some(round) = rounds.last_mut() else { break };
        match word.to_ascii_lowercase().as_str() {
            "then" if *round != Round::default() => rounds.push(Round::default()),
            "say" => {
                if let Some((text, behind)) = json::<String>(rest) {
                    round.text += &text;
                    rest = behind;
                }
            }
            "call" => {
                if let Some((call, behind)) = call(rest) {
                    round.calls.extend(Some(call).filter(|call| offered.contains(&call.name.as_str())));
                    rest = behind;
                }
            }
            _ => {}
        }
    }
    rounds.retain(|round| *round != Round::default());
    rounds
}

fn call(text: &str) -> Option<(Call, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !is_of_name(c))?;
    let (name, text) = text.split_at(end);
    let text = text.trim_start();
    let (_, behind) = json::<Map<String, Value>>(text)?;
    let arguments = text[..text.len() - behind.len()].to_owned();
    Some((Call { name: name.to_owned(), arguments }, behind)).filter(|(call, _)| !call.name.is_empty())
}

/// A value at the beginning of a text, and what follows it.
fn json<T: serde::de::DeserializeOwned>(text: &str) -> Option<(T, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

/// What names of tools are made of.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round(text: &str, calls: &[(&str, &str)]) -> Round {
        let call = |&(name, arguments): &(&str, &str)| Call { name: name.into(), arguments: arguments.into() };
        Round { text: text.into(), calls: calls.iter().map(call).collect() }
    }

    #[test]
    fn a_question_says_what_is_done() {
        let calc = r#"{"expression": "then call time {}"}"#;
        for (question, expected) in [
            ("What is a rivulet?", vec![]),
            ("call me, then say nothing and call time later", vec![]),
            ("call time {}", vec![round("", &[("time", "{}")])]),
            ("Well then: Call time{}", vec![round("", &[("time", "{}")])]),
            (&format!("call calc {calc} and call time {{}}."), vec![round("", &[("calc", calc), ("time", "{}")])]),
            (
                "Say \"I \\\"look\\\".\" call time {}\ncall calc {\"a\":1}",
                vec![round("I \"look\".", &[("time", "{}"), ("calc", r#"{"a":1}"#)])],
            ),
            ("call time {} then say \"Done.\"", vec![round("", &[("time", "{}")]), round("Done.", &[])]),
            ("call other {} then call time {}", vec![round("", &[("time", "{}")])]),
            ("call time {\"a\": and call time [] and call {}", vec![]),
        ] {
            assert_eq!(rounds(question, &["calc", "time"]), expected, "{question}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_question(text in ".{0,200}", words in "(call|say|then|time|\\{|\\}|\"| |é|\\\\){0,40}") {
            for question in [text, words] {
                let rounds = rounds(&question, &["time"]);
                prop_assert!(rounds.iter().all(|round| *round != Round::default()));
            }
        }
    }
}
