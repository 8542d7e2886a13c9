//! What an operator has written of a document: headings, paragraphs and tables, with names in braces. Pure.
//!
//! A line that begins with `# ` is a heading; lines that begin with `|` are the rows of a table, whose first one is its head when
//! a row of dashes follows (`|---|---:|`, with a colon where a column stands at the right); other lines are paragraphs, with an
//! empty line between two, and a new line after one that ends in a backslash.

use super::{
    block::{Block, Table},
    font::{Unwritable, written},
    layout, pdf,
};
use crate::formula::{Template, TemplateError};

/// The most bytes of a template.
pub const MAX_TEMPLATE_BYTES: usize = 32 << 10;
/// The most columns of a table.
const MAX_COLUMNS: usize = 8;
/// The most bytes of a document's text, filled in.
const MAX_FILLED: usize = 256 << 10;

/// A document as it is written: with places for values.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    text: String,
    blocks: Vec<Block<Template>>,
}

/// A line of a template that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub found: String,
    /// What is wrong with it.
    pub wrong: WrongLine,
}

/// What is wrong with a line of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongLine {
    /// Braces that have no other.
    #[error(transparent)]
    Braces(#[from] TemplateError),
    /// A character that cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// A name that nothing is known of.
    #[error("names of inputs and results alone in braces, or `today`")]
    Unknown(String),
    /// A row that is not like the one above it.
    #[error("a row of {0} cells, each behind a |, as the first one has, and of at most {MAX_COLUMNS}")]
    Row(usize),
    /// Nothing at all.
    #[error("a line of text at least")]
    Empty,
}

/// Why no document can be made of these values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// A character that cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    /// It would have too many pages, or too much text.
    #[error("the document would be too long")]
    TooLong,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The PDF.
    pub bytes: Vec<u8>,
    /// How many pages it has.
    pub pages: usize,
}

impl Letter {
    /// Reads one, whose names must be known.
    ///
    /// # Errors
    /// [`BadLine`], the first one.
    pub fn parse(text: &str, is_known: impl Fn(&str) -> bool) -> Result<Self, BadLine> {
        let mut blocks = Vec::new();
        let (mut paragraph, mut table) = (String::new(), None);
        for (at, full) in text.lines().enumerate() {
            let line = full.trim();
            let bad = |wrong| BadLine { line: at + 1, found: line.to_owned(), wrong };
            let template = Template::parse(line).map_err(|error| bad(error.into()))?;
            if let Some(name) = template.names().find(|name| !is_known(name)) {
                return Err(bad(WrongLine::Unknown(name.to_owned())));
            }
            written(line).map_err(|error| bad(error.into()))?;
            let cells = line.strip_prefix('|');
            if cells.is_none() {
                blocks.extend(table.take().map(Block::Table));
            }
            if cells.is_some() || line.is_empty() || line.starts_with("# ") {
                blocks.extend(paragraph_of(&mut paragraph));
            }
            if let Some(cells) = cells {
                row(&mut table, cells).map_err(bad)?;
            } else if let Some(heading) = line.strip_prefix("# ") {
                blocks.push(Block::Heading(Template::parse(heading.trim()).map_err(|error| bad(error.into()))?));
            } else if let Some(line) = line.strip_suffix('\\') {
                paragraph.push_str(line.trim_end());
                paragraph.push('\n');
            } else {
                paragraph.push_str(line);
                paragraph.push(' ');
            }
        }
        blocks.extend(table.take().map(Block::Table));
        blocks.extend(paragraph_of(&mut paragraph));
        if blocks.is_empty() {
            return Err(BadLine { line: 1, found: String::new(), wrong: WrongLine::Empty });
        }
        Ok(Self { text: text.to_owned(), blocks })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document, with what `value` has for each name; `title` and `today` (2026-11-28) are said of it.
    ///
    /// # Errors
    /// [`LetterError`].
    pub fn render(&self, title: &str, today: &str, value: impl Fn(&str) -> String) -> Result<Rendered, LetterError> {
        let mut left = MAX_FILLED;
        let mut fill = |template: &Template| {
            let text = template.fill(&value);
            left = left.checked_sub(text.len()).ok_or(LetterError::TooLong)?;
            Ok::<_, LetterError>(written(&text)?)
        };
        let mut filled = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            filled.push(match block {
                Block::Heading(text) => Block::Heading(fill(text)?),
                Block::Paragraph(text) => Block::Paragraph(fill(text)?),
                Block::Table(Table { has_head, at_right, rows }) => {
                    let mut cells = |row: &Vec<Template>| row.iter().map(&mut fill).collect::<Result<Vec<_>, _>>();
                    let rows = rows.iter().map(&mut cells).collect::<Result<_, _>>()?;
                    Block::Table(Table { has_head: *has_head, at_right: at_right.clone(), rows })
                }
            });
        }
        let pages = layout::pages(&filled).ok_or(LetterError::TooLong)?;
        Ok(Rendered { bytes: pdf::written(&pages, title, today), pages: pages.len() })
    }
}

