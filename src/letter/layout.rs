//! Where lines stand on pages of A4. Pure.

use super::{
    block::{Block, Table},
    font::Face,
};

/// The width and the height of a page, and of its margins, in points.
pub(super) const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 72.0;
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
const TOP: f32 = PAGE.1 - MARGIN;
/// The most pages.
const MAX_PAGES: usize = 100;
/// What stands between two columns, and what above and below the text of a row.
const GAP: f32 = 12.0;
const PADDING: f32 = 4.0;
/// How far below a line's foot a rule is.
const FOOT: f32 = 3.0;

/// A page: lines, and rules from one x to another.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) lines: Vec<Line>,
    pub(super) rules: Vec<(f32, f32, f32)>,
}

/// A line of text, and where it begins.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) style: Style,
    pub(super) text: Vec<u8>,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) face: Face,
    pub(super) size: f32,
    /// From one line to the next.
    leading: f32,
}

const HEADING: Style = Style { face: Face::Bold, size: 16.0, leading: 21.0 };
const BODY: Style = Style { face: Face::Regular, size: 11.0, leading: 15.0 };
const CELL: Style = Style { face: Face::Regular, size: 10.0, leading: 14.0 };
const HEAD: Style = Style { face: Face::Bold, size: 10.0, leading: 14.0 };
const NUMBER: Style = Style { face: Face::Regular, size: 9.0, leading: 12.0 };

/// The pages of a document; `None` when there would be too many.
pub(super) fn pages(blocks: &[Block<Vec<u8>>]) -> Option<Vec<Page>> {
    let mut paper = Paper { pages: vec![Page::default()], y: TOP };
    for block in blocks {
        match block {
            Block::Heading(text) => {
                paper.space(10.0);
                paper.need(HEADING.leading + 2.0 * BODY.leading); // It does not stay alone.
                paper.text(text, HEADING)?;
                paper.space(6.0);
            }
            Block::Paragraph(text) if text.trim_ascii().is_empty() => {} // What it was for is left out.
            Block::Paragraph(text) => {
                paper.text(text, BODY)?;
                paper.space(8.0);
            }
            Block::Table(table) => {
                paper.table(table)?;
                paper.space(12.0);
            }
        }
    }
    Some(paper.numbered())
}

/// What is being written on.
struct Paper {
    pages: Vec<Page>,
    /// The foot of the last line.
    y: f32,
}

impl Paper {
    /// Leaves some space, unless a page begins here.
    fn space(&mut self, height: f32) {
        if self.y < TOP {
            self.y -= height;
        }
    }

    /// Begins a page when there is not so much room on this one, and would be on a new one.
    fn need(&mut self, height: f32) {
        if self.y - height < MARGIN && self.y < TOP && height <= TOP - MARGIN {
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.pages.push(Page::default());
        self.y = TOP;
    }

    /// The foot of the next line; `None` when there are too many pages.
    fn next(&mut self, leading: f32) -> Option<f32> {
        if self.y - leading < MARGIN {
            self.turn();
        }
        self.y -= leading;
        (self.pages.len() <= MAX_PAGES).then_some(self.y)
    }

    fn put(&mut self, x: f32, y: f32, style: Style, text: Vec<u8>) {
        if let Some(page) = self.pages.last_mut().filter(|_| !text.is_empty()) {
            page.lines.push(Line { x, y, style, text });
        }
    }

    fn text(&mut self, text: &[u8], style: Style) -> Option<()> {
        for line in style.face.lines(text, style.size, WIDTH) {
            let y = self.next(style.leading)?;
            self.put(MARGIN, y, style, line);
        }
        Some(())
    }

    fn table(&mut self, table: &Table<Vec<u8>>) -> Option<()> {
        let widths = widths(table);
        for (at, row) in table.rows.iter().enumerate() {
            let is_head = table.has_head && at == 0;
            let style = if is_head { HEAD } else { CELL };
            let cells: Vec<Vec<Vec<u8>>> =
                row.iter().zip(&widths).map(|(text, width)| style.face.lines(text, style.size, *width)).collect();
            let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
            self.need(lines as f32 * style.leading + 2.0 * PADDING);
            self.space(PADDING);
            for line in 0..lines {
                let y = self.next(style.leading)?;
                let mut x = MARGIN;
                for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                    if let Some(text) = cell.get(line) {
                        let long = style.face.width(text) as f32 * style.size / 1000.0;
                        let indent = if table.at_right[column] { width - long } else { 0.0 };
                        self.put(x + indent, y, style, text.clone());
                    }
                    x += width + GAP;
                }
            }
            self.y -= PADDING;
            if let Some(page) = self.pages.last_mut() {
                page.rules.push((MARGIN, PAGE.0 - MARGIN, self.y + PADDING - FOOT - 1.0));
            }
        }
        Some(())
    }

