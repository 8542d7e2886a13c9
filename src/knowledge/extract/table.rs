//! Tables as they are: of a CSV file or a workbook, rows of cells as text, in one form of CSV. Pure, and as little to be called
//! in the gateway's own process as the rest.

use serde::{Deserialize, Serialize};

use super::{
    document::MAX_FILE_BYTES,
    encoding::decode,
    error::ExtractError,
    kind::Kind,
    rows,
    sheets::{self, Row},
    sniff,
};

/// The most rows and the most columns of a table.
pub const MAX_TABLE_ROWS: usize = 200_000;
/// The same of columns.
pub const MAX_TABLE_COLUMNS: usize = 200;
/// The most text of a table, in bytes.
pub const MAX_TABLE_BYTES: usize = 32 << 20;

/// A table: its rows as CSV, with commas between the cells and `"` around those that need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// The rows.
    #[serde(skip)]
    pub text: String,
    /// What stood between the cells, where it was a text file.
    pub delimiter: Option<char>,
}

/// Reads a table. `name` has to fit what the bytes are.
///
/// # Errors
/// See [`ExtractError`].
pub fn table(name: &str, bytes: &[u8]) -> Result<Grid, ExtractError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ExtractError::TooLarge);
    }
    match sniff::kind(name, bytes)? {
        Kind::Csv => {
            let text = decode(bytes, None)?.text;
            let delimiter = rows::delimiter(&text);
            let mut lines = Lines::default();
            for record in rows::reader(&text, delimiter).into_records() {
                let record = record.map_err(ExtractError::damaged)?;
                lines.add(&record.iter().collect::<Vec<_>>())?;
            }
            lines.grid(Some(char::from(delimiter)))
        }
        kind @ (Kind::Xlsx | Kind::Xls | Kind::Ods) => {
            let rows = sheets::first(kind, bytes)?;
            let cells = |(_, cells): &Row| (cells.first().map(|cell| cell.0), cells.last().map(|cell| cell.0));
            let first = rows.iter().filter_map(|row| cells(row).0).min().unwrap_or_default();
            let last = rows.iter().filter_map(|row| cells(row).1).max().unwrap_or_default();
            if last - first >= MAX_TABLE_COLUMNS {
                return Err(too_many_columns());
            }
            let mut lines = Lines::default();
            for (_, cells) in &rows {
                let mut line = vec![""; last - first + 1];
                for (column, text) in cells {
                    line[column - first] = text;
                }
                lines.add(&line)?;
            }
            lines.grid(None)
        }
        _ => Err(ExtractError::UnsupportedType),
    }
}

fn too_many_columns() -> ExtractError {
    ExtractError::TooMany(format!("it has more than {MAX_TABLE_COLUMNS} columns"))
}

struct Lines {
    writer: csv::Writer<Vec<u8>>,
    rows: usize,
    bytes: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { writer: csv::WriterBuilder::new().flexible(true).from_writer(Vec::new()), rows: 0, bytes: 0 }
    }
}

impl Lines {
    fn add(&mut self, cells: &[&str]) -> Result<(), ExtractError> {
        // One row more: the names of the columns.
        if self.rows > MAX_TABLE_ROWS {
            return Err(ExtractError::TooMany(format!("it has more than {MAX_TABLE_ROWS} rows")));
        }
        if cells.len() > MAX_TABLE_COLUMNS {
            return Err(too_many_columns());
        }
        let cells: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
        if cells.iter().all(|cell| cell.is_empty()) {
            return Ok(());
        }
        self.rows += 1;
        self.bytes += cells.iter().map(|cell| cell.len() + 1).sum::<usize>();
        if self.bytes > MAX_TABLE_BYTES {
            return Err(ExtractError::TooLargeUnpacked);
        }
        self.writer.write_record(cells).map_err(ExtractError::damaged)
    }

    fn grid(self, delimiter: Option<char>) -> Result<Grid, ExtractError> {
        let bytes = self.writer.into_inner().map_err(|error| ExtractError::damaged(error.error()))?;
        let text = String::from_utf8(bytes).map_err(ExtractError::damaged)?;
        if text.len() > MAX_TABLE_BYTES {
            return Err(ExtractError::TooLargeUnpacked);
        }
        if text.is_empty() { Err(ExtractError::NoText) } else { Ok(Grid { text, delimiter }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, bytes: &[u8]) -> Result<Grid, String> {
        table(name, bytes).map_err(|error| error.code().to_owned())
    }

    #[test]
    fn tables_in_any_encoding_have_one_form() {
        let latin = b"Stra\xdfe;Preis\n\"M\xfcnchen; Nord\";1.234,5\n\n;2\n";
        let read = of("x.csv", latin).unwrap();
        assert_eq!(read.text, "Straße,Preis\nMünchen; Nord,\"1.234,5\"\n,2\n");
        assert_eq!(read.delimiter, Some(';'));
        assert_eq!(of("x.csv", b"\xef\xbb\xbfa\tb\n1\t2\n").unwrap().text, "a,b\n1,2\n");
        assert_eq!(of("x.csv", b"a|b\n1|\"=1+1\"\n").unwrap().text, "a,b\n1,=1+1\n");
    }

    #[test]
    fn what_is_none_is_refused() {
        let rows = [
            ("x.csv", &b"MZ\x90\0\x03\0\0\0"[..], "type_mismatch"),
            ("x.xlsx", b"PK\x03\x04 and so on", "type_mismatch"),
            ("x.xlsx", b"a,b\n1,2", "type_mismatch"),
            ("x.exe", b"a,b", "unsupported_type"),
            ("x.pdf", b"%PDF-1.4", "unsupported_type"),
            ("x.csv", b" \n\n", "no_text"),
        ];
        for (name, bytes, code) in rows {
            assert_eq!(of(name, bytes), Err(code.to_owned()), "{name}");
        }
        let wide = vec!["1"; MAX_TABLE_COLUMNS + 1].join(",");
        assert_eq!(of("x.csv", wide.as_bytes()), Err("too_large".to_owned()));
        let long = "1,2\n".repeat(MAX_TABLE_ROWS + 2);
        assert_eq!(of("x.csv", long.as_bytes()), Err("too_large".to_owned()));
        assert!(of("x.csv", &long.as_bytes()[4..]).is_ok());
    }
}
