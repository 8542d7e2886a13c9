//! The kinds of documents, by name. Pure.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The endings of names that can be read, for people.
pub const ACCEPTED: &str = ".md, .txt, .html, .pdf, .docx, .pptx, .xlsx, .xls, .ods, .odt, .csv, .json, .epub";

/// The kinds of documents that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the endings of names")]
pub enum Kind {
    Markdown,
    Plain,
    Html,
    Pdf,
    Docx,
    Pptx,
    Xlsx,
    Xls,
    Ods,
    Odt,
    Csv,
    Json,
    Epub,
}

impl Kind {
    /// The kind that a name promises; `None` when it cannot be read.
    #[must_use]
    pub fn promised(name: &Path) -> Option<Self> {
        let extension = name.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "md" | "markdown" => Self::Markdown,
            "txt" => Self::Plain,
            "html" | "htm" => Self::Html,
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            "pptx" => Self::Pptx,
            "xlsx" => Self::Xlsx,
            "xls" => Self::Xls,
            "ods" => Self::Ods,
            "odt" => Self::Odt,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "epub" => Self::Epub,
            _ => return None,
        })
    }

    /// Its media type, as IANA lists it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown",
            Self::Plain => "text/plain",
            Self::Html => "text/html",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Xls => "application/vnd.ms-excel",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Epub => "application/epub+zip",
        }
    }

    /// Whether it is a text file: bytes that are characters in some encoding.
    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::Markdown | Self::Plain | Self::Html | Self::Csv | Self::Json)
    }

    /// Whether it is an archive of files.
    pub(super) const fn is_packed(self) -> bool {
        !self.is_text() && !matches!(self, Self::Pdf | Self::Xls)
    }

    /// Whether Office encrypts it into a compound file.
    pub(super) const fn is_office(self) -> bool {
        matches!(self, Self::Docx | Self::Pptx | Self::Xlsx | Self::Xls)
    }
}
