//! PDF, page by page: headings, paragraphs, tables. Bookmarks make headings of the lines that they name. Pure.
//!
//! Text that is drawn invisibly is kept: on a scanned page it is what was recognised. Beside visible text it is a hiding
//! place, and flagged.

use std::{collections::HashMap, io::Read};

use flate2::read::ZlibDecoder;
use unpdf::{Block, Document, Error, ErrorKind, Outline, Page, ParseOptions, PdfParser, Table, model::OutlineItem};

use super::{
    document::{Flag, Warning},
    error::ExtractError,
    out::Out,
    place::Place,
    sniff::pdf_start,
};

/// Bookmarks that are looked at.
const MAX_BOOKMARKS: usize = 10_000;
/// Streams, and filters one on the other, that are looked at when nothing could be read.
const MAX_STREAMS: usize = 1000;
const MAX_FILTERS: usize = 3;
/// What one of them may unpack to: the library takes what is more for an attack.
const MAX_UNPACKED_BYTES: u64 = 100 << 20;
/// A page that an image covers this much of is a scan.
const SCAN_COVERAGE: f32 = 0.5;

pub(super) fn read(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    // What is before the header is no part of it; offsets count from there.
    let bytes = &bytes[pdf_start(bytes).unwrap_or(0)..];
    let options = ParseOptions::new().lenient().sequential();
    let parser = PdfParser::from_bytes_with_options(bytes, options).map_err(|error| failed(&error))?;
    let document = parser.parse().map_err(|error| failed(&error))?;
    if document.pages.is_empty() {
        return Err(ExtractError::damaged("it has no pages"));
    }
    let bookmarks = bookmarks(document.outline.as_ref());
    let mut blank = Vec::new();
    for page in &document.pages {
        out.begin(Place::Page(page.number))?;
        let has_text = write(page, &bookmarks, out)?;
        if !has_text && blank.len() < Warning::MAX_LISTED {
            blank.push(page.number);
        }
    }
    let quality = &document.extraction_quality;
    let is_incomplete =
        quality.pages_incomplete || quality.undecodable_content_streams > 0 || quality.suppressed_text_runs > 0;
    if is_incomplete && out.is_empty() {
        return Err(why_nothing(bytes));
    }
    out.warnings.extend(is_incomplete.then_some(Warning::Incomplete));
    out.warnings.extend((!blank.is_empty()).then_some(Warning::PagesWithoutText(blank)));
    out.flags.extend(document.pages.iter().find(|page| hides_text(page)).map(|page| Flag::InvisibleText(page.number)));
    out.title = title(&document);
    Ok(())
}

/// Why nothing could be read. The library leaves out streams that unpack to too much, and does not say so.
fn why_nothing(bytes: &[u8]) -> ExtractError {
    let starts = memchr::memmem::find_iter(bytes, b"stream").map(|at| at + b"stream".len());
    let is_bomb = |at: usize| {
        let data = bytes[at..].trim_ascii_start();
        (1..=MAX_FILTERS).any(|filters| {
            let mut unpacked: Box<dyn Read> = Box::new(data);
            for _ in 0..filters {
                unpacked = Box::new(ZlibDecoder::new(unpacked));
            }
            let mut counted = unpacked.take(MAX_UNPACKED_BYTES + 1);
            // What cannot be unpacked is no bomb, or no stream.
            std::io::copy(&mut counted, &mut std::io::sink()).is_ok_and(|bytes| bytes > MAX_UNPACKED_BYTES)
        })
    };
    match starts.take(MAX_STREAMS).any(is_bomb) {
        true => ExtractError::TooLargeUnpacked,
        false => ExtractError::damaged("its text cannot be read"),
    }
}

fn failed(error: &Error) -> ExtractError {
    match error.kind() {
        ErrorKind::Encrypted | ErrorKind::InvalidPassword => ExtractError::Encrypted,
        _ => ExtractError::damaged(error),
    }
}

/// Its own title, when its first page shows it too: most are what some program has made of a file's name.
fn title(document: &Document) -> Option<String> {
    let title = key(document.metadata.title.as_deref()?);
    let first = key(&document.pages.first()?.plain_text());
    (!title.is_empty() && first.contains(&title)).then(|| document.metadata.title.clone()).flatten()
}

/// What the page shows; whether that is anything.
fn write(page: &Page, bookmarks: &HashMap<(u32, String), usize>, out: &mut Out) -> Result<bool, ExtractError> {
    let mut has_text = false;
    for block in &page.elements {
        let mut text = String::new();
        block.append_plain_text(&mut text);
        has_text |= !text.trim().is_empty();
        match block {
            Block::Table(table) => out.table(&rows(table))?,
            Block::Code { content } => out.code(content)?,
            Block::Paragraph(paragraph) => {
                let bookmark = bookmarks.get(&(page.number, key(&text))).copied();
                match bookmark.or_else(|| paragraph.heading_level().map(usize::from)) {
                    Some(level) => out.heading(level, &text)?,
                    None if paragraph.is_list_item() => out.item(text.trim_start_matches(['•', '-', ' ']))?,
                    None => out.paragraph(&text)?,
                }
            }
            _ => out.paragraph(&text)?,
        }
    }
    Ok(has_text)
}

fn rows(table: &Table) -> Vec<Vec<String>> {
    let cell = |cell: &unpdf::TableCell| cell.plain_text();
    table.rows.iter().map(|row| row.cells.iter().map(cell).collect()).collect()
}

/// Bookmarks by page and words → their depth, from 1.
fn bookmarks(outline: Option<&Outline>) -> HashMap<(u32, String), usize> {
    let mut found = HashMap::new();
    let mut open: Vec<(&OutlineItem, usize)> =
        outline.map_or(&[][..], |outline| &outline.items).iter().map(|item| (item, 1)).collect();
    while let Some((item, level)) = open.pop() {
        if found.len() == MAX_BOOKMARKS {
            break;
        }
        if let Some(page) = item.page {
            found.insert((page, key(&item.title)), level);
        }
        open.extend(item.children.iter().map(|child| (child, level + 1)));
    }
    found
}

/// Words as they are compared.
fn key(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn hides_text(page: &Page) -> bool {
    let is_scan = page.image_coverage > SCAN_COVERAGE && page.painted_text_chars <= page.margin_text_chars;
    page.invisible_text_chars > 0 && page.painted_text_chars > 0 && !is_scan
}
