//! Slides (.pptx): in the order in which they are shown, each with its title, its tables and the notes that it refers to.
//! Hidden slides and shapes are not text. Pure.

use super::{
    block::{Block, Table},
    document::Warning,
    error::ExtractError,
    out::Out,
    package::Package,
    place::Place,
    xml::{Step, Xml},
};

/// Placeholders whose text is the same on every slide, or a picture of the slide.
const FURNITURE: [&str; 5] = ["sldNum", "dt", "ftr", "hdr", "sldImg"];

pub(super) fn read(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes)?;
    let main = package.main()?;
    let references = package.references(&main)?;
    let text = package.needed(&main)?;
    let mut xml = Xml::new(&text);
    let (mut number, mut hidden) = (0, 0);
    while let Some(step) = xml.step()? {
        let Step::Start(element) = step else { continue };
        if element.name != "sldId" {
            continue;
        }
        // Its own `id` is a number; the reference has a name space before it.
        let part = element.attributes("id").find_map(|id| references.get(&id)).map(|reference| reference.part.clone());
        let Some(part) = part else { continue };
        number += 1;
        let Some(text) = package.text(&part)? else { continue };
        let slide = Shapes::read(&text, false)?;
        if slide.is_hidden {
            hidden += 1;
            continue;
        }
        out.begin(Place::Slide(number))?;
        slide.blocks.into_iter().try_for_each(|block| block.write(out))?;
        let notes = package.references(&part)?.into_values().find(|reference| reference.kind == "notesSlide");
        if let Some(text) = notes.map(|notes| package.text(&notes.part)).transpose()?.flatten() {
            Shapes::read(&text, true)?.blocks.into_iter().try_for_each(|block| block.write(out))?;
        }
    }
    out.warnings.extend((hidden > 0).then_some(Warning::HiddenParts(hidden)));
    Ok(())
}

/// What a slide shows, its title first.
#[derive(Default)]
struct Shapes {
    blocks: Vec<Block>,
    is_hidden: bool,
}

/// The shape that is being read.
#[derive(Default)]
struct Shape {
    placeholder: Option<String>,
    is_hidden: bool,
    depth: usize,
}

impl Shapes {
    /// Of notes, only what their author wrote.
    fn read(text: &str, are_notes: bool) -> Result<Self, ExtractError> {
        let mut xml = Xml::new(text);
        let mut slide = Self::default();
        let mut shape = Shape::default();
        while let Some(step) = xml.step()? {
            let element = match step {
                Step::Start(element) => element,
                Step::End => {
                    if xml.depth() < shape.depth {
                        shape = Shape::default();
                    }
                    continue;
                }
                Step::Text(_) => continue,
            };
            match element.name.as_str() {
                "sld" => slide.is_hidden = element.attribute("show").is_some_and(|show| show == "0" || show == "false"),
                "sp" | "graphicFrame" | "pic" if shape.depth == 0 => shape.depth = xml.depth(),
                "cNvPr" if element.attribute("hidden").is_some_and(|hidden| hidden == "1" || hidden == "true") => {
                    shape.is_hidden = true;
                }
                "ph" => shape.placeholder = Some(element.attribute("type").unwrap_or_default()),
                "Fallback" => xml.skip()?,
                "tbl" if !shape.is_hidden && !are_notes => slide.blocks.push(Block::Table(table(&mut xml)?)),
                "p" => {
                    let text = paragraph(&mut xml)?;
                    slide.add(&shape, text, are_notes);
                }
                _ => {}
            }
        }
        Ok(slide)
    }

    fn add(&mut self, shape: &Shape, text: String, are_notes: bool) {
        let placeholder = shape.placeholder.as_deref();
        let is_furniture = placeholder.is_some_and(|placeholder| FURNITURE.contains(&placeholder));
        if text.trim().is_empty() || shape.is_hidden || is_furniture || (are_notes && placeholder != Some("body")) {
            return;
        }
        match placeholder {
            Some("title" | "ctrTitle") => {
                let at = self.blocks.iter().take_while(|block| matches!(block, Block::Heading(..))).count();
                self.blocks.insert(at, Block::Heading(2, text));
            }
            _ => self.blocks.push(Block::Paragraph(text)),
        }
    }
}

/// The text of the paragraph that has just begun.
fn paragraph(xml: &mut Xml<'_>) -> Result<String, ExtractError> {
    let mut text = String::new();
    let within = xml.here();
    while let Some(element) = xml.element(within)? {
        match element.name.as_str() {
            "t" => text.push_str(&xml.text()?),
            "br" => text.push('\n'),
            "tab" => text.push('\t'),
            _ => {}
        }
    }
    Ok(text)
}

/// The table that has just begun.
fn table(xml: &mut Xml<'_>) -> Result<Table, ExtractError> {
    let mut table = Table::default();
    let within = xml.here();
    while let Some(element) = xml.element(within)? {
        match element.name.as_str() {
            "tr" => table.begin_row(),
            // Cells that another one covers are there too, and empty.
            "tc" => {
                let mut blocks = Vec::new();
                let within = xml.here();
                while let Some(element) = xml.element(within)? {
                    if element.name == "p" {
                        blocks.push(Block::Paragraph(paragraph(xml)?));
                    }
                }
                table.cell(blocks, 1);
            }
            _ => {}
        }
    }
    Ok(table)
}
