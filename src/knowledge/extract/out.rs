//! A document's text as it is put together: headings, paragraphs, tables, and what begins where. Pure.

use super::{
    document::{Extracted, Flag, Format, MAX_TITLE_BYTES, Warning},
    error::ExtractError,
    hidden::strip_hidden,
    kind::Kind,
    place::{Mark, Place},
    suspicion,
};

/// The most text that comes out of a document, in bytes.
pub const MAX_TEXT_BYTES: usize = 12 << 20;
/// The most marks of a document.
const MAX_MARKS: usize = 100_000;
/// The longest name of a sheet or a chapter, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// How much hidden text is looked at.
const MAX_HIDDEN_BYTES: usize = 4 << 20;
/// A line that is longer is no heading, as in Markdown.
const MAX_HEADING_BYTES: usize = 180;

/// Collects what a document says, within bounds.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// What the document calls itself.
    pub(super) title: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) warnings: Vec<Warning>,
    pub(super) flags: Vec<Flag>,
    text: String,
    is_plain: bool,
    first_heading: Option<String>,
    places: Vec<Mark>,
    /// What begins with the next words.
    beginning: Vec<Place>,
    /// Whether the last words were an item of a list.
    in_list: bool,
    hidden: String,
}

impl Out {
    /// The next words are the first of a part.
    pub(super) fn begin(&mut self, place: Place) -> Result<(), ExtractError> {
        if self.places.len() + self.beginning.len() >= MAX_MARKS {
            return Err(ExtractError::TooLargeUnpacked);
        }
        self.in_list = false;
        self.beginning.push(match place {
            Place::Sheet(name) => Place::Sheet(label(&name)),
            Place::Chapter(name) => Place::Chapter(label(&name)),
            other => other,
        });
        Ok(())
    }

    /// Text that is shown as it is.
    pub(super) fn plain(&mut self, text: &str) -> Result<(), ExtractError> {
        self.is_plain = true;
        let text = strip_hidden(text);
        self.add(text.trim(), "\n\n")
    }

    /// Markdown that is shown as it is; `first_heading` is the first in it.
    pub(super) fn markdown(&mut self, text: &str, first_heading: Option<String>) -> Result<(), ExtractError> {
        self.first_heading = first_heading;
        self.add(text.trim(), "\n\n")
    }

    /// A heading, 1 the outermost. What is too long for one is a paragraph.
    pub(super) fn heading(&mut self, level: usize, words: &str) -> Result<(), ExtractError> {
        let words = one_line(words);
        if words.is_empty() || words.len() > MAX_HEADING_BYTES {
            return self.paragraph(&words);
        }
        self.first_heading.get_or_insert_with(|| words.clone());
        self.add(&format!("{} {words}", "#".repeat(level.clamp(1, 6))), "\n\n")
    }

    /// A paragraph; its lines stay lines.
    pub(super) fn paragraph(&mut self, text: &str) -> Result<(), ExtractError> {
        let clean = strip_hidden(text);
        let lines = clean.trim().lines().map(str::trim_end).map(unmarked);
        let text = lines.collect::<Vec<_>>().join("\n");
        self.add(&text, "\n\n")
    }

    /// An item of a list, or a row of a table: one line.
    pub(super) fn item(&mut self, text: &str) -> Result<(), ExtractError> {
        let line = one_line(text);
        if line.is_empty() {
            return Ok(());
        }
        let apart = if self.in_list { "\n" } else { "\n\n" };
        self.add(&format!("- {line}"), apart)?;
        self.in_list = true;
        Ok(())
    }

    /// A row of a table, which begins where the row does.
    pub(super) fn row(&mut self, number: u32, text: &str) -> Result<(), ExtractError> {
        let in_list = self.in_list;
        self.begin(Place::Row(number))?;
        self.in_list = in_list;
        self.item(text)
    }

    /// Text whose lines stand as they are.
    pub(super) fn code(&mut self, text: &str) -> Result<(), ExtractError> {
        let clean = strip_hidden(text);
        let body = clean.trim_matches('\n').trim_end();
        if body.trim().is_empty() {
            return Ok(());
        }
        let mut fence = "```".to_owned();
        while body.contains(&fence) {
            fence.push('`');
        }
        self.add(&format!("{fence}\n{body}\n{fence}"), "\n\n")
    }

