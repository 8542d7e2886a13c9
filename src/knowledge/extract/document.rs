//! What a document says, as value types. Pure.

use serde::{Deserialize, Serialize};

use super::{kind::Kind, place::Mark};

/// The longest title, in bytes. It stands with every chunk of its document.
pub(super) const MAX_TITLE_BYTES: usize = 200;
/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// Changes whenever the same bytes would be read differently, so that everything is read again.
pub(crate) const EXTRACT_VERSION: &str = "1";

/// What kind of text came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Markdown: it has headings.
    Markdown,
    /// Plain text.
    Plain,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// What the document calls itself, its first heading, or its name in words.
    pub title: String,
    /// The clean text; empty only when a text file was.
    #[serde(skip)]
    pub text: String,
    /// What kind of text it is.
    pub format: Format,
    /// What kind of document it was.
    pub kind: Kind,
    /// Where in the text its parts begin, in order.
    pub places: Vec<Mark>,
    /// The encoding that its bytes were read in, where it is a text file.
    pub encoding: Option<String>,
    /// What is not in the text although it is in the document.
    pub warnings: Vec<Warning>,
    /// Why a person should look at it before a model is shown it.
    pub flags: Vec<Flag>,
}

/// What is not in the text, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// These pages have no text; they seem to be scanned. At most [`Warning::MAX_LISTED`] are listed.
    #[error("pages without text: {}", .0.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))]
    PagesWithoutText(Vec<u32>),
    /// So many hidden sheets or slides were left out.
    #[error("{0} hidden sheets or slides were left out")]
    HiddenParts(usize),
    /// Hidden text was left out.
    #[error("hidden text was left out")]
    HiddenText,
    /// Some bytes were no characters in this encoding.
    #[error("some bytes are no characters in the document's encoding")]
    Undecodable,
    /// The document is damaged, and some of its text could not be read.
    #[error("the document is damaged, and some of its text is missing")]
    Incomplete,
}

impl Warning {
    /// The most pages of one warning.
    pub const MAX_LISTED: usize = 1000;
}

/// Something about a document that looks like an attempt to steer a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Its text addresses a model; the words.
    #[error("it seems to give a model instructions: “{0}”")]
    Instructions(String),
    /// Text that its readers do not see does; the words. They were left out.
    #[error("text that is hidden in it seems to give a model instructions: “{0}”")]
    HiddenInstructions(String),
    /// A page has invisible text beside visible text; the first such page. It cannot be told apart, and is in the text.
    #[error("page {0} has invisible text beside visible text")]
    InvisibleText(u32),
}
