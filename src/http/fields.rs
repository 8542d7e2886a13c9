//! What clients say about documents, checked: names, keys, titles, metadata. Pure.

use serde_json::Value;

use super::problem::Problem;
use crate::dialect::json;

/// The longest name of a file, in bytes; more is cut, but not its ending.
const MAX_NAME: usize = 200;
/// The longest key or uri, in bytes.
const MAX_KEY: usize = 1024;
/// The longest title, in bytes.
const MAX_TITLE: usize = 200;
/// The most bytes of a document's metadata.
const MAX_METADATA: usize = 4096;

/// A file's name without what could lead elsewhere or mislead: no folders, no control and direction characters.
pub(super) fn file_name(given: &str) -> Result<String, Problem> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !c.is_control() && !is_misleading(*c)).collect();
    let shown = shown.trim();
    if shown.trim_matches('.').is_empty() {
        return Err(Problem::invalid_field("file", "needs a file name"));
    }
    if shown.len() <= MAX_NAME {
        return Ok(shown.to_owned());
    }
    let (stem, ending) = shown.rsplit_once('.').filter(|(_, ending)| ending.len() <= 16).unwrap_or((shown, ""));
    let room = MAX_NAME - ending.len() - 1;
    Ok(format!("{}.{ending}", &stem[..stem.floor_char_boundary(room)]).trim_end_matches('.').to_owned())
}

/// Characters that nobody sees, or that turn the direction of those behind them.
const fn is_misleading(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{61C}')
}

/// What the source calls a document.
pub(super) fn key(given: &str) -> Result<String, Problem> {
    place("key", given)
}

/// What is shown of where a document comes from.
pub(super) fn uri(given: &str) -> Result<String, Problem> {
    place("uri", given)
}

fn place(field: &str, given: &str) -> Result<String, Problem> {
    if given.is_empty() || given.len() > MAX_KEY || given.chars().any(char::is_control) {
        let problem = format!("has 1 to {MAX_KEY} bytes and no control character");
        return Err(Problem::invalid_field(field, &problem));
    }
    Ok(given.to_owned())
}

/// A title: one line.
pub(super) fn title(given: &str) -> Result<String, Problem> {
    let title: String = given.chars().filter(|c| !is_misleading(*c)).collect();
    let title = title.trim();
    if title.is_empty() || title.len() > MAX_TITLE || title.chars().any(char::is_control) {
        let problem = format!("has 1 to {MAX_TITLE} bytes and no control character");
        return Err(Problem::invalid_field("title", &problem));
    }
    Ok(title.to_owned())
}

/// Metadata in a form: JSON as text.
pub(super) fn metadata_text(given: &str) -> Result<Value, Problem> {
    let parsed = json::parse(given.as_bytes());
    metadata(parsed.map_err(|_| Problem::invalid_field("metadata", "must be JSON"))?)
}

/// What a client wants to remember with a document.
pub(super) fn metadata(given: Value) -> Result<Value, Problem> {
    if !given.is_object() || given.to_string().len() > MAX_METADATA {
        let problem = format!("must be an object of at most {MAX_METADATA} bytes");
        return Err(Problem::invalid_field("metadata", &problem));
    }
    Ok(given)
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
    fn names_lead_nowhere() {
        for (given, wanted) in [
            ("a.md", Some("a.md")),
            ("../../etc/a.md", Some("a.md")),
            ("C:\\temp\\a.txt", Some("a.txt")),
            ("/abs/ö b.txt ", Some("ö b.txt")),
            ("a.txt\0.exe", Some("a.txt.exe")),
            ("gnp\u{202e}.txt", Some("gnp.txt")),
            ("..", None),
            ("a/", None),
            ("\0", None),
        ] {
            assert_eq!(file_name(given).ok().as_deref(), wanted, "{given:?}");
        }
        let long = file_name(&format!("{}.md", "ü".repeat(300))).expect("cut");
        assert!(long.len() <= MAX_NAME && long.ends_with("ü.md"), "{long}");
        assert!(file_name(&"x".repeat(300)).expect("cut").len() <= MAX_NAME);
    }

    #[test]
    fn a_name_cannot_end_its_header() {
        assert_eq!(
            attachment("ü\"; x=\"\r\n.md"),
            "attachment; filename=\"___ x____.md\"; filename*=UTF-8''%C3%BC%22%3B%20x%3D%22%0D%0A.md"
        );
    }

    #[test]
    fn metadata_is_a_small_object() {
        assert!(metadata_text(r#"{"a": 1}"#).is_ok());
        for bad in ["", "[]", "1", "{", &format!(r#"{{"a": "{}"}}"#, "x".repeat(MAX_METADATA))] {
            assert!(metadata_text(bad).is_err(), "{bad:.20}");
        }
        assert!(key("https://example.com/a?b").is_ok() && key("").is_err() && key("a\nb").is_err());
        assert!(title(" A title ").is_ok_and(|title| title == "A title") && title("\n").is_err());
    }
}
