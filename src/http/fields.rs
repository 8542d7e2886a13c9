//! What clients say about documents, as requests have it; what it must be is said in `knowledge`. Pure.

use serde_json::Value;

use super::problem::Problem;
pub(super) use crate::knowledge::fields::{file_name, key, metadata, title, uri};
use crate::{dialect::json, knowledge::fields::Unfit};

impl From<Unfit> for Problem {
    fn from(Unfit { field, problem }: Unfit) -> Self {
        Self::invalid_field(field, &problem)
    }
}

/// Metadata in a form: JSON as text.
pub(super) fn metadata_text(given: &str) -> Result<Value, Problem> {
    let parsed = json::parse(given.as_bytes());
    Ok(metadata(parsed.map_err(|_| Problem::invalid_field("metadata", "must be JSON"))?)?)
}

/// `Content-Disposition` of a file that a browser saves and does not show.
pub(super) fn attachment(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._-()".contains(c);
    let ascii: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_header() {
        assert_eq!(
            attachment("ü\"; x=\"\r\n.md"),
            "attachment; filename=\"___ x____.md\"; filename*=UTF-8''%C3%BC%22%3B%20x%3D%22%0D%0A.md"
        );
    }

    #[test]
    fn metadata_in_a_form_is_json() {
        assert!(metadata_text(r#"{"a": 1}"#).is_ok());
        for bad in ["", "[]", "1", "{"] {
            assert!(metadata_text(bad).is_err(), "{bad}");
        }
    }
}
