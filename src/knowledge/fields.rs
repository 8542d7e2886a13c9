//! What is said of a document, checked: names, keys, titles, metadata. Pure.

use serde_json::Value;

use crate::chat::{is_misleading, is_plain};

/// The longest name of a file, in bytes; more is cut, but not its ending.
const MAX_NAME: usize = 200;
/// The longest ending of a name, in bytes; what is longer is none.
const MAX_ENDING: usize = 16;
/// The longest key or uri, in characters.
const MAX_KEY: usize = 1024;
/// The longest title, in characters.
const MAX_TITLE: usize = 200;
/// The most bytes of a document's metadata.
const MAX_METADATA: usize = 4096;

/// A file's name without what could lead elsewhere or mislead: no folders, no control and direction characters.
///
/// # Errors
/// When nothing is left of it.
pub fn file_name(given: &str) -> Result<String, Unfit> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| is_plain(*c)).collect();
    let name = shortened(shown.trim());
    if name.trim_matches('.').is_empty() {
        return Err(Unfit::new("file", "needs a file name in UTF-8"));
    }
    Ok(name)
}

/// A name of at most [`MAX_NAME`] bytes; what it begins and ends with stays.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let (stem, ending) = match name.rfind('.') {
        Some(dot) if name.len() - dot <= 1 + MAX_ENDING => name.split_at(dot),
        _ => (name, ""),
    };
    let stem = &stem[..stem.floor_char_boundary(MAX_NAME - ending.len())];
    format!("{}{ending}", stem.trim_end()).trim_end_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

/// What the source calls a document.
///
/// # Errors
/// When it is none.
pub fn key(given: &str) -> Result<String, Unfit> {
    place("key", given)
}

/// What is shown of where a document comes from.
///
/// # Errors
/// When it is nothing that can be shown.
pub fn uri(given: &str) -> Result<String, Unfit> {
    place("uri", given)
}

fn place(field: &'static str, given: &str) -> Result<String, Unfit> {
    if given.is_empty() || is_longer(given, MAX_KEY) || given.chars().any(char::is_control) {
        return Err(Unfit::new(field, format!("has 1 to {MAX_KEY} characters and no control character")));
    }
    Ok(given.to_owned())
}

/// A title: one line.
///
/// # Errors
/// When it is none.
pub fn title(given: &str) -> Result<String, Unfit> {
    let title: String = given.chars().filter(|c| !is_misleading(*c)).collect();
    let title = title.trim();
    if title.is_empty() || is_longer(title, MAX_TITLE) || title.chars().any(char::is_control) {
        let problem = format!("has 1 to {MAX_TITLE} characters and no control character");
        return Err(Unfit::new("title", problem));
    }
    Ok(title.to_owned())
}

fn is_longer(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_some()
}

/// What a client wants to remember with a document.
///
/// # Errors
/// When it is no object, or a large one.
pub fn metadata(given: Value) -> Result<Value, Unfit> {
    if !given.is_object() || given.to_string().len() > MAX_METADATA {
        let problem = format!("must be an object of at most {MAX_METADATA} bytes");
        return Err(Unfit::new("metadata", problem));
    }
    Ok(given)
}

/// What a document cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Unfit {
    /// What it was said in.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Unfit {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            ("a\u{2028}b\u{2029}.txt", Some("ab.txt")),
            ("..", None),
            ("a/", None),
            ("\0", None),
        ] {
            assert_eq!(file_name(given).ok().as_deref(), wanted, "{given:?}");
        }
        let long = file_name(&format!("{}.md", "ü".repeat(300))).expect("cut");
        assert!(long.len() <= MAX_NAME && long.ends_with("ü.md"), "{long}");
        assert!(file_name(&"x".repeat(300)).expect("cut").len() <= MAX_NAME);
        // Of what is cut off, nothing may be left either that is no name.
        assert!(file_name(&format!("{}{}", ".".repeat(250), "x".repeat(20))).is_err());
        assert_eq!(file_name(&format!("a{}x", " ".repeat(250))).as_deref(), Ok("a"));
    }

    #[test]
    fn metadata_is_a_small_object() {
        assert!(metadata(json!({"a": 1})).is_ok());
        for bad in [json!([]), json!(1), json!({"a": "x".repeat(MAX_METADATA)})] {
            assert!(metadata(bad).is_err());
        }
        assert!(key("https://example.com/a?b").is_ok() && key("").is_err() && key("a\nb").is_err());
        let (most, more) = ("ü".repeat(MAX_TITLE), "ü".repeat(MAX_TITLE + 1));
        assert!(title(&most).is_ok() && title(&more).is_err(), "characters are counted");
        assert_eq!(title("A\u{2028} title\u{61c}").as_deref(), Ok("A title"));
        assert!(title(" A title ").is_ok_and(|title| title == "A title") && title("\n").is_err());
    }
}
