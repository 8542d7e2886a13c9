//! Lists as tables in Markdown. Cells are data: nothing in them is a sign of Markdown. Pure.

use serde_json::Value;

use super::number;

/// The most rows and columns that are shown.
const MAX_ROWS: usize = 50;
const MAX_COLUMNS: usize = 12;
/// The most characters of a cell.
const MAX_CELL: usize = 120;

/// A table of what is in a list: of objects, by their names; of lists, whose parts are called `columns`; of anything else, one
/// column.
pub(super) fn markdown(items: &[Value], columns: &[String]) -> String {
    let mut names: Vec<String> = match items.first() {
        None => return String::new(),
        Some(Value::Object(first)) => first.keys().take(MAX_COLUMNS).cloned().collect(),
        Some(_) => columns.iter().take(MAX_COLUMNS).cloned().collect(),
    };
    // Cells beyond the names would not be shown.
    let width = items.iter().map(|item| item.as_array().map_or(1, Vec::len)).max().unwrap_or(1).min(MAX_COLUMNS);
    names.resize(names.len().max(width), String::new());
    let row = |item: &Value| -> Vec<String> {
        match item {
            Value::Object(parts) => names.iter().map(|name| parts.get(name).map_or_else(String::new, cell)).collect(),
            Value::Array(parts) => parts.iter().take(MAX_COLUMNS).map(cell).collect(),
            other => vec![cell(other)],
        }
    };
    let mut lines = vec![line(&names.iter().map(|name| escaped(name)).collect::<Vec<_>>())];
    lines.push(format!("|{}", "---|".repeat(names.len().max(1))));
    lines.extend(items.iter().take(MAX_ROWS).map(|item| line(&row(item))));
    if items.len() > MAX_ROWS {
        lines.push(String::new());
        lines.push(format!("… {}", items.len() - MAX_ROWS));
    }
    lines.join("\n")
}

/// A value in a line of text.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // Whole numbers that long are names, and a fraction would not hold them.
        Value::Number(whole) if whole.as_f64().is_some_and(|size| size.abs() >= 1e15) => whole.to_string(),
        other => other.as_f64().map_or_else(|| other.to_string(), |number| number::grouped(number, None)),
    }
}

fn cell(value: &Value) -> String {
    escaped(&plain(value))
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// Without the meaning that signs have in Markdown.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().take(MAX_CELL) {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '!' | '#' | '~' | '$' | '&' => {
                escaped.extend(['\\', c])
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_objects_are_tables_with_their_names() {
        let rows = [json!(["2023", 111.0]), json!(["2024", null])];
        let names = ["year(date)".to_owned(), "avg(imports)".to_owned()];
        assert_eq!(markdown(&rows, &names), "| year(date) | avg(imports) |\n|---|---|\n| 2023 | 111 |\n| 2024 |  |");
        let points = [json!({"at": "2026-01", "value": 1234.5}), json!({"value": 2, "at": "2026-02"})];
        assert_eq!(markdown(&points, &[]), "| at | value |\n|---|---|\n| 2026-01 | 1,234.5 |\n| 2026-02 | 2 |");
    }

    #[test]
    fn a_cell_is_no_markdown_and_tables_end() {
        let rows = [json!(["a|b\n[x](http://evil.example) <b> **"])];
        let table = markdown(&rows, &["c".to_owned()]);
        assert_eq!(table.lines().count(), 3);
        assert!(table.ends_with("| a\\|b \\[x\\](http://evil.example) \\<b\\> \\*\\* |"), "{table}");
        assert_eq!(
            markdown(&[json!([1, "b"]), json!([9_007_199_254_740_993_u64])], &[]),
            "|  |  |\n|---|---|\n| 1 | b |\n| 9007199254740993 |"
        );
        assert_eq!(markdown(&[], &["c".to_owned()]), "");
        let many = vec![json!(["x"]); 60];
        assert!(markdown(&many, &["c".to_owned()]).ends_with("| x |\n\n… 10"));
    }
}
