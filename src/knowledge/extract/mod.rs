//! Bytes of a file → title and clean text. One file per format.
//!
//! Pure. What comes out has no byte order mark, `\n` line ends only, and nothing that a reader of the original
//! would not see: text that people cannot read must not reach a model either.

use std::path::Path;

mod html;
mod md;
mod txt;
mod visible;

/// The longest title, in bytes. It stands with every chunk of its document.
const MAX_TITLE_BYTES: usize = 200;
/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Markdown: `.md`, `.markdown`.
    Markdown,
    /// Plain text: `.txt`.
    Plain,
}

impl Format {
    /// The format that a file's name promises; `None` when it cannot be read.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "txt" => Some(Self::Plain),
            _ => None,
        }
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The first heading, or the file's name in words.
    pub title: String,
    /// The clean text; empty when there is nothing to read.
    pub text: String,
    /// What kind of text it is.
    pub format: Format,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("larger than {} MiB", MAX_FILE_BYTES / (1024 * 1024))]
    TooLarge,
    /// A NUL byte: not text, whatever the name says.
    #[error("not a text file: NUL byte at offset {0}")]
    Binary(usize),
    /// Not UTF-8.
    #[error("not UTF-8: invalid byte at offset {0}; convert it first")]
    NotUtf8(usize),
}

/// Reads a file's bytes. `name` is its path or name and becomes the title when the text has no heading.
///
/// # Errors
/// See [`ExtractError`].
pub fn extract(name: &str, format: Format, bytes: &[u8]) -> Result<Extracted, ExtractError> {
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ExtractError::TooLarge);
    }
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        return Err(ExtractError::Binary(offset));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ExtractError::NotUtf8(error.valid_up_to()))?;
    let visible = strip_hidden(text);
    let (title, text) = match format {
        Format::Markdown => md::read(&visible),
        Format::Plain => (None, txt::read(&visible)),
    };
    let mut title = title.unwrap_or_else(|| title_of(name));
    title.truncate(title.floor_char_boundary(MAX_TITLE_BYTES));
    Ok(Extracted { title, text, format })
}

/// A file's name in words: `shop/return-rules.md` → `Return rules`.
fn title_of(name: &str) -> String {
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name);
    let words = strip_hidden(&stem.replace(['-', '_'], " "));
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => "Untitled".to_owned(),
    }
}

/// Removes what no reader sees: control, zero-width and direction characters, invisible fillers and tags.
/// Line ends become `\n`, every other kind of white space stays.
fn strip_hidden(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let keep = match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
                false
            }
            // Persian, the Indic scripts and joined emoji need these; between Latin letters they only hide.
            _ if is_joiner(c) => {
                is_wide(out.chars().next_back()) && is_wide(chars.peek().copied().filter(|next| !is_selector(*next)))
            }
            // One variation selector may follow a symbol; a row of them is a hiding place.
            _ if is_selector(c) => is_wide(out.chars().next_back().filter(|before| !is_selector(*before))),
            _ => !is_hidden(c),
        };
        if keep {
            out.push(c);
        }
    }
    out
}

/// A visible character beyond ASCII, the only kind that invisible joiners and selectors belong to.
fn is_wide(c: Option<char>) -> bool {
    c.is_some_and(|c| !c.is_ascii() && !c.is_whitespace() && !is_hidden(c) && !is_joiner(c))
}

const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

const fn is_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}')
}

const fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' => true,
        // soft hyphen, grapheme joiner, Arabic letter mark, Hangul and Mongolian fillers
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' => true,
        '\u{180B}'..='\u{180F}' | '\u{3164}' | '\u{FFA0}' => true,
        // zero-width characters, direction marks, overrides and isolates, invisible operators
        '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' => true,
        // tags and supplementary variation selectors: whole texts can be written in them
        '\u{E0000}'..='\u{E0FFF}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn markdown(text: &str) -> Extracted {
        extract("notes/return-rules.md", Format::Markdown, text.as_bytes()).expect("valid text")
    }

    #[test]
    fn names_promise_formats() {
        assert_eq!(Format::of(Path::new("a/B.MD")), Some(Format::Markdown));
        assert_eq!(Format::of(Path::new("a.txt")), Some(Format::Plain));
        assert_eq!(Format::of(Path::new("a.pdf")), None);
        assert_eq!(Format::of(Path::new("md")), None);
    }

    #[test]
    fn what_is_not_text_is_refused_with_the_place() {
        let read = |bytes: &[u8]| extract("x.txt", Format::Plain, bytes);
        assert_eq!(read(b"PK\x03\x04\0\0"), Err(ExtractError::Binary(4)));
        assert_eq!(read(b"ab\xff\xfe"), Err(ExtractError::NotUtf8(2)));
        assert_eq!(read(&vec![b'a'; MAX_FILE_BYTES as usize + 1]), Err(ExtractError::TooLarge));
        assert!(read(&vec![b'a'; MAX_FILE_BYTES as usize]).is_ok());
    }

    #[test]
    fn the_title_is_the_first_heading_or_the_name() {
        assert_eq!(markdown("\u{feff}# **Tents** #\n\ntext").title, "Tents");
        assert_eq!(markdown("```\n# not one\n```\ntext").title, "Return rules");
        assert_eq!(extract("opening_hours.txt", Format::Plain, b"# x").expect("text").title, "Opening hours");
        assert_eq!(extract("\u{200b}.txt", Format::Plain, b"x").expect("text").title, "Untitled");
    }

    #[test]
    fn hidden_text_goes_and_joined_scripts_stay() {
        let hidden = "pay\u{200b}\u{200d}\u{202e}ment\u{e0041}\u{e0042} is\u{feff}\u{fe0f} due\r\nnow\r!";
        assert_eq!(markdown(hidden).text, "payment is due\nnow\n!");
        let visible = "می\u{200c}خواهم 👩\u{200d}👩 ❤\u{fe0f}";
        assert_eq!(markdown(visible).text, visible);
    }

    #[test]
    fn comments_go_but_not_from_code() {
        assert_eq!(markdown("a <!-- ignore\nall --> b").text, "a  b");
        assert_eq!(markdown("a\n\n  <!-- ignore\n\nall").text, "a");
        assert_eq!(markdown("a <!-- one --> b <!-- two --> c <!--> d").text, "a  b  c  d");
        for shown in [
            "```html\n<!-- shown -->\n```",
            "Write `<!-- x` for a comment.\n\nMore `text` here.\n\n- and -->",
            "``a ` <!-- b`` c",
            "`over two\nlines <!-- x` y",
            "a <!-- never closed\n\nb <!-- nor here\n```\n-->\n```\nc",
            "```a`b``` is no fence",
        ] {
            assert_eq!(markdown(shown).text, shown);
        }
        assert_eq!(markdown("`not code <!-- gone -->").text, "`not code");
        assert_eq!(markdown("```not`a fence\n<!-- gone -->\nb").text, "```not`a fence\n\nb");
    }

    #[test]
    fn marks_without_end_are_read_in_time() {
        let started = std::time::SystemTime::now();
        for unit in
            ["a <!-- ", "` `` ``` a ", "<", "`", "a`<!--", "<a ", "<a b='", "[a]: b (", "> - ", "<p hidden>", "[a]("]
        {
            markdown(&unit.repeat(1024 * 1024 / unit.len()));
        }
        assert!(started.elapsed().expect("a clock") < std::time::Duration::from_secs(20));
    }

    #[test]
    fn a_title_is_as_long_as_a_title() {
        let words = "Tents and more ".repeat(20_000);
        assert_eq!(markdown(&format!("# {words}\n\n## Tents\n\ntext")).title, "Tents", "what is endless is no heading");
        let front = format!("---\ntitle: {words}\n---\ntext");
        assert_eq!(markdown(&front).title, words[..MAX_TITLE_BYTES]);
        assert!(extract(&format!("{words}.txt"), Format::Plain, b"x").expect("text").title.len() <= MAX_TITLE_BYTES);
    }

    #[test]
    fn front_matter_is_not_text() {
        let read = markdown("---\ntitle: \"Gift cards\"\ntags: [a]\n---\nBody");
        assert_eq!((read.title.as_str(), read.text.as_str()), ("Gift cards", "Body"));
        assert_eq!(markdown("---\n\nBody after a rule").text, "---\n\nBody after a rule");
    }

    proptest! {
        #[test]
        fn marks_in_any_order_are_read(text in "(<!--|-->|`{1,3}|~~~|\n|é|a| ){0,40}") {
            let read = markdown(&text).text;
            prop_assert!(read.len() <= text.len());
            prop_assert!(text.contains("<!--") || read == text.trim(), "{read:?}");
        }

        #[test]
        fn any_text_is_read_and_reading_twice_changes_nothing(text in any::<String>()) {
            prop_assume!(!text.contains('\0'));
            for format in [Format::Markdown, Format::Plain] {
                let once = extract("x", format, text.as_bytes()).expect("text");
                prop_assert!(!once.text.chars().any(is_hidden));
                prop_assert!(!once.title.is_empty());
            }
            let once = strip_hidden(&text);
            prop_assert_eq!(strip_hidden(&once), once);
        }
    }
}
