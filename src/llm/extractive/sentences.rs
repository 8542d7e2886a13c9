//! Sentences out of Markdown: what of a passage can stand in an answer by itself. Pure.
//!
//! Headings, code, rules and lead-ins are no sentences. List items are, table rows become some, and a question that
//! stands alone (as in a list of frequent questions) is the heading of what follows it.

use unicode_segmentation::UnicodeSegmentation;

/// A sentence of a passage, as plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// The text with its end mark, without markup.
    pub(super) text: String,
    /// The headings, questions and lead-ins that it stands under.
    pub(super) context: String,
    /// Which paragraph of the passage it is in: only there has it neighbours.
    pub(super) block: usize,
    /// Whether it is a row of a table: rows resemble one another and still say different things.
    pub(super) is_row: bool,
    /// Whether the passage's borders seem to have cut it.
    pub(super) is_fragment: bool,
}

/// The most characters of a sentence; what is longer is rather a text without marks.
const MAX_SENTENCE_CHARS: usize = 500;
/// The most bytes of headings and lead-ins that go along with every sentence below them.
const MAX_CONTEXT_BYTES: usize = 400;
/// The most words of a list that is told as one sentence.
const MAX_LIST_WORDS: usize = 60;
/// Items of fewer words say nothing without the line above them.
const SHORT_ITEM_WORDS: usize = 14;

/// A paragraph, a list item or a table row, as plain text.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    Heading(String),
    Paragraph(String),
    Item(String),
    Row(String),
}

/// The sentences of `markdown`, in their order.
pub(super) fn sentences(markdown: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut lead_in = String::new();
    let mut blocks = blocks(markdown).into_iter().enumerate().peekable();
    while let Some((number, block)) = blocks.next() {
        let context = format!("{heading} {lead_in}");
        match block {
            Block::Heading(text) => (heading, lead_in) = (text, String::new()),
            Block::Paragraph(text) if text.ends_with('?') && split(&text).len() == 1 => {
                (heading, lead_in) = (text, String::new());
            }
            Block::Paragraph(text) if text.ends_with(':') => {
                let mut parts = split(&text);
                lead_in = parts.pop().unwrap_or_default();
                push(&mut found, parts, &heading, number);
                let mut items = Vec::new();
                while let Some((_, Block::Item(item))) = blocks.next_if(|(_, block)| matches!(block, Block::Item(_))) {
                    items.push(item);
                }
                push_list(&mut found, &lead_in, items, &heading, number);
            }
            Block::Paragraph(text) => {
                lead_in.clear();
                push(&mut found, split(&text), &heading, number);
            }
            Block::Item(text) => {
                push(&mut found, split(&text).into_iter().map(end_with_mark).collect(), &context, number)
            }
            Block::Row(text) => {
                push(&mut found, vec![end_with_mark(text)], &context, number);
                if let Some(row) = found.last_mut() {
                    row.is_row = true;
                }
            }
        }
    }
    mark_fragments(&mut found);
    found
}

fn push(found: &mut Vec<Sentence>, texts: Vec<String>, context: &str, block: usize) {
    let sentences = texts.into_iter().filter(|text| text.chars().any(char::is_alphanumeric));
    let context = context.trim();
    let context = &context[..context.floor_char_boundary(MAX_CONTEXT_BYTES)];
    found.extend(sentences.map(|text| Sentence {
        text: shortened(text),
        context: context.to_owned(),
        block,
        is_row: false,
        is_fragment: false,
    }));
}

/// At most [`MAX_SENTENCE_CHARS`] of a sentence, up to the end of a word if there is one.
fn shortened(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(MAX_SENTENCE_CHARS) else {
        return text;
    };
    let most = &text[..end];
    format!("{}…", most.rfind(' ').map_or(most, |at| &most[..at]))
}

/// A list under a lead-in: one sentence when its items are short, else a sentence each.
fn push_list(found: &mut Vec<Sentence>, lead_in: &str, items: Vec<String>, heading: &str, block: usize) {
    let words = |text: &str| text.unicode_words().count();
    let total: usize = items.iter().map(|item| words(item)).sum::<usize>() + words(lead_in);
    if !items.is_empty()
        && total <= MAX_LIST_WORDS
        && items.iter().all(|item| words(item) <= SHORT_ITEM_WORDS && split(item).len() == 1)
    {
        let items: Vec<&str> = items.iter().map(|item| item.trim_end_matches(['.', ';', ','])).collect();
        push(found, vec![end_with_mark(format!("{lead_in} {}", items.join("; ")))], heading, block);
        return;
    }
    let context = format!("{heading} {lead_in}");
    for item in items {
        push(found, split(&item).into_iter().map(end_with_mark).collect(), &context, block);
    }
}

