//! Pieces of a document, for readers whose pieces contain others: a cell's paragraphs, a text box within a paragraph. Pure.

use super::{error::ExtractError, out::Out};

/// The most cells of a row.
const MAX_COLUMNS: usize = 1024;

/// A piece of a document.
#[derive(Debug)]
pub(super) enum Block {
    Heading(usize, String),
    Item(String),
    Paragraph(String),
    Table(Table),
}

/// Rows of cells.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Vec<Block>>>,
}

impl Table {
    pub(super) fn begin_row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// A cell that is so many columns wide; those that it covers are empty.
    pub(super) fn cell(&mut self, blocks: Vec<Block>, width: usize) {
        if self.rows.is_empty() {
            self.begin_row();
        }
        let Some(row) = self.rows.last_mut() else { return };
        let width = width.clamp(1, MAX_COLUMNS.saturating_sub(row.len()).max(1));
        row.push(blocks);
        row.extend((1..width).map(|_| Vec::new()));
    }
}

impl Block {
    /// All its words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Heading(_, text) | Self::Item(text) | Self::Paragraph(text) => text.clone(),
            Self::Table(table) => {
                let row = |row: &Vec<Vec<Self>>| row.iter().map(|cell| words(cell, " ")).collect::<Vec<_>>().join(" ");
                table.rows.iter().map(row).collect::<Vec<_>>().join("\n")
            }
        }
    }

    pub(super) fn write(self, out: &mut Out) -> Result<(), ExtractError> {
        match self {
            Self::Heading(level, text) => out.heading(level, &text),
            Self::Item(text) => out.item(&text),
            Self::Paragraph(text) => out.paragraph(&text),
            // A frame around other things, rather than a table.
            Self::Table(table) if table.rows.iter().all(|row| row.len() < 2) => {
                table.rows.into_iter().flatten().flatten().try_for_each(|block| block.write(out))
            }
            Self::Table(table) => {
                let row = |row: &Vec<Vec<Self>>| row.iter().map(|cell| words(cell, " ")).collect();
                out.table(&table.rows.iter().map(row).collect::<Vec<_>>())
            }
        }
    }
}

/// The words of several pieces.
pub(super) fn words(blocks: &[Block], between: &str) -> String {
    let words = blocks.iter().map(Block::words).filter(|words| !words.trim().is_empty());
    words.collect::<Vec<_>>().join(between)
}
