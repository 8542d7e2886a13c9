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
    found.extend(sentences.map(|text| Sentence {
        text,
        context: context.trim().to_owned(),
        block,
        is_row: false,
        is_fragment: false,
    }));
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
    let mut fence = None;
    let mut header: Option<Vec<String>> = None;
    for line in markdown.lines() {
        let line = line.trim().trim_start_matches('>').trim_start();
        let marker = line.get(..3).filter(|marker| matches!(*marker, "```" | "~~~"));
        if fence.is_some() || marker.is_some() {
            match fence {
                None => fence = marker,
                Some(_) if marker == fence => fence = None,
                Some(_) => {}
            }
            close(&mut blocks, &mut open);
            continue;
        }
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
            row(line, &mut header, &mut blocks);
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

/// A table row as `column: cell` pairs. The first row names the columns.
fn row(line: &str, header: &mut Option<Vec<String>>, blocks: &mut Vec<Block>) {
    let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| plain(cell.trim())).collect();
    if line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' ')) {
        return;
    }
    let Some(columns) = header else {
        *header = Some(cells);
        return;
    };
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

/// What follows `[`, if it is `label](address)`: the label, and what comes after.
fn link(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.split_once("](")?;
    let (address, rest) = rest.split_once(')')?;
    (!label.contains(['[', ']']) && !address.contains(' ')).then_some((label, rest))
}

/// What follows `[`, if it is `^1]` or `1]`: marks that would be mistaken for our own.
fn footnote(text: &str) -> Option<&str> {
    let (mark, rest) = text.split_once(']')?;
    let mark = mark.strip_prefix('^').unwrap_or(mark);
    (!mark.is_empty() && mark.len() <= 3 && mark.chars().all(|c| c.is_ascii_digit())).then_some(rest)
}

/// What follows `<`, if it is a tag.
fn tag(text: &str) -> Option<&str> {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!').then_some(())?;
    text.split_once('>').map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(markdown: &str) -> Vec<String> {
        sentences(markdown).into_iter().map(|sentence| sentence.text).collect()
    }

    #[test]
    fn paragraphs_are_cut_at_sentences_and_not_at_abbreviations() {
        assert_eq!(
            texts("Dr. A. Miller sells e.g. tea.\nIt costs 3.50 € (approx. 4 USD). Is that much? No!"),
            ["Dr. A. Miller sells e.g. tea.", "It costs 3.50 € (approx. 4 USD).", "Is that much?", "No!"]
        );
    }

    #[test]
    fn markup_goes_and_words_stay() {
        assert_eq!(
            texts(
                "**Bold** and _it_ and `snake_case` with a [link](http://x/y_z) ![pic](p.png)and a note[^1] or [2]<br>."
            ),
            ["Bold and it and snake_case with a link and a note or ."]
        );
        assert_eq!(texts("```\nlet x = 1;\n```\n---\n<!-- no -->\nText \\*here\\*."), ["Text *here*."]);
    }

    #[test]
    fn headings_and_lone_questions_are_context() {
        let found = sentences("# Returns\n\nYou have 30 days.\n\n**How do I pay?**\n\nBy card.\n\nSetext\n---\nx y.");
        let pairs: Vec<_> = found.iter().map(|found| (found.text.as_str(), found.context.as_str())).collect();
        assert_eq!(pairs, [("You have 30 days.", "Returns"), ("By card.", "How do I pay?"), ("x y.", "Setext")]);
    }

    #[test]
    fn list_items_are_sentences_and_short_lists_one() {
        assert_eq!(
            texts("- free shipping over 50 €\n- [x] iPhone cases\n  go by mail\n\n1. Pack it.\n2) Send it."),
            ["Free shipping over 50 €.", "iPhone cases go by mail.", "Pack it.", "Send it."]
        );
        assert_eq!(texts("We take these cards:\n\n- Visa\n- Maestro.\n"), ["We take these cards: Visa; Maestro."]);
        assert_eq!(texts("To begin:\n1. Open the lid.\n2. Press start.\n"), ["To begin: Open the lid; Press start."]);
        let found = sentences("To return:\n\n- Put it into its box. The box goes by mail.\n- Wait.\n");
        assert_eq!(
            (found.len(), found[0].context.as_str()),
            (3, "To return:"),
            "items of several sentences stand alone"
        );
    }

    #[test]
    fn table_rows_name_their_columns() {
        assert_eq!(
            texts("| Plan | Price |\n|---|--:|\n| Basic | 5 € |\n| Pro | **20 €** |\n"),
            ["Plan: Basic, Price: 5 €.", "Plan: Pro, Price: 20 €."]
        );
    }

    #[test]
    fn what_the_borders_cut_is_marked() {
        let found = sentences("of the second kind. Whole one. And then the");
        assert_eq!(found.iter().map(|found| found.is_fragment).collect::<Vec<_>>(), [true, false, true]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r"[a-zA-Z#*_`|>\[\]()!<\\ \n.:?0-9é😀-]{0,200}") {
            for sentence in sentences(&text) {
                prop_assert!(sentence.text.chars().any(char::is_alphanumeric));
            }
        }
    }
}
