//! The faults that docs/upstream.md promises something for: its tables, read as they are.

use std::{fs, path::Path};

/// A fault by its name, and what clients see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Documented {
    /// As it stands there, `N` and all.
    pub(crate) pattern: String,
    /// As the mock takes it.
    pub(crate) name: String,
    /// The status of a run with a single target that is asked once.
    pub(crate) status: String,
    /// The code of its error.
    pub(crate) code: Option<String>,
    /// What happens when there is another target.
    pub(crate) then: Then,
}

/// What a second target is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: the first one's answer stays as it is.
    Same,
    /// It answers, and nobody sees that another one was asked before.
    Other,
    /// It takes over, and everybody is told.
    Failover,
    /// Nothing: the first one itself withdraws what it has said, and everybody is told.
    Withdrawn,
}

/// What the letters in the names stand for here.
const VALUES: [(&str, &str); 9] = [
    ("SECONDS", "60"),
    ("REASON", "eos"),
    ("SHAPE", "html"),
    ("CODE", "504"),
    ("MS", "200"),
    ("KIND", "json"),
    ("NAME", "none"),
    ("WORDS", "code"),
    (":N", ":4"),
];

/// Every fault in the tables, but those about retries. After those that make a target rest nobody asks it any more, so
/// they come last.
pub(crate) fn documented() -> Vec<Documented> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/upstream.md")).unwrap();
    let section = text.split_once("## Faults to try it with").unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut faults: Vec<Documented> = rows
        .flat_map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
            let [names, _, single, other] = cells[..] else { panic!("{row}") };
            let told = quoted(single);
            let then = match other.trim() {
                "the same" => Then::Same,
                other if other.starts_with("`failover` to itself") => Then::Withdrawn,
                other if other.starts_with("`failover`") => Then::Failover,
                _ => Then::Other,
            };
            let told = (told.first().map(ToString::to_string), told.get(1).map(ToString::to_string));
            quoted(names).into_iter().filter_map(move |pattern| {
                let name = VALUES.iter().fold(pattern.to_owned(), |name, (letter, value)| name.replace(letter, value));
                let (status, code) = told.clone();
                Some(Documented { pattern: pattern.to_owned(), name, status: status?, code, then })
            })
        })
        .collect();
    faults.sort_by_key(|fault| fault.name.starts_with("status:429:"));
    faults
}

/// What stands in backticks, as far as it is a word of the protocol or a fault.
fn quoted(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|word| !word.contains("_s") || word.starts_with("upstream")).collect()
}
