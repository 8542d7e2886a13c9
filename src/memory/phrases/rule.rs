//! What a rule is, and what it finds in a clause. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    pattern::pattern,
    relations::relation,
    value::{Value, is_partial, until_behind, valued},
};

/// The longest attribute, in bytes.
pub(super) const MAX_ATTRIBUTE: usize = 60;

/// What a clause is about that a rule knows.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// Of this there is one.
    One(&'static str),
    /// One for each value.
    Many(&'static str),
    /// The same, and the other does not hold at the same time.
    Either(&'static str, &'static str),
    /// One for whom the clause names as `k`: a relative or an animal.
    Relation,
    /// One for what the clause names as `k`, behind this word.
    Named(&'static str),
    /// It is over: that of the value, or whatever it was where no value is named.
    Over(&'static str),
    /// That of the value, of which there are many, is over.
    OverMany(&'static str),
}

/// A rule: what a clause of this form says.
#[derive(Debug)]
pub(super) struct Rule {
    pattern: Regex,
    about: About,
    value: Value,
    /// Whether it says that something is not so any more: no other holds for clauses that do.
    denies: bool,
    /// Whether it is for clauses behind "dass", which stand alone where something is asked to be remembered.
    is_subordinate: bool,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it is about.
    pub(super) attribute: String,
    /// What it says of that: a place, a name; of work the trade and the firm. Empty where none is named.
    pub(super) values: Vec<String>,
    /// The attributes of facts that hold no longer.
    pub(super) ends: Vec<String>,
    /// Whether it says that this value of its attribute holds no longer, and nothing of others.
    pub(super) is_over: bool,
}

impl Rule {
    /// A rule for clauses that begin with this pattern.
    pub(super) fn new(about: About, value: Value, text: &str) -> Self {
        let denies = matches!(about, About::Over(_) | About::OverMany(_));
        Self { pattern: pattern(&format!("^(?:{text})")), about, value, denies, is_subordinate: false }
    }

    /// The same, of what is not so, or not any more.
    pub(super) fn denial(about: About, value: Value, text: &str) -> Self {
        Self { denies: true, ..Self::new(about, value, text) }
    }

    /// The same, behind "dass" alone.
    pub(super) fn subordinate(self) -> Self {
        Self { is_subordinate: true, ..self }
    }

    /// Whether it is for clauses behind "dass" alone.
    pub(super) const fn is_subordinate(&self) -> bool {
        self.is_subordinate
    }

    /// What it finds in a clause; `is_greeting`: its user greets with it.
    pub(super) fn find(&self, clause: &str, is_greeting: bool) -> Option<Found> {
        let captures = self.pattern.captures(clause)?;
        if !self.denies && NO_MORE.is_match(clause) {
            return None;
        }
        if self.denies && matches!(self.about, About::Either(..)) && AT_TIMES.is_match(clause) {
            return None;
        }
        let named = captures.name("v").map_or("", |value| value.as_str());
        if matches!(self.about, About::Over(_)) && is_partial(self.value, named) {
            return None;
        }
        let value = valued(self.value, named, is_greeting || MET.is_match(clause))?;
        let key = captures.name("k").map_or("", |key| key.as_str());
        let attribute = match self.about {
            About::One(attribute) | About::Over(attribute) => attribute.to_owned(),
            About::Many(of) | About::Either(of, _) | About::OverMany(of) => short(format!("{of}:{value}")),
            About::Relation => short(relation(key)?),
            About::Named("") => short(key.to_lowercase()),
            About::Named(of) => short(format!("{of} {}", key.to_lowercase())),
        };
        let mut values: Vec<String> = Some(value.clone()).filter(|value| !value.is_empty()).into_iter().collect();
        if matches!(self.value, Value::Work | Value::Workplace) {
            let firms = WHERE.split(until_behind(named)).skip(1);
            values.extend(firms.filter_map(|firm| valued(Value::Workplace, firm, false)));
        }
        let is_over = matches!(self.about, About::Over(_)) && !values.is_empty();
        let mut ends = if is_over { Vec::new() } else { vec![attribute.clone()] };
        if let About::Either(_, other) = self.about {
            ends.push(short(format!("{other}:{value}")));
        }
        Some(Found { attribute, values, ends, is_over })
    }
}

fn short(attribute: String) -> String {
    let end = (0..=MAX_ATTRIBUTE).rev().find(|at| attribute.is_char_boundary(*at)).unwrap_or(0);
    if attribute.len() <= MAX_ATTRIBUTE { attribute } else { attribute[..end].trim_end().to_owned() }
}

/// What stands between a trade and a firm.
static WHERE: LazyLock<Regex> = LazyLock::new(|| pattern(r" (?:at|for|with|bei|beim|für) "));
/// A clause that says that something is over.
static NO_MORE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:no (?:more|longer)|any ?more|any longer|not any ?more)(?: at all| now| these days| either)?$|\bno longer\b",
        r"|\bnicht (?:mehr|länger)\b|\bkein\w* .+ mehr$|\bnimmer(?:mehr)?$|\bauch nicht$"
    ))
});
/// What is not liked at times may be liked at others.
static AT_TIMES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r" (?:when|while|after|before|unless|nach|vor|nachdem|bevor|in the (?:morning|evening|afternoon)|at night|abends|morgens|nachts)(?: |$)",
    )
});
/// Whoever says so has just said who they are.
static MET: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:nice|pleased|good|great|lovely) to meet you\b"));