    /// A table: rows of cells, the first of them its head.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) -> Result<(), ExtractError> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| one_line(cell).replace('|', "\\|")).collect()).collect();
        let rows: Vec<&Vec<String>> = rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty())).collect();
        let Some(head) = rows.first() else { return Ok(()) };
        let line = |row: &Vec<String>| format!("| {} |", row.join(" | "));
        self.add(&format!("{}\n|{}", line(head), " --- |".repeat(head.len())), "\n\n")?;
        rows[1..].iter().try_for_each(|row| self.add(&line(row), "\n"))
    }

    /// Something that is in the document, and that its readers do not see, or see among other things: it is looked
    /// through for what addresses a model.
    pub(super) fn hide(&mut self, text: &str) {
        let room = MAX_HIDDEN_BYTES.saturating_sub(self.hidden.len());
        self.hidden.push_str(&text[..text.floor_char_boundary(room)]);
        self.hidden.push('\n');
    }

    /// Text that its readers do not see, and that is left out.
    pub(super) fn hidden(&mut self, text: &str) {
        if !text.trim().is_empty() && !self.warnings.contains(&Warning::HiddenText) {
            self.warnings.push(Warning::HiddenText);
        }
        self.hide(text);
    }

    /// No heading in it is its title: its parts stand beside each other.
    pub(super) fn has_no_title(&mut self) {
        self.first_heading = Some(String::new());
    }

    /// Whether anything was said.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn add(&mut self, text: &str, apart: &str) -> Result<(), ExtractError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.text.len() + text.len() > MAX_TEXT_BYTES {
            return Err(ExtractError::TooLargeUnpacked);
        }
        self.in_list = false;
        if !self.text.is_empty() {
            self.text.push_str(apart);
        }
        let start = self.text.len();
        self.places.extend(self.beginning.drain(..).map(|place| Mark { start, place }));
        self.text.push_str(text);
        Ok(())
    }

    /// The whole document. `name` becomes its title when it has none.
    pub(super) fn finish(mut self, name: &str, kind: Kind) -> Result<Extracted, ExtractError> {
        if self.text.is_empty() && !kind.is_text() {
            return Err(ExtractError::NoText);
        }
        let title = self.title.or(self.first_heading).map(|title| one_line(&title)).filter(|title| !title.is_empty());
        let mut title = title.unwrap_or_else(|| title_of(name));
        title.truncate(title.floor_char_boundary(MAX_TITLE_BYTES));
        if let Some(words) = suspicion::found(&self.text) {
            self.flags.push(Flag::Instructions(words));
        } else if let Some(words) = suspicion::found(&strip_hidden(&self.hidden)) {
            self.flags.push(Flag::HiddenInstructions(words));
        }
        let format = if self.is_plain { Format::Plain } else { Format::Markdown };
        let Self { text, places, encoding, warnings, flags, .. } = self;
        Ok(Extracted { title, text, format, kind, places, encoding, warnings, flags })
    }
}

/// Words without hidden characters, with single spaces between them.
pub(super) fn one_line(text: &str) -> String {
    strip_hidden(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn label(name: &str) -> String {
    let mut name = one_line(name);
    name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
    name
}

/// A line that is no markup, though it may look so.
fn unmarked(line: &str) -> String {
    let words = line.trim_start();
    let is_row_of = |mark: char| words.len() >= 3 && words.chars().all(|c| c == mark);
    let is_mark = words.starts_with('#') || words.starts_with("```") || words.starts_with("~~~");
    if is_mark || is_row_of('-') || is_row_of('=') { format!("\\{words}") } else { line.to_owned() }
}

/// A file's name in words: `shop/return-rules.md` → `Return rules`.
fn title_of(name: &str) -> String {
    let stem = std::path::Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    let words = one_line(&stem.replace(['-', '_'], " "));
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "Untitled".to_owned(),
    }
}
