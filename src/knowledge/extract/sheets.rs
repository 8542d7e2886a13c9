//! Workbooks (.xlsx, .xls, .ods): sheet by sheet, row by row, each cell with the name of its column. Hidden sheets are not
//! text. Pure.

use std::{fmt::Debug, io::Cursor};

use calamine::{Data, DataRef, DataType, ExcelDateTime, Ods, Reader, SheetType, SheetVisible, Xls, Xlsx};

use super::{
    document::Warning,
    error::ExtractError,
    kind::Kind,
    out::{Out, one_line},
    package::Package,
    place::Place,
    rows::{is_head, line},
    xml::Xml,
};

/// Rows before the names of columns: titles and remarks.
const HEAD_WITHIN: usize = 10;

type Bytes<'a> = Cursor<&'a [u8]>;

pub(super) fn read(kind: Kind, bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    out.has_no_title();
    let hidden = sheets(kind, bytes, |sheet, rows| {
        out.begin(Place::Sheet(sheet.to_owned()))?;
        out.heading(1, sheet)?;
        write(rows, out)?;
        Ok(true)
    })?;
    out.warnings.extend((hidden > 0).then_some(Warning::HiddenParts(hidden)));
    Ok(())
}

/// The rows of the first sheet that has some.
pub(super) fn first(kind: Kind, bytes: &[u8]) -> Result<Vec<Row>, ExtractError> {
    let mut first = Vec::new();
    sheets(kind, bytes, |_, rows| {
        first = rows;
        Ok(false)
    })?;
    Ok(first)
}

/// Takes each sheet that can be seen and has something, until one is enough; how many are hidden.
fn sheets(
    kind: Kind,
    bytes: &[u8],
    take: impl FnMut(&str, Vec<Row>) -> Result<bool, ExtractError>,
) -> Result<usize, ExtractError> {
    let bytes = Cursor::new(bytes);
    match kind {
        Kind::Xls => {
            let mut book: Xls<Bytes<'_>> = Xls::new(bytes).map_err(failed)?;
            sheets_of(&mut book, dense, take)
        }
        Kind::Ods => {
            Package::open(bytes.get_ref())?.measure()?;
            let mut package = Package::open(bytes.get_ref())?;
            package.refuse_encrypted()?;
            // The library's reader does not notice that an end is missing.
            Xml::new(&package.needed("content.xml")?).check()?;
            let mut book: Ods<Bytes<'_>> = Ods::new(bytes).map_err(failed)?;
            sheets_of(&mut book, dense, take)
        }
        _ => {
            Package::open(bytes.get_ref())?.measure()?;
            let mut book: Xlsx<Bytes<'_>> = Xlsx::new(bytes).map_err(failed)?;
            sheets_of(&mut book, sparse, take)
        }
    }
}

/// A row that has something: its number and its cells by column.
pub(super) type Row = (u32, Vec<(usize, String)>);

fn sheets_of<'a, R: Reader<Bytes<'a>>>(
    book: &mut R,
    mut rows: impl FnMut(&mut R, &str) -> Result<Vec<Row>, ExtractError>,
    mut take: impl FnMut(&str, Vec<Row>) -> Result<bool, ExtractError>,
) -> Result<usize, ExtractError> {
    let all = book.sheets_metadata().to_vec();
    let hidden = all.iter().filter(|sheet| sheet.visible != SheetVisible::Visible).count();
    let shown = all.iter().filter(|sheet| sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet);
    for sheet in shown {
        let rows = rows(book, &sheet.name)?;
        if !rows.is_empty() && !take(&sheet.name, rows)? {
            break;
        }
    }
    Ok(hidden)
}

/// Writes rows; the names of columns are the first row that has only names, near the top.
fn write(rows: Vec<Row>, out: &mut Out) -> Result<(), ExtractError> {
    let head = rows
        .iter()
        .take(HEAD_WITHIN)
        .position(|(_, cells)| is_head(&cells.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>()));
    // Names of nothing are a row like any other.
    let head = head.filter(|at| at + 1 < rows.len());
    let mut names: Vec<String> = Vec::new();
    if let Some((_, cells)) = head.map(|at| &rows[at]) {
        for (column, name) in cells {
            names.resize(*column, String::new());
            names.push(name.clone());
        }
    }
    for (at, (number, cells)) in rows.iter().enumerate() {
        let cells = cells.iter().map(|(column, text)| (*column, text.as_str()));
        match head {
            Some(head) if at == head => {}
            Some(head) if at > head => out.row(*number, &line(&names, cells))?,
            _ => out.row(*number, &line(&[], cells))?,
        }
    }
    Ok(())
}

/// Cell by cell: what is far out in an empty sheet costs nothing.
fn sparse(book: &mut Xlsx<Bytes<'_>>, name: &str) -> Result<Vec<Row>, ExtractError> {
    let mut reader = book.worksheet_cells_reader(name).map_err(failed)?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(cell) = reader.next_cell().map_err(failed)? {
        let (row, column) = cell.get_position();
        let text = match cell.get_value() {
            DataRef::SharedString(text) => one_line(text),
            other => shown(&Data::from(other.clone())),
        };
        if text.is_empty() {
            continue;
        }
        match rows.last_mut().filter(|(number, _)| *number == row + 1) {
            Some((_, cells)) => cells.push((column as usize, text)),
            None => rows.push((row + 1, vec![(column as usize, text)])),
        }
    }
    Ok(rows)
}

fn dense<'a, R: Reader<Bytes<'a>, Error: Debug + 'static>>(book: &mut R, name: &str) -> Result<Vec<Row>, ExtractError> {
    let range = book.worksheet_range(name).map_err(failed)?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    let rows = range.rows().zip(first_row + 1..).map(|(cells, number)| {
        let cells = cells.iter().enumerate().map(|(i, cell)| (first_column as usize + i, shown(cell)));
        (number, cells.filter(|(_, text)| !text.is_empty()).collect::<Vec<_>>())
    });
    Ok(rows.filter(|(_, cells)| !cells.is_empty()).collect())
}

/// A cell as a reader sees it, as far as its value tells.
fn shown(cell: &Data) -> String {
    match cell {
        Data::DateTime(time) => date(time),
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Data::Error(_) | Data::Empty => String::new(),
        other => other.as_string().map_or_else(|| one_line(&other.to_string()), |text| one_line(&text)),
    }
}

fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        #[expect(clippy::cast_possible_truncation, reason = "a time in a cell, rounded")]
        let seconds = (time.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, (seconds / 60 % 60).abs(), (seconds % 60).abs());
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    match (time.as_f64() < 1.0, (hour, minute, second) == (0, 0, 0)) {
        (true, _) => format!("{hour:02}:{minute:02}:{second:02}"),
        (_, true) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}

fn failed<E: Debug + 'static>(error: E) -> ExtractError {
    // All three call it so.
    match format!("{error:?}") {
        text if text == "Password" => ExtractError::Encrypted,
        text => ExtractError::damaged(text),
    }
}
