//! Text that addresses a model rather than a reader. Pure.
//!
//! Few patterns, and each of them a whole phrase that manuals, letters and articles hardly have: a document that is held
//! back without need costs an administrator's time. They find the clumsy attempts; that passages are quotation is what
//! holds against the others.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// The longest words that are shown of a finding, in characters.
const MAX_SHOWN: usize = 120;

/// The patterns; blanks in them are any white space.
const PATTERNS: [&str; 10] = [
    // "Ignore all previous instructions", and its kin.
    r"\b(ignore|disregard|forget|override) (all |any )?(of )?(the |your |these |those |my )?(previous|prior|above|earlier|preceding|foregoing|existing|original|system) (and \w+ )?(instructions?|prompts?|directives?|guidelines|commands)\b",
    r"\b(ignore|disregard|forget) (everything|anything) (you were told|above|before this|you have been told)\b",
    // The same in other languages.
    r"\bignorier(e|en sie) (bitte )?(alle )?(die )?(vorherigen|vorigen|bisherigen|obigen) (anweisungen|befehle|vorgaben)\b",
    r"\bignore[zr]? (toutes )?(les )?instructions (précédentes|ci-dessus|antérieures)\b",
    r"\bignor(a|e|ar) (todas )?(las )?instrucciones (anteriores|previas)\b",
    // Another role.
    r"\byou are now (in )?(an? )?(dan|developer mode|jailbroken|unrestricted|unfiltered)\b",
    // What a model was told, out.
    r"\b(reveal|print|repeat|output|show|disclose) (me )?(all of )?your (system prompt|hidden instructions|initial instructions|system instructions)\b",
    // Behind the reader's back.
    r"\b(do not|don't|never) (tell|inform|mention (this|it) to|reveal (this|it) to) the user\b",
    // Marks that only prompts have.
    r"<\|(im_start|im_end|system|endoftext|start_header_id|eot_id)\|>",
    r"\[/?inst\]|<<sys>>",
];

static FOUND: LazyLock<Regex> = LazyLock::new(|| {
    let all = PATTERNS.map(|pattern| format!("(?:{})", pattern.replace(' ', r"\s+"))).join("|");
    #[expect(clippy::expect_used, reason = "the patterns are constant, and tried in tests")]
    RegexBuilder::new(&all).case_insensitive(true).build().expect("valid patterns")
});

/// The first words that address a model.
pub(super) fn found(text: &str) -> Option<String> {
    let found = FOUND.find(text)?.as_str();
    Some(found.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_SHOWN).collect())
}
