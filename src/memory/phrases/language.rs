//! What is to be known of a language to understand what its users tell of themselves. Pure.

use regex::Regex;

use super::rule::Rule;

/// A language.
#[derive(Debug)]
pub(super) struct Language {
    /// Whoever says so wants something remembered: `v`.
    pub(super) explicit: Regex,
    /// Whoever says so wants something forgotten, or a task done with it.
    pub(super) forget: Regex,
    /// A sentence with one of these is no statement about how things are.
    pub(super) hedge: Regex,
    /// Where a clause ends and the next begins, with `next`.
    pub(super) joint: Regex,
    /// A word that stands for the user.
    pub(super) own: Regex,
    /// A question begins like that, or has it anywhere.
    pub(super) question: Regex,
    /// What clauses say, the first that fits counts.
    pub(super) rules: Vec<Rule>,
    /// What questions ask for, and the attribute; where that ends with a blank or is empty, `k` belongs to it.
    pub(super) asked: Vec<(Regex, &'static str)>,
}