/// The first sentence may have lost its beginning to the passage before, the last one its end.
fn mark_fragments(found: &mut [Sentence]) {
    if let Some(first) = found.first_mut() {
        first.is_fragment = first.text.chars().next().is_some_and(char::is_lowercase);
    }
    for sentence in found {
        sentence.is_fragment |= !sentence.text.ends_with(['.', '!', '?', '…', ')', '"', '”', '。', '！', '？']);
    }
}

/// A list item or a row as a sentence: with a capital and an end mark.
fn end_with_mark(text: String) -> String {
    let text = text.trim().trim_end_matches([',', ';']);
    let first_word = text.split(' ').next().unwrap_or("");
    let mut out = String::with_capacity(text.len() + 1);
    let mut chars = text.chars();
    match chars.next() {
        // Names such as `iPhone` keep their form.
        Some(first) if first_word.chars().all(|c| !c.is_uppercase()) => out.extend(first.to_uppercase()),
        first => out.extend(first),
    }
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '!', '?', '…', ':']) {
        out.push('.');
    }
    out
}

/// Cuts plain text into sentences: by Unicode's rules, but not after abbreviations and initials.
fn split(text: &str) -> Vec<String> {
    const ABBREVIATIONS: &[&str] = &[
        "dr", "mr", "mrs", "ms", "prof", "st", "no", "nr", "vs", "e.g", "i.e", "approx", "ca", "fig", "inc", "ltd",
        "co", "z.b", "bzw", "usw", "p", "pp", "max", "min", "art", "sec",
    ];
    let mut sentences: Vec<String> = Vec::new();
    let mut goes_on = false;
    for part in text.split_sentence_bounds() {
        match sentences.last_mut() {
            Some(last) if goes_on => last.push_str(part),
            _ => sentences.push(part.to_owned()),
        }
        let word = part.trim_end().rsplit([' ', '(']).next().unwrap_or("");
        // Without a space after it, a mark is part of a name or of code.
        let is_open = part.ends_with(['.', '?', '!']);
        goes_on = is_open
            || word.strip_suffix('.').is_some_and(|word| {
                let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
                is_initial || ABBREVIATIONS.iter().any(|short| word.eq_ignore_ascii_case(short))
            });
    }
    sentences.into_iter().map(|sentence| sentence.trim().to_owned()).filter(|sentence| !sentence.is_empty()).collect()
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // The block that the next line may go on with.
    let mut open: Option<Block> = None;
    let mut header: Option<Vec<String>> = None;
    let lines = without_code(markdown);
    for (at, line) in lines.iter().copied().enumerate() {
        if !line.starts_with('|') {
            header = None;
        }
        if line.is_empty() || is_rule(line) {
            // `===` and `---` below a line make it a heading.
            if let Some(Block::Paragraph(text)) = open.take_if(|_| line.starts_with(['=', '-'])) {
                open = Some(Block::Heading(text));
            }
            close(&mut blocks, &mut open);
        } else if let Some(text) = heading(line) {
            close(&mut blocks, &mut open);
            blocks.push(Block::Heading(plain(text)));
        } else if line.starts_with('|') {
            close(&mut blocks, &mut open);
            let is_head = lines.get(at + 1).is_some_and(|next| is_table_rule(next));
            row(line, is_head, &mut header, &mut blocks);
        } else if let Some(text) = item(line) {
            close(&mut blocks, &mut open);
            open = Some(Block::Item(text.to_owned()));
        } else if let Some(Block::Paragraph(text) | Block::Item(text)) = &mut open {
            text.push(' ');
            text.push_str(line);
        } else {
            open = Some(Block::Paragraph(line.to_owned()));
        }
    }
    close(&mut blocks, &mut open);
    blocks
}

fn close(blocks: &mut Vec<Block>, open: &mut Option<Block>) {
    let block = match open.take() {
        Some(Block::Paragraph(text)) => Block::Paragraph(plain(&text)),
        Some(Block::Item(text)) => Block::Item(plain(&text)),
        Some(Block::Heading(text)) => Block::Heading(plain(&text)),
        Some(Block::Row(_)) | None => return,
    };
    blocks.push(block);
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3 && ["-", "=", "*", "_"].iter().any(|mark| line.replace(' ', "").replace(mark, "").is_empty())
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let depth = line.len() - text.len();
    ((1..=6).contains(&depth) && text.starts_with(' ')).then(|| text.trim().trim_end_matches('#').trim_end())
}

/// The text of a list item, bullets, numbers and check boxes taken off.
fn item(line: &str) -> Option<&str> {
    let text = match line.strip_prefix(['-', '*', '+', '•']) {
        Some(text) => text,
        None => {
            let text = line.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = line.len() - text.len();
            text.strip_prefix(['.', ')']).filter(|_| (1..=3).contains(&digits))?
        }
    };
    let text = text.strip_prefix(' ')?.trim_start();
    Some(text.strip_prefix("[ ] ").or_else(|| text.strip_prefix("[x] ")).unwrap_or(text))
}

