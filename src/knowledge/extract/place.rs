//! Where in a text the parts of its document begin. Pure.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A page, from 1.
    Page(u32),
    /// A sheet of a workbook, by its name.
    Sheet(String),
    /// A slide, from 1.
    Slide(u32),
    /// A row: of a sheet as it numbers them, else a record, from 1.
    Row(u32),
    /// A chapter, by its title.
    Chapter(String),
}

/// The beginning of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The byte of the text that it begins at.
    pub start: usize,
    /// What begins.
    pub place: Place,
}

/// Where a piece of text stands in its document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The page that it begins on.
    pub(crate) page: Option<u32>,
    /// The page that it ends on.
    pub(crate) page_end: Option<u32>,
    /// Everything else, in words: `sheet "Prices", rows 2–9`.
    pub(crate) place: Option<String>,
}

/// The marks of a text, to be asked again and again.
#[derive(Debug)]
pub(crate) struct Spots<'a> {
    /// All but rows.
    parts: Vec<&'a Mark>,
    rows: Vec<(usize, u32)>,
}

/// The parts that are open at some point of a text.
#[derive(Debug, Default)]
struct Open<'a> {
    page: Option<u32>,
    slide: Option<u32>,
    row: Option<u32>,
    named: Option<(&'static str, &'a str)>,
}

impl<'a> Spots<'a> {
    /// By marks in order.
    pub(crate) fn new(marks: &'a [Mark]) -> Self {
        let row = |mark: &Mark| if let Place::Row(row) = mark.place { Some((mark.start, row)) } else { None };
        let parts = marks.iter().filter(|mark| row(mark).is_none()).collect();
        Self { parts, rows: marks.iter().filter_map(row).collect() }
    }

    /// Where these bytes of the text are.
    pub(crate) fn of(&self, range: Range<usize>) -> Spot {
        let last = range.end.saturating_sub(1).max(range.start);
        let (first, last) = (self.open(range.start), self.open(last));
        Spot { page: first.page.or(last.page), page_end: last.page, place: words(&first, &last) }
    }

    /// What has begun up to here. A row is part of what began before it.
    fn open(&self, at: usize) -> Open<'a> {
        let part = self.parts.partition_point(|mark| mark.start <= at).checked_sub(1).map(|i| self.parts[i]);
        let row = self.rows.partition_point(|(start, _)| *start <= at).checked_sub(1).map(|i| self.rows[i]);
        let row = row.filter(|(start, _)| part.is_none_or(|part| part.start <= *start)).map(|(_, row)| row);
        let open = Open { row, ..Open::default() };
        match part.map(|mark| &mark.place) {
            Some(Place::Page(page)) => Open { page: Some(*page), ..open },
            Some(Place::Slide(slide)) => Open { slide: Some(*slide), ..open },
            Some(Place::Sheet(name)) => Open { named: Some(("sheet", name)), ..open },
            Some(Place::Chapter(name)) => Open { named: Some(("chapter", name)), ..open },
            Some(Place::Row(_)) | None => open,
        }
    }
}

fn words(first: &Open<'_>, last: &Open<'_>) -> Option<String> {
    let named = |open: &Open<'_>| open.named.map(|(kind, name)| format!("{kind} “{name}”"));
    let (from, to) = (named(first), named(last));
    let name = match (from, to) {
        (Some(from), Some(to)) if from != to => Some(format!("{from} to {to}")),
        (from, to) => from.or(to),
    };
    let is_one_part = first.named.is_none() || first.named == last.named;
    let rows = numbers("row", first.row.or(last.row), last.row).filter(|_| is_one_part);
    let slides = numbers("slide", first.slide.or(last.slide), last.slide);
    let parts: Vec<String> = [name, slides, rows].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn numbers(what: &str, from: Option<u32>, to: Option<u32>) -> Option<String> {
    match (from?, to?) {
        (from, to) if from < to => Some(format!("{what}s {from}–{to}")),
        (from, _) => Some(format!("{what} {from}")),
    }
}
