//! What kind of document some bytes are. Pure.
//!
//! The name promises a kind and the content has to keep the promise. Where the content can be told for certain and is
//! another, the document is refused rather than read as what it is: whoever sent it under that name was mistaken, or hopes
//! that somebody else is.

use std::{borrow::Cow, path::Path};

use super::{encoding, error::ExtractError, kind::Kind, package::Package};

/// A PDF may begin this far into a file; what is before it is left out.
const PDF_HEADER_WITHIN: usize = 1024;
/// What is looked at to tell HTML.
const HTML_WITHIN: usize = 512;
/// How an archive and a compound file begin.
const ARCHIVE: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// The kind of a document, by its name and its content.
pub(super) fn kind(name: &str, bytes: &[u8]) -> Result<Kind, ExtractError> {
    let promised = Kind::promised(Path::new(name)).ok_or(ExtractError::UnsupportedType)?;
    let content = Content::of(bytes, promised == Kind::Pdf);
    match (promised, content) {
        (_, Content::Kind(kind)) if kind == promised => Ok(kind),
        // A page that was saved as text is one, and its hidden parts stay hidden.
        (Kind::Plain, Content::Kind(Kind::Html)) => Ok(Kind::Html),
        (Kind::Markdown, Content::Kind(Kind::Html)) => Ok(Kind::Markdown),
        (Kind::Xls, Content::Compound { is_encrypted: false }) => Ok(Kind::Xls),
        (kind, Content::Compound { is_encrypted: true }) if kind.is_office() => Err(ExtractError::Encrypted),
        (kind, Content::Text) if kind.is_text() => Ok(kind),
        (kind, Content::Binary) if !kind.is_text() => Err(ExtractError::damaged("its beginning is missing")),
        (_, content) => Err(ExtractError::TypeMismatch(content.words().into_owned())),
    }
}

/// The kind that a document's name promises, unless its first bytes show already that it cannot keep the promise. `head`
/// is what has come of it so far; with none, the name alone is judged.
///
/// # Errors
/// [`ExtractError::UnsupportedType`] or [`ExtractError::TypeMismatch`].
pub fn promised(name: &str, head: &[u8]) -> Result<Kind, ExtractError> {
    let promised = Kind::promised(Path::new(name)).ok_or(ExtractError::UnsupportedType)?;
    // What an archive is, and whether a compound file is encrypted, can be told of all of it only.
    let is_judged_later = head.is_empty()
        || promised.is_packed() && head.starts_with(ARCHIVE)
        || promised.is_office() && head.starts_with(COMPOUND);
    if is_judged_later {
        return Ok(promised);
    }
    match kind(name, head) {
        Err(error @ ExtractError::TypeMismatch(_)) => Err(error),
        // Not even a beginning that a damaged one could have.
        Err(ExtractError::Damaged(_)) => Err(ExtractError::TypeMismatch(Content::Binary.words().into_owned())),
        _ => Ok(promised),
    }
}

/// What bytes are for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Kind(Kind),
    /// A compound file: what Office wrote until 2003, and what it encrypts into.
    Compound {
        is_encrypted: bool,
    },
    /// Something that no kind is, in words.
    Other(&'static str),
    /// Neither text nor known.
    Binary,
    Text,
}

impl Content {
    fn of(bytes: &[u8], may_begin_late: bool) -> Self {
        let pdf_start = pdf_start(bytes);
        if pdf_start == Some(0) {
            return Self::Kind(Kind::Pdf);
        }
        const SIGNATURES: [(&[u8], &str); 9] = [
            (b"\x89PNG", "an image"),
            (b"\xff\xd8\xff", "an image"),
            (b"GIF8", "an image"),
            (b"{\\rtf", "RTF"),
            (b"\x1f\x8b", "a compressed file"),
            (b"BZh", "a compressed file"),
            (b"7z\xbc\xaf", "an archive"),
            (b"Rar!", "an archive"),
            (b"\x7fELF", "a program"),
        ];
        if let Some((_, words)) = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature)) {
            return Self::Other(words);
        }
        if bytes.starts_with(ARCHIVE) {
            return Package::kind(bytes).map_or(Self::Other("an archive"), Self::Kind);
        }
        if bytes.starts_with(COMPOUND) {
            let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let is_encrypted = memchr::memmem::find(bytes, &name).is_some();
            return Self::Compound { is_encrypted };
        }
        // What is before it may be an error's page, or anything else that is nothing for certain.
        if may_begin_late && pdf_start.is_some() {
            return Self::Kind(Kind::Pdf);
        }
        if is_html(bytes) {
            return Self::Kind(Kind::Html);
        }
        if encoding::is_text(bytes) { Self::Text } else { Self::Binary }
    }

    fn words(self) -> Cow<'static, str> {
        match self {
            Self::Kind(kind) => format!("{kind:?}").into(),
            Self::Compound { is_encrypted: false } => "an old Office document".into(),
            Self::Compound { is_encrypted: true } => "an encrypted Office document".into(),
            Self::Other(words) => words.into(),
            Self::Binary => "no text".into(),
            Self::Text => "plain text".into(),
        }
    }
}

/// Where a PDF begins.
pub(super) fn pdf_start(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(&bytes[..bytes.len().min(PDF_HEADER_WITHIN + 5)], b"%PDF-")
}

fn is_html(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(HTML_WITHIN)];
    let text = String::from_utf8_lossy(beginning).replace('\0', "").to_ascii_lowercase();
    let mut text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{fffd}'));
    // What may stand before the first element.
    while let Some(rest) = text
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
        .map(|(_, rest)| rest)
        .or_else(|| text.strip_prefix("<!--").and_then(|rest| rest.split_once("-->")).map(|(_, rest)| rest))
    {
        text = rest.trim_start();
    }
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| text.starts_with(tag))
}
