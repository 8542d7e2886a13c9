//! A document's name and bytes → one clean text, and marks that say where in it a page, a sheet or a slide begins. One
//! file per format.
//!
//! Pure, and still not to be called in the gateway's own process on what others have made: see `parser`. What comes out
//! has no byte order mark, `\n` line ends only, and nothing that a reader of the original would not see: text that people
//! cannot read must not reach a model either.

mod block;
mod document;
mod docx;
mod encoding;
mod epub;
mod error;
mod hidden;
mod html;
mod json;
mod kind;
mod md;
mod odt;
mod out;
mod package;
mod pdf;
mod place;
mod pptx;
mod read;
mod rows;
mod sheets;
mod sniff;
mod suspicion;
mod table;
#[cfg(test)]
mod tests;
mod visible;
mod web;
mod xml;

pub(crate) use document::EXTRACT_VERSION;
pub use document::{Extracted, Flag, Format, MAX_FILE_BYTES, Warning};
pub use error::ExtractError;
pub use kind::{ACCEPTED, Kind};
pub use out::MAX_TEXT_BYTES;
pub use place::{Mark, Place};
pub(crate) use place::{Spot, Spots};
pub use read::extract;
pub use sniff::promised;
pub use table::{Grid, MAX_TABLE_BYTES, MAX_TABLE_COLUMNS, MAX_TABLE_ROWS, table};
