//! How patterns are written here. Pure.

use regex::{Regex, RegexBuilder};

/// A pattern: capitals do not matter, a blank is any white space.
#[expect(clippy::expect_used, reason = "the patterns are constant, and tried in tests")]
pub(super) fn pattern(text: &str) -> Regex {
    // A blank that may be missing stays one that may be.
    RegexBuilder::new(&text.replace(" ?", r"\s*").replace(' ', r"\s+"))
        .case_insensitive(true)
        .size_limit(64 << 20)
        .build()
        .expect("a valid pattern")
}
