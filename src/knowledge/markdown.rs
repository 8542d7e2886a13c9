//! The two things about Markdown that matter for knowledge: where its headings are, and what is code.
//!
//! Pure. Not a renderer: a line that looks like a heading to a reader is one.

/// The longest heading, in bytes. It stands with every chunk below it; what is longer is rather a text.
const MAX_HEADING_BYTES: usize = 200;

/// A heading line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heading {
    /// 1 is the outermost.
    pub(crate) level: usize,
    /// Its words, without marks.
    pub(crate) text: String,
    /// Byte offset at which its line begins.
    pub(crate) start: usize,
    /// Byte offset at which the text below it begins.
    pub(crate) end: usize,
}

/// The headings of `text`, in order: `# …` lines, and lines underlined with `===` or `---`.
pub(crate) fn headings(text: &str) -> impl Iterator<Item = Heading> + '_ {
    let mut fence = Fence::default();
    let mut lines = text.split_inclusive('\n').peekable();
    let mut offset = 0;
    let mut after_blank = true;
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let start = offset;
            offset += line.len();
            let could_be_underlined = std::mem::replace(&mut after_blank, line.trim().is_empty());
            if fence.contains(line) {
                continue;
            }
            if let Some((level, words)) = hash_heading(line) {
                return Some(Heading { level, text: plain(words), start, end: offset });
            }
            let underline = lines.peek().filter(|_| could_be_underlined).and_then(|next| underline_level(line, next));
            if let Some(level) = underline {
                offset += lines.next().map_or(0, str::len);
                return Some(Heading { level, text: plain(line), start, end: offset });
            }
        }
    })
}

fn hash_heading(line: &str) -> Option<(usize, &str)> {
    let trimmed = line.trim_start_matches(' ');
    let level = trimmed.chars().take_while(|c| *c == '#').count();
    let words = &trimmed[level..];
    let is_heading = line.len() - trimmed.len() < 4 && (1..=6).contains(&level) && words.starts_with([' ', '\t', '\n']);
    let is_heading = is_heading && words.len() <= MAX_HEADING_BYTES;
    is_heading.then(|| (level, words.trim().trim_end_matches('#')))
}

fn underline_level(line: &str, next: &str) -> Option<usize> {
    let words = line.trim();
    let is_prose = (1..=MAX_HEADING_BYTES).contains(&words.len())
        && !line.starts_with("    ")
        && !words.starts_with(['|', '-', '>', '*', '+', '=']);
    let underline = next.trim_end();
    let is_row_of = |mark: char| underline.len() >= 3 && underline.chars().all(|c| c == mark);
    match () {
        () if is_prose && is_row_of('=') => Some(1),
        () if is_prose && is_row_of('-') => Some(2),
        () => None,
    }
}

/// The words of a heading without emphasis and code marks.
fn plain(words: &str) -> String {
    words.replace(['*', '`'], "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Follows code fences line by line.
#[derive(Debug, Default)]
pub(crate) struct Fence(Option<(char, usize)>);

impl Fence {
    /// Whether `line` belongs to fenced code; the fences themselves do.
    pub(crate) fn contains(&mut self, line: &str) -> bool {
        let trimmed = line.trim_start_matches(' ');
        let indent = line.len() - trimmed.len();
        let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = mark.map_or(0, |mark| trimmed.chars().take_while(|c| *c == mark).count());
        match (self.0, mark) {
            // What stands behind backticks and has one itself is code within a line.
            (None, Some(mark)) if indent < 4 && run >= 3 && !(mark == '`' && trimmed[run..].contains('`')) => {
                self.0 = Some((mark, run));
                true
            }
            (None, _) => false,
            (Some((open, length)), Some(mark)) if mark == open && run >= length && trimmed[run..].trim().is_empty() => {
                self.0 = None;
                true
            }
            (Some(_), _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        headings(text).map(|heading| (heading.level, heading.text)).collect()
    }

    #[test]
    fn both_kinds_of_headings_are_found() {
        let text = "# One #\n\nTwo `x`\n---\ntext\n\nThree\n=====\n   ### **Four**\n";
        let expected = [(1, "One"), (2, "Two x"), (1, "Three"), (3, "Four")];
        assert_eq!(found(text), expected.map(|(level, words)| (level, words.to_owned())));
    }

    #[test]
    fn what_only_looks_like_a_heading_is_none() {
        let text =
            "#tag\n\n```sh\n# comment\n```\n    # code\n\n| a |\n---\n\n---\n\nprose\ngoes on\n---\n####### seven\n";
        assert_eq!(found(text), []);
    }

    #[test]
    fn what_is_endless_is_no_heading() {
        let words = "word ".repeat(50);
        assert_eq!(found(&format!("# {words}\n\n{words}\n===\n\n# {}\n", &words[..190])).len(), 1);
    }

    #[test]
    fn a_fence_ends_with_its_own_mark() {
        let mut fence = Fence::default();
        let inside: Vec<bool> =
            ["~~~~", "```", "~~~", "~~~~ x", "~~~~~", "text"].map(|line| fence.contains(line)).into();
        assert_eq!(inside, [true, true, true, true, true, false]);
    }

    #[test]
    fn code_within_a_line_opens_no_fence() {
        assert_eq!(found("```x``` is code\n\n# One\n\n~~~ a`b\n# two\n"), [(1, "One".to_owned())]);
    }

    proptest! {
        #[test]
        fn headings_are_in_order_and_on_character_boundaries(text in "([#=`~ \\-\n]|é|a){0,80}") {
            let mut last = 0;
            for heading in headings(&text) {
                prop_assert!(heading.start >= last && heading.end > heading.start);
                prop_assert!(text.get(heading.start..heading.end).is_some());
                last = heading.end;
            }
        }
    }
}