/// The lines of `markdown` without quotation marks, and an empty one in place of every line of fenced code.
fn without_code(markdown: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = markdown.lines().map(|line| line.trim().trim_start_matches('>').trim_start()).collect();
    let mut open: Option<(char, usize)> = None;
    let mut is_first = true;
    for at in 0..lines.len() {
        let found = fence(lines[at]);
        let is_first = found.is_some() && std::mem::take(&mut is_first);
        match (open, found) {
            // A passage may begin inside of code: then its first fence, without any prose before it, is the end.
            (None, Some((_, _, ""))) if is_first && is_code_before(&lines, at) => lines[..=at].fill(""),
            (None, Some((mark, length, _))) => {
                open = Some((mark, length));
                lines[at] = "";
            }
            (Some(_), _) => {
                let closes = |(mark, length, info): (char, usize, &str)| {
                    info.is_empty() && open.is_some_and(|(opened, least)| mark == opened && length >= least)
                };
                open = open.filter(|_| !found.is_some_and(closes));
                lines[at] = "";
            }
            (None, None) => {}
        }
    }
    lines
}

/// Whether the first fence of a passage, at line `at`, ends code that began before the passage: nothing before it reads
/// like prose, and the fences after it are in pairs.
fn is_code_before(lines: &[&str], at: usize) -> bool {
    let is_prose = |line: &&str| heading(line).is_some() || line.ends_with(['.', ':', '!', '?', ',']);
    let before = &lines[..at];
    let after = lines[at + 1..].iter().filter(|line| fence(line).is_some()).count();
    after % 2 == 0 && before.iter().any(|line| !line.is_empty()) && !before.iter().any(is_prose)
}

/// The mark of a code fence, how often it stands there, and what follows. An info text has no backtick after backticks:
/// that is code within a line.
fn fence(line: &str) -> Option<(char, usize, &str)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = line.trim_start_matches(mark);
    let length = line.len() - info.len();
    (length >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, length, info.trim()))
}

fn is_table_rule(line: &str) -> bool {
    line.starts_with('|') && line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

/// A table row as `column: cell` pairs. A row above a rule names the columns; the passage may have lost it.
fn row(line: &str, is_head: bool, header: &mut Option<Vec<String>>, blocks: &mut Vec<Block>) {
    let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| plain(cell.trim())).collect();
    if is_head {
        *header = Some(cells);
        return;
    }
    if is_table_rule(line) {
        return;
    }
    let columns = header.as_deref().unwrap_or_default();
    let pairs = cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
    let pairs = pairs.map(|(at, cell)| match columns.get(at).filter(|column| !column.is_empty()) {
        Some(column) => format!("{column}: {cell}"),
        None => cell.clone(),
    });
    blocks.push(Block::Row(pairs.collect::<Vec<_>>().join(", ")));
}

/// Text without inline markup: emphasis, code marks, links, images, footnote marks, tags.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' if after.starts_with(|c: char| c.is_ascii_punctuation()) => {
                out.push_str(&after[..1]);
                &after[1..]
            }
            '*' | '`' => after,
            // Within a word it is a letter like any other.
            '_' if out.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric) => {
                out.push(c);
                after
            }
            '_' => after,
            '!' if after.starts_with('[') => link(&after[1..]).map_or(after, |(_, rest)| rest),
            '[' => match link(after) {
                Some((label, rest)) => {
                    out.push_str(&plain(label));
                    rest
                }
                None => footnote(after).unwrap_or_else(|| {
                    out.push(c);
                    after
                }),
            },
            '<' => tag(after).unwrap_or_else(|| {
                out.push(c);
                after
            }),
            _ => {
                out.push(c);
                after
            }
        };
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

// None of these looks further than to where the next of its kind could begin, so that a row of beginnings without ends
// is read in one go.

/// What follows `[`, if it is `label](address)`: the label, and what comes after.
fn link(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.split_at(text.find(['[', ']'])?);
    let address = rest.strip_prefix("](")?;
    let end = address.find([')', ' ', '['])?;
    Some((label, address[end..].strip_prefix(')')?))
}

/// What follows `[`, if it is `^1]` or `1]`: marks that would be mistaken for our own.
fn footnote(text: &str) -> Option<&str> {
    let mark = text.strip_prefix('^').unwrap_or(text);
    let rest = mark.trim_start_matches(|c: char| c.is_ascii_digit());
    (1..=3).contains(&(mark.len() - rest.len())).then_some(rest)?.strip_prefix(']')
}

/// What follows `<`, if it is a tag.
fn tag(text: &str) -> Option<&str> {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!').then_some(())?;
    text[text.find(['<', '>'])?..].strip_prefix('>')
}

#[cfg(test)]
mod tests;
