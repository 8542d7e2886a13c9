//! Tables as text: each row is a line that says what its cells are. CSV files. Pure.

use super::{
    error::ExtractError,
    out::{Out, one_line},
};

/// What may stand between cells.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Rows that the delimiter is told by.
const SAMPLE: usize = 20;
/// The most columns of a row.
const MAX_COLUMNS: usize = 16_384;

/// Reads a CSV file.
pub(super) fn read(text: &str, out: &mut Out) -> Result<(), ExtractError> {
    let delimiter = delimiter(text);
    let records = reader(text, delimiter).into_records();
    let mut head: Option<Vec<String>> = None;
    let mut number = 0;
    for record in records {
        let record = record.map_err(ExtractError::damaged)?;
        if record.len() > MAX_COLUMNS {
            return Err(ExtractError::TooLargeUnpacked);
        }
        let cells: Vec<String> = record.iter().map(one_line).collect();
        if number == 0 && head.is_none() {
            head = Some(Vec::new());
            if is_head(&cells) {
                head = Some(cells);
                continue;
            }
        }
        number += 1;
        let line = line(head.as_deref().unwrap_or_default(), cells.iter().map(String::as_str).enumerate());
        out.row(number, &line)?;
    }
    // A head alone is still something that it says.
    if number == 0
        && let Some(head) = head
    {
        out.item(&head.join("; "))?;
    }
    Ok(())
}

/// A row in a line, cells with their columns' names: `Name: Ada; City: London`.
pub(super) fn line<'a>(head: &[String], cells: impl Iterator<Item = (usize, &'a str)>) -> String {
    let mut line = String::new();
    for (column, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
        if !line.is_empty() {
            line.push_str("; ");
        }
        if let Some(name) = head.get(column).filter(|name| !name.is_empty()) {
            line.push_str(name);
            line.push_str(": ");
        }
        line.push_str(cell);
    }
    line
}

/// Whether a row has names: all of its cells say something, each another thing, and none is a number.
pub(super) fn is_head(cells: &[String]) -> bool {
    let is_name =
        |cell: &String| cell.chars().any(char::is_alphabetic) && cell.replace(',', ".").parse::<f64>().is_err();
    let is_new = |i: usize| !cells[..i].contains(&cells[i]);
    cells.len() > 1 && cells.len() <= 1000 && cells.iter().all(is_name) && (0..cells.len()).all(is_new)
}

/// The one that divides the first rows into the most columns, the same in all of them.
pub(super) fn delimiter(text: &str) -> u8 {
    let columns = |delimiter: u8| {
        let lengths = reader(text, delimiter).into_records().take(SAMPLE).flatten().map(|record| record.len());
        let lengths: Vec<usize> = lengths.collect();
        let first = lengths.first().copied().unwrap_or(1);
        let alike = lengths.iter().filter(|length| **length == first).count();
        if first > 1 { (alike * 100 / lengths.len(), first) } else { (0, 1) }
    };
    // Of two that do equally well, the first.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| columns(*delimiter)).unwrap_or(b',')
}

pub(super) fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes())
}
