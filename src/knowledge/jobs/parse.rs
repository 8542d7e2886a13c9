//! What is accepted, and how its text is read: the one place where documents meet `extract`.

use std::path::Path;

use super::ended::Ended;
use crate::{
    knowledge::extract::{self, ExtractError, Extracted, Format},
    store::documents::Fault,
};

/// The formats that are accepted, as they are told to who sends another one.
pub const ACCEPTED: &str = ".md, .markdown, .txt";
/// How many bytes of a file tell what it is.
const HEAD: usize = 8 << 10;

/// Why a file is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unaccepted {
    /// Its name promises nothing that can be read.
    #[error("this kind of file cannot be read; accepted are {ACCEPTED}")]
    Unsupported,
    /// It is something else than its name says.
    #[error("the file is not what its name says: it is {0}; accepted are {ACCEPTED}")]
    Mismatch(&'static str),
}

/// Whether a file of this name that begins so can be read; its media type.
///
/// # Errors
/// [`Unaccepted`], which names what is accepted.
pub fn accept(name: &str, head: &[u8]) -> Result<&'static str, Unaccepted> {
    let format = Format::of(Path::new(name)).ok_or(Unaccepted::Unsupported)?;
    let head = head.get(..HEAD).unwrap_or(head);
    for (magic, kind) in [
        (&b"%PDF-"[..], "a PDF"),
        (b"PK\x03\x04", "an archive or an office document"),
        (b"\xd0\xcf\x11\xe0", "an old or encrypted office document"),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
        (b"GIF8", "a picture"),
        (b"\x1f\x8b", "compressed"),
        (b"\x7fELF", "a program"),
    ] {
        if head.starts_with(magic) {
            return Err(Unaccepted::Mismatch(kind));
        }
    }
    if head.contains(&0) {
        return Err(Unaccepted::Mismatch("not text"));
    }
    Ok(match format {
        Format::Markdown => "text/markdown",
        Format::Plain => "text/plain",
    })
}

/// What was read of a document.
pub(super) struct Parsed {
    pub(super) extracted: Extracted,
    pub(super) encoding: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) pages: Option<u32>,
}

/// Reads the text of a document. Blocks.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Parsed, Ended> {
    let format = Format::of(Path::new(name)).ok_or_else(|| fault("unsupported_type", &Unaccepted::Unsupported))?;
    let extracted = extract::extract(name, format, bytes).map_err(|error| match error {
        ExtractError::TooLarge => fault("too_large", &error),
        ExtractError::Binary(_) => fault("type_mismatch", &error),
        ExtractError::NotUtf8(_) => fault("damaged", &error),
    })?;
    if extracted.text.trim().is_empty() {
        return Err(Ended::Failed(Fault::new("no_text", "there is no text in it")));
    }
    Ok(Parsed { extracted, encoding: Some("utf-8".to_owned()), warnings: Vec::new(), pages: None })
}

fn fault(code: &str, error: &dyn std::error::Error) -> Ended {
    Ended::Failed(Fault::new(code, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_content_have_to_agree() {
        assert_eq!(accept("a.md", b"# Text"), Ok("text/markdown"));
        assert_eq!(accept("A.TXT", b""), Ok("text/plain"));
        for name in ["a.exe", "a", "", ".md/..", "a.md.zip"] {
            assert_eq!(accept(name, b"# Text"), Err(Unaccepted::Unsupported), "{name}");
        }
        for head in [&b"%PDF-1.7"[..], b"PK\x03\x04", b"\x89PNG\r\n", b"te\0xt"] {
            assert!(matches!(accept("a.txt", head), Err(Unaccepted::Mismatch(_))), "{head:?}");
        }
    }
}