/// The paragraph that ends here, if there is one.
fn paragraph_of(lines: &mut String) -> Option<Block<Template>> {
    let text = std::mem::take(lines);
    let text = text.trim();
    if text.is_empty() { None } else { Template::parse(text).ok().map(Block::Paragraph) } // Each line is one.
}

/// Adds a row to the table that stands here.
fn row(table: &mut Option<Table<Template>>, cells: &str) -> Result<(), WrongLine> {
    let cells: Vec<&str> = cells.strip_suffix('|').unwrap_or(cells).split('|').map(str::trim).collect();
    let columns = table.as_ref().map_or(cells.len(), |table| table.at_right.len());
    if cells.len() != columns || columns > MAX_COLUMNS {
        return Err(WrongLine::Row(columns.min(MAX_COLUMNS)));
    }
    let is_rule = |cell: &&str| cell.len() >= 3 && cell.trim_matches(':').bytes().all(|byte| byte == b'-');
    match table.as_mut().filter(|table| table.rows.len() == 1 && !table.has_head) {
        Some(table) if cells.iter().all(is_rule) => {
            table.has_head = true;
            table.at_right = cells.iter().map(|cell| cell.ends_with(':') && !cell.starts_with(':')).collect();
        }
        _ => {
            let row = cells.into_iter().map(Template::parse).collect::<Result<_, _>>()?;
            let empty = || Table { has_head: false, at_right: vec![false; columns], rows: Vec::new() };
            table.get_or_insert_with(empty).rows.push(row);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Letter, (usize, String)> {
        let known = |name: &str| ["name", "amount"].contains(&name);
        Letter::parse(text, known).map_err(|bad| (bad.line, bad.wrong.to_string()))
    }

    #[test]
    fn a_text_is_headings_paragraphs_and_tables() {
        let letter =
            read("# To {name}\nDear {name},\\\nhello\nagain.\n\n| a | b |\n|---|--:|\n| x | {amount} |\nEnd").unwrap();
        let shown = |t: &Template| t.fill(|name| format!("<{name}>"));
        let told = letter.blocks.iter().map(|block| match block {
            Block::Heading(text) => format!("H {}", shown(text)),
            Block::Paragraph(text) => format!("P {}", shown(text)),
            Block::Table(table) => {
                let rows = table.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("/"));
                format!("T {} {:?} {}", table.has_head, table.at_right, rows.collect::<Vec<_>>().join(";"))
            }
        });
        assert_eq!(
            told.collect::<Vec<String>>(),
            ["H To <name>", "P Dear <name>,\nhello again.", "T true [false, true] a/b;x/<amount>", "P End",]
        );
        assert!(matches!(&read("| a |\n| b |").unwrap().blocks[..], [Block::Table(table)] if !table.has_head));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_line() {
        for (text, line, wrong) in [
            ("a\n{name", 2, "each brace"),
            ("a\n\n{nam}", 3, "names of inputs"),
            ("नमस्ते", 1, "\"न\""),
            ("|a|b|\n|c|", 2, "a row of 2 cells"),
            ("|a|b|c|d|e|f|g|h|i|", 1, "at most 8"),
            ("\n \n", 1, "a line of text"),
        ] {
            let (at, told) = read(text).unwrap_err();
            assert!(at == line && told.contains(wrong), "{text}: {at}: {told}");
        }
    }

    #[test]
    fn arguments_are_text_whatever_stands_in_them() {
        let letter = read("{name}\n\n| {name} | x |").unwrap();
        let render = |name: &str| letter.render("T", "2026-11-28", |_| name.to_owned());
        for name in ["# Not a heading", "| not | a | row |", "{amount} {", "a\n\n\nb\\", ") Tj ET (", "", "((\\)"] {
            assert!(render(name).is_ok(), "{name}");
        }
        assert_eq!(render("a"), render("a"), "the same values make the same bytes");
        assert_eq!(render("अ"), Err(LetterError::Unwritable(Unwritable('अ'))));
        assert!(render(&"word ".repeat(2000)).unwrap().pages > 2);
        assert!(render(&"W".repeat(10_000)).unwrap().pages > 2);
        assert_eq!(render(&"a\n".repeat(10_000)), Err(LetterError::TooLong));
        assert_eq!(render(&"x".repeat(MAX_FILLED)), Err(LetterError::TooLong));
    }
}
