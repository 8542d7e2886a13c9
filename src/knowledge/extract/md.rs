//! Markdown: front matter and comments are not shown to readers, so they are not text.

use std::ops::Range;

use crate::knowledge::markdown::{Fence, headings};

/// The title, if the document names one, and the visible text.
pub(super) fn read(text: &str) -> (Option<String>, String) {
    let (front_title, body) = split_front_matter(text);
    let body = strip_comments(body);
    let first = headings(&body).next().map(|heading| heading.text);
    let title = front_title.or(first).filter(|title| !title.is_empty());
    (title, body.trim().to_owned())
}

/// Takes a YAML block off the beginning. Only its `title` is understood.
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

/// The longest code span, in bytes. Bounds how far the end of one is looked for.
const MAX_SPAN_BYTES: usize = 2000;

/// Removes `<!-- … -->` outside of code. A comment that begins a line and never ends takes the rest with it, as in a
/// browser; one within a line ends in its paragraph, or is shown to readers as it stands.
fn strip_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut fence = Fence::default();
    let (mut at, mut line, mut paragraph_end) = (0, 0..0, 0);
    // No comment that begins before this ends within its paragraph.
    let mut unclosed_until = 0;
    while at < text.len() {
        if at >= line.end {
            let is_start = at == 0 || text[..at].ends_with('\n');
            line = at..text[at..].find('\n').map_or(text.len(), |length| at + length + 1);
            if is_start && fence.contains(&text[line.clone()]) {
                out.push_str(&text[line.clone()]);
                at = line.end;
                continue;
            }
        }
        let rest = &text[at..line.end];
        let Some(mark) = next_mark(rest) else {
            out.push_str(rest);
            at = line.end;
            continue;
        };
        out.push_str(&rest[..mark]);
        at += mark;
        if at >= paragraph_end {
            paragraph_end = end_of_paragraph(text, line.clone());
        }
        if text[at..].starts_with('`') {
            let end = end_of_code(text, at, paragraph_end);
            out.push_str(&text[at..end]);
            at = end;
            continue;
        }
        // `<!-->` is a whole comment.
        let inside = at + "<!".len();
        let begins_line = text[line.start..at].chars().all(|c| c.is_whitespace() || ">-*+.)0123456789".contains(c));
        let end = match (begins_line, at < unclosed_until) {
            (true, _) => Some(text[inside..].find("-->").map_or(text.len(), |length| inside + length + "-->".len())),
            (false, true) => None,
            (false, false) => text[inside..paragraph_end].find("-->").map(|length| inside + length + "-->".len()),
        };
        at = end.unwrap_or_else(|| {
            unclosed_until = paragraph_end;
            out.push_str("<!--");
            at + "<!--".len()
        });
    }
    out
}

/// Where the next run of backticks or the next comment begins.
fn next_mark(text: &str) -> Option<usize> {
    let mut marks = text.match_indices(['`', '<']).map(|(at, _)| at);
    marks.find(|&at| text[at..].starts_with('`') || text[at..].starts_with("<!--"))
}

/// Where the paragraph that `line` is in ends: before the next empty line or code fence.
fn end_of_paragraph(text: &str, line: Range<usize>) -> usize {
    let mut end = line.end;
    for next in text[line.end..].split_inclusive('\n') {
        let words = next.trim();
        if words.is_empty() || words.starts_with("```") || words.starts_with("~~~") {
            break;
        }
        end += next.len();
    }
    end
}

/// Where the code span that begins with the backticks at `start` ends; when it is none, where the backticks end.
fn end_of_code(text: &str, start: usize, paragraph_end: usize) -> usize {
    let run = |at: usize| text[at..].bytes().take_while(|byte| *byte == b'`').count();
    let opening = run(start);
    let inside = start + opening;
    let furthest = text.floor_char_boundary(paragraph_end.min(inside + MAX_SPAN_BYTES)).max(inside);
    let mut at = inside;
    while let Some(gap) = text[at..furthest].find('`') {
        let closing = run(at + gap);
        at += gap + closing;
        if closing == opening {
            return at;
        }
        if at >= furthest {
            break;
        }
    }
    inside
}