    /// The pages, each with its number and how many there are.
    fn numbered(mut self) -> Vec<Page> {
        let all = self.pages.len();
        for (at, page) in self.pages.iter_mut().enumerate() {
            let text = format!("{} / {all}", at + 1).into_bytes();
            let long = NUMBER.face.width(&text) as f32 * NUMBER.size / 1000.0;
            page.lines.push(Line { x: (PAGE.0 - long) / 2.0, y: MARGIN / 2.0, style: NUMBER, text });
        }
        self.pages
    }
}

/// How wide each column is, in points: all of the page together. Those that are narrower than their share are as wide as their
/// texts, and the others divide what is left.
fn widths(table: &Table<Vec<u8>>) -> Vec<f32> {
    let columns = table.at_right.len();
    let natural = |column: usize| {
        let lines = table.rows.iter().filter_map(|row| row.get(column)).flat_map(|text| text.split(|b| *b == b'\n'));
        let widest = lines.map(|line| HEAD.face.width(line)).max().unwrap_or(0); // Bold is the wider one.
        widest as f32 * CELL.size / 1000.0 + 1.0
    };
    let natural: Vec<f32> = (0..columns).map(natural).collect();
    let mut left = WIDTH - GAP * (columns.saturating_sub(1)) as f32;
    let mut widths = vec![0.0; columns];
    let mut open: Vec<usize> = (0..columns).collect();
    while !open.is_empty() {
        let share = left / open.len() as f32;
        let (fit, wide): (Vec<usize>, Vec<usize>) = open.iter().partition(|column| natural[**column] <= share);
        if fit.is_empty() || wide.is_empty() {
            // All of them fit, and have what is left between them, or none does.
            let spare = left - if wide.is_empty() { fit.iter().map(|column| natural[*column]).sum() } else { 0.0 };
            for column in &open {
                let own = if wide.is_empty() { natural[*column] } else { 0.0 };
                widths[*column] = own + spare / open.len() as f32;
            }
            break;
        }
        for column in fit {
            widths[column] = natural[column];
            left -= natural[column];
        }
        open = wide;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Table<Vec<u8>> {
        let rows: Vec<Vec<Vec<u8>>> =
            rows.iter().map(|row| row.iter().map(|text| text.as_bytes().to_vec()).collect()).collect();
        Table { has_head: true, at_right: vec![true; rows[0].len()], rows }
    }

    #[test]
    fn columns_are_all_of_the_page_and_no_more() {
        let long = "w".repeat(500);
        for rows in
            [vec![&["a", "b"][..]], vec![&["a", &long], &["b", "c"]], vec![&[&long, &long, "x"]], vec![&["one"]]]
        {
            let table = table(&rows);
            let widths = widths(&table);
            let all = widths.iter().sum::<f32>() + GAP * (widths.len() - 1) as f32;
            assert!((all - WIDTH).abs() < 0.1 && widths.iter().all(|width| *width > 5.0), "{widths:?}");
        }
    }

    #[test]
    fn everything_stands_within_the_margins() {
        let blocks = [
            Block::Heading(b"Heading ".repeat(20)),
            Block::Paragraph(b"Some words that go on and on. ".repeat(400)),
            Block::Table(table(&[&["left", "right"], &[&"cell ".repeat(2000), "1"], &["a", &"W".repeat(3000)]])),
            Block::Heading(b"The end".to_vec()),
        ];
        let pages = pages(&blocks).unwrap();
        assert!(pages.len() > 5);
        for (at, page) in pages.iter().enumerate() {
            let (number, lines) = page.lines.split_last().unwrap();
            assert_eq!(number.text, format!("{} / {}", at + 1, pages.len()).into_bytes());
            assert!(!lines.is_empty());
            for line in lines {
                let right = line.x + line.style.face.width(&line.text) as f32 * line.style.size / 1000.0;
                assert!(line.x >= MARGIN - 0.1 && right <= PAGE.0 - MARGIN + 0.1, "{line:?}");
                assert!((MARGIN..=TOP).contains(&line.y), "{line:?}");
            }
        }
        assert!(super::pages(&[Block::Paragraph(b"a\n".repeat(10_000))]).is_none());
        let left_out = super::pages(&[Block::Paragraph(Vec::new()), Block::Paragraph(b"a".to_vec())]).unwrap();
        assert_eq!(left_out[0].lines[0].y, TOP - BODY.leading);
    }
}
