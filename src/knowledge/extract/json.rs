//! JSON: the way to a value is the heading above it. Objects of nothing but values are lines, lists of such are tables.
//! Pure.

use serde_json::Value;

use super::{error::ExtractError, out::Out};

pub(super) fn read(text: &str, out: &mut Out) -> Result<(), ExtractError> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(ExtractError::damaged)?;
    out.has_no_title();
    // The parser bounds the depth.
    write(&value, "", 0, out)
}

fn write(value: &Value, path: &str, depth: usize, out: &mut Out) -> Result<(), ExtractError> {
    match value {
        Value::Object(object) => {
            let (values, parts): (Vec<_>, Vec<_>) = object.iter().partition(|(_, value)| is_plain(value));
            for (key, value) in values {
                out.item(&format!("{key}: {}", shown(value)))?;
            }
            for (key, value) in parts {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                out.heading(depth + 1, &path)?;
                write(value, &path, depth + 1, out)?;
            }
            Ok(())
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
                match value {
                    Value::Object(object) if object.values().all(is_plain) => {
                        let cells: Vec<String> =
                            object.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect();
                        out.row(number, &cells.join("; "))?;
                    }
                    value if is_plain(value) => out.item(&shown(value))?,
                    value => {
                        let path = format!("{path}[{i}]");
                        out.heading(depth + 1, &path)?;
                        write(value, &path, depth + 1, out)?;
                    }
                }
            }
            Ok(())
        }
        value => out.paragraph(&shown(value)),
    }
}

/// A value that fits into a line: lists of such do as well.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.iter().all(|value| !value.is_object() && !value.is_array()),
        _ => true,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
