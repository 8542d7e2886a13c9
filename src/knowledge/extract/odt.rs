//! OpenDocument texts (.odt): headings, lists, tables, notes below the paragraph that refers to them. Tracked deletions,
//! comments and hidden text are not text. Pure.

use std::collections::HashSet;

use super::{
    block::{Block, Table, words},
    error::ExtractError,
    out::Out,
    package::Package,
    xml::{Step, Xml},
};

/// The most spaces, and the most copies of a cell, that are written for one element.
const MAX_REPEATED: usize = 256;

pub(super) fn read(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes)?;
    package.refuse_encrypted()?;
    if let Some(meta) = package.text("meta.xml")? {
        let mut xml = Xml::new(&meta);
        while let Some(step) = xml.step()? {
            if matches!(&step, Step::Start(element) if element.name == "title") {
                out.title = Some(xml.text()?).filter(|title| !title.trim().is_empty());
            }
        }
    }
    let text = package.needed("content.xml")?;
    let styles = package.text("styles.xml")?.unwrap_or_default();
    let mut hidden_styles = HashSet::new();
    for text in [&styles, &text] {
        find_hidden_styles(text, &mut hidden_styles)?;
    }
    let mut body = Body { xml: Xml::new(&text), hidden_styles, out };
    while let Some(step) = body.xml.step()? {
        // Not the prefix but the place tells it from other elements of this name: nothing else in the file has it.
        if matches!(&step, Step::Start(element) if element.name == "body") {
            let blocks = body.blocks()?;
            blocks.into_iter().try_for_each(|block| block.write(body.out))?;
        }
    }
    Ok(())
}

fn find_hidden_styles(text: &str, hidden: &mut HashSet<String>) -> Result<(), ExtractError> {
    let mut xml = Xml::new(text);
    let mut name = None;
    while let Some(step) = xml.step()? {
        let Step::Start(element) = step else { continue };
        match element.name.as_str() {
            "style" => name = element.attribute("name"),
            "text-properties" if element.attribute("display").is_some_and(|display| display == "none") => {
                hidden.extend(name.take());
            }
            _ => {}
        }
    }
    Ok(())
}

struct Body<'a> {
    xml: Xml<'a>,
    hidden_styles: HashSet<String>,
    out: &'a mut Out,
}

impl Body<'_> {
    /// The pieces of the element that has just begun.
    fn blocks(&mut self) -> Result<Vec<Block>, ExtractError> {
        let mut blocks = Vec::new();
        let within = self.xml.here();
        let mut lists = Vec::new();
        while let Some(step) = self.xml.step_within(within)? {
            lists.retain(|depth| *depth <= self.xml.depth());
            let Step::Start(element) = step else { continue };
            match element.name.as_str() {
                "list" => lists.push(self.xml.depth()),
                "section" if element.attribute("display").is_some_and(|display| display == "none") => {
                    let text = self.xml.text()?;
                    self.out.hidden(&text);
                }
                "h" => {
                    let level = element.number("outline-level").unwrap_or(1);
                    let style = element.attribute("style-name");
                    self.paragraph(style, |text| Block::Heading(level, text), &mut blocks)?;
                }
                "p" => {
                    let block = if lists.is_empty() { Block::Paragraph } else { Block::Item };
                    self.paragraph(element.attribute("style-name"), block, &mut blocks)?;
                }
                "table" => blocks.push(Block::Table(self.table()?)),
                name if is_unseen(name) => self.xml.skip()?,
                _ => {}
            }
        }
        Ok(blocks)
    }

    fn paragraph(
        &mut self,
        style: Option<String>,
        block: impl Fn(String) -> Block,
        blocks: &mut Vec<Block>,
    ) -> Result<(), ExtractError> {
        let is_hidden = |style: &Option<String>, styles: &HashSet<String>| {
            style.as_ref().is_some_and(|style| styles.contains(style))
        };
        if is_hidden(&style, &self.hidden_styles) {
            let text = self.xml.text()?;
            self.out.hidden(&text);
            return Ok(());
        }
        let (mut text, mut after) = (String::new(), Vec::new());
        let within = self.xml.here();
        while let Some(step) = self.xml.step_within(within)? {
            let element = match step {
                Step::Start(element) => element,
                Step::Text(words) => {
                    // As in HTML, white space is one space.
                    let words = words.replace(['\n', '\r', '\t'], " ");
                    text.push_str(&words);
                    continue;
                }
                Step::End => continue,
            };
            match element.name.as_str() {
                "s" => text.push_str(&" ".repeat(element.number("c").unwrap_or(1).min(MAX_REPEATED))),
                "tab" => text.push('\t'),
                "line-break" => text.push('\n'),
                "note-citation" => self.xml.skip()?,
                "note-body" | "text-box" => after.extend(self.blocks()?),
                "span" if is_hidden(&element.attribute("style-name"), &self.hidden_styles) => {
                    let words = self.xml.text()?;
                    self.out.hidden(&words);
                }
                name if is_unseen(name) => self.xml.skip()?,
                _ => {}
            }
        }
        if !text.trim().is_empty() {
            blocks.push(block(text));
        }
        blocks.extend(after);
        Ok(())
    }

    fn table(&mut self) -> Result<Table, ExtractError> {
        let mut table = Table::default();
        let within = self.xml.here();
        while let Some(element) = self.xml.element(within)? {
            match element.name.as_str() {
                "table-row" => table.begin_row(),
                "table-cell" | "covered-table-cell" => {
                    let copies = element.number("number-columns-repeated").unwrap_or(1).min(MAX_REPEATED);
                    let blocks = self.blocks()?;
                    let text = words(&blocks, " ");
                    table.cell(blocks, 1);
                    for _ in 1..copies {
                        table.cell(vec![Block::Paragraph(text.clone())], 1);
                    }
                }
                name if is_unseen(name) => self.xml.skip()?,
                _ => {}
            }
        }
        Ok(table)
    }
}

/// Deletions that are tracked, comments, what conditions hide, descriptions of drawings.
fn is_unseen(name: &str) -> bool {
    matches!(
        name,
        "tracked-changes" | "annotation" | "hidden-text" | "hidden-paragraph" | "forms" | "desc" | "title" | "script"
    )
}
