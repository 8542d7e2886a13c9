//! A dialogue that is rehearsed: what is said, and what must come of it. Pure.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::heard::Heard;

/// A dialogue as a file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dialogue {
    /// Who is talked to; the default one when not said.
    #[serde(default)]
    pub(super) assistant: Option<String>,
    #[serde(rename = "turn")]
    pub(super) turns: Vec<Turn>,
}

/// Something that is said.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Turn {
    pub(super) does: Does,
    /// Whether it begins another conversation.
    pub(super) new: bool,
    pub(super) expect: Expected,
}

/// A turn as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    say: Option<String>,
    decide: Option<Decided>,
    #[serde(default)]
    new: bool,
    #[serde(default)]
    expect: Expected,
}

impl TryFrom<Written> for Turn {
    type Error = &'static str;
    fn try_from(Written { say, decide, new, expect }: Written) -> Result<Self, &'static str> {
        let does = match (say, decide) {
            (Some(text), None) => Does::Say(text),
            (None, Some(decided)) => Does::Decide(decided),
            _ => return Err("a turn needs either `say` or `decide`"),
        };
        Ok(Self { does, new, expect })
    }
}

/// What one does in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Does {
    /// One says this.
    Say(String),
    /// One allows the call that waits, or does not.
    Decide(Decided),
}

/// What one says to a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decided {
    Approved,
    Denied,
}

impl Decided {
    /// The word for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Say(text) => f.write_str(text),
            Self::Decide(decided) => write!(f, "({})", decided.as_str()),
        }
    }
}

/// What must come of it. What is not said is not looked at, but for the status of the answer, which is `complete` then.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expected {
    /// All of these stand in the answer.
    pub(super) text: Vec<String>,
    /// None of these does.
    pub(super) not: Vec<String>,
    /// A tool that is called; `none`: none is.
    pub(super) tool: Option<String>,
    /// Arguments of such a call, among others.
    pub(super) args: toml::Table,
    /// The status of the answer, or of such a call.
    pub(super) status: Option<String>,
    /// Stands in the title or the address of a source.
    pub(super) source: Option<String>,
}

/// What a turn expects where no tool shall be called.
const NO_TOOL: &str = "none";

impl Expected {
    /// What is otherwise than expected, a line each.
    pub(super) fn missed(&self, heard: &Heard) -> Vec<String> {
        let mut missed = Vec::new();
        for text in self.text.iter().filter(|text| !heard.text.contains(*text)) {
            missed.push(format!("\"{text}\" is not in the answer"));
        }
        for text in self.not.iter().filter(|text| heard.text.contains(*text)) {
            missed.push(format!("\"{text}\" is in the answer"));
        }
        let names: Vec<&str> = heard.calls.iter().map(|call| call.tool.as_str()).collect();
        let called = if names.is_empty() { "no tool".to_owned() } else { names.join(", ") };
        let mut calls: Vec<_> = heard.calls.iter().collect();
        match self.tool.as_deref() {
            Some(NO_TOOL) if !names.is_empty() => missed.push(format!("no tool is to be called, and {called} was")),
            None | Some(NO_TOOL) => {}
            Some(tool) => {
                calls.retain(|call| call.tool == tool);
                if calls.is_empty() {
                    missed.push(format!("{tool} is to be called, and {called} was"));
                }
            }
        }
        let args: Vec<(&String, Value)> =
            self.args.iter().map(|(name, value)| (name, serde_json::to_value(value).unwrap_or_default())).collect();
        let has_them =
            |args: &[(&String, Value)], sent: &Value| args.iter().all(|(name, value)| is_same(&sent[*name], value));
        if !args.is_empty() && !calls.is_empty() && !calls.iter().any(|call| has_them(&args, &call.args)) {
            let sent: Vec<String> = calls.iter().map(|call| call.args.to_string()).collect();
            missed.push(format!("no call has the arguments {}, but {}", self.args, sent.join(" and ")));
        } else if !args.is_empty() && calls.is_empty() && self.tool.is_none() {
            missed.push("a call is to have arguments, and no tool was called".to_owned());
        }
        let status = self.status.as_deref().unwrap_or("complete");
        if heard.status != status && !calls.iter().any(|call| call.status == status) {
            let others: Vec<String> = calls.iter().map(|call| format!(", {} {}", call.tool, call.status)).collect();
            missed.push(format!("the status is to be {status}, and the answer is {}{}", heard.status, others.concat()));
        }
        if let Some(source) = &self.source
            && !heard.sources.iter().any(|known| known.contains(source))
        {
            missed.push(format!("\"{source}\" is none of the sources ({})", heard.sources.join(", ")));
        }
        missed
    }
}

/// Whether two values are the same; 5 and 5.0 are.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::rehearse::heard::Called;

    fn heard() -> Heard {
        Heard {
            text: "16,251.22 a month [1]".to_owned(),
            calls: vec![Called {
                id: "c".to_owned(),
                tool: "emi".to_owned(),
                args: json!({"principal": 500_000, "annual_rate": 10.5, "months": 36}),
                status: "ok".to_owned(),
            }],
            sources: vec!["Fees docs/fees.md".to_owned()],
            waits: None,
            status: "complete".to_owned(),
        }
    }

    fn missed(expected: &str) -> Vec<String> {
        let text = format!("[[turn]]\nsay = \"x\"\n{expected}");
        let dialogue: Dialogue = toml::from_str(&text).unwrap_or_else(|error| panic!("{expected}: {error}"));
        dialogue.turns[0].expect.missed(&heard())
    }

    #[test]
    fn what_is_as_expected_is_no_word_worth() {
        for fine in [
            "",
            "expect.text = [\"16,251.22\", \"a month\"]",
            "expect.not = [\"a year\"]",
            "expect.tool = \"emi\"\nexpect.args = { principal = 500000.0, months = 36 }",
            "expect.status = \"ok\"",
            "expect.status = \"complete\"",
            "expect.source = \"fees.md\"",
        ] {
            assert_eq!(missed(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn what_is_not_is_told() {
        for (expected, told) in [
            ("expect.text = [\"a month\", \"a year\"]", "\"a year\" is not in the answer"),
            ("expect.not = [\"a month\"]", "\"a month\" is in the answer"),
            ("expect.tool = \"none\"", "no tool is to be called, and emi was"),
            ("expect.tool = \"calc\"", "calc is to be called, and emi was"),
            ("expect.args = { months = 35 }", "no call has the arguments"),
            ("expect.status = \"invalid\"", "the status is to be invalid, and the answer is complete, emi ok"),
            ("expect.source = \"rates\"", "\"rates\" is none of the sources (Fees docs/fees.md)"),
        ] {
            let missed = missed(expected);
            assert!(missed.len() == 1 && missed[0].starts_with(told), "{expected}: {missed:?}");
        }
        let unknown = toml::from_str::<Dialogue>("[[turn]]\nsay = \"x\"\nexpect.txt = [\"a\"]");
        assert!(unknown.is_err_and(|error| error.to_string().contains("unknown field `txt`")));
    }
}
