//! Tables for people to save. Pure.
//!
//! A program that opens CSV takes a cell that begins with one of `=+-@` for something to work out (OWASP, "CSV Injection"): such
//! a text gets a `'` before it. Numbers are numbers.

use serde_json::Value;

use super::output::Made;
use crate::chat::ArtifactKind;

/// A table as a file.
pub(super) fn table(title: String, columns: &[String], rows: &[Vec<Value>]) -> Made {
    let mut bytes = line(columns.iter().map(|name| harmless(name)));
    for row in rows {
        bytes += &line(row.iter().map(|cell| match cell {
            Value::Null => String::new(),
            Value::String(text) => harmless(text),
            other => other.to_string(),
        }));
    }
    Made { kind: ArtifactKind::Table, title, media: "text/csv; charset=utf-8", bytes: bytes.into_bytes() }
}

fn harmless(text: &str) -> String {
    let is_meant = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_meant { format!("'{text}") } else { text.to_owned() }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains([',', '"', '\n', '\r', ';']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_in_a_table_is_worked_out() {
        let rows = [vec![json!("=HYPERLINK(\"http://evil\",\"x\")"), json!(-1.5)], vec![json!("@a"), json!(null)]];
        let made = table("x".to_owned(), &["+name".to_owned(), "b".to_owned()], &rows);
        let text = String::from_utf8(made.bytes).unwrap();
        assert_eq!(text, "'+name,b\r\n\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\",-1.5\r\n'@a,\r\n");
    }
}
