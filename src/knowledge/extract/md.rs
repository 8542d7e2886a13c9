//! Markdown: front matter is not shown to readers, nor what its markup hides, so it is not text.

use super::{error::ExtractError, hidden::strip_hidden, out::Out, visible::visible};
use crate::knowledge::markdown::headings;

/// The visible text, and the title, if the document names one.
pub(super) fn read(text: &str, out: &mut Out) -> Result<(), ExtractError> {
    let text = strip_hidden(text);
    let (title, body) = split_front_matter(&text);
    let body = visible(body);
    out.title = title;
    let first = headings(&body).next().map(|heading| heading.text);
    out.markdown(&body, first)
}
fn split_front_matter(text: &str) -> (Option<String>, &str) {
    let whole = (None, text);
    let Some(rest) = text.strip_prefix("---\n") else { return whole };
    // A rule is followed by an empty line or by prose; front matter by `key:`.
    let Some(end) = rest.find("\n---\n").or_else(|| rest.strip_suffix("\n---").map(str::len)) else { return whole };
    let block = &rest[..end];
    if !block.lines().next().is_some_and(|line| line.contains(':')) {
        return whole;
    }
    let title = block.lines().find_map(|line| line.strip_prefix("title:"));
    let title = title.map(|value| value.trim().trim_matches(['"', '\'']).to_owned());
    (title, rest.get(end + "\n---\n".len()..).unwrap_or(""))
}
