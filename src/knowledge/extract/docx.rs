//! Word documents (.docx): headings by their styles, tables, lists, notes below the paragraph that refers to them, headers
//! and footers once. What was deleted, moved away or hidden is not text, nor are comments. Pure.

use std::collections::{HashMap, HashSet};

use super::{
    block::{Block, Table, words},
    error::ExtractError,
    out::Out,
    package::Package,
    xml::{Element, Step, Xml},
};

/// How many styles a style may be based on, one on the other.
const MAX_BASES: usize = 16;
/// Elements whose content is not shown: deletions, what was moved from here, the second form of what some programs cannot
/// show, instructions of fields, properties of placeholders.
const UNSEEN: [&str; 7] = ["del", "moveFrom", "Fallback", "instrText", "delText", "delInstrText", "sdtPr"];

pub(super) fn read(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes)?;
    let main = package.main()?;
    let mut parts: Vec<(String, String)> =
        package.references(&main)?.into_values().map(|reference| (reference.kind, reference.part)).collect();
    parts.sort_unstable();
    let mut texts = |kind: &str| -> Result<Vec<String>, ExtractError> {
        let parts = parts.iter().filter(|part| part.0 == kind);
        parts.filter_map(|part| package.text(&part.1).transpose()).collect()
    };
    let styles = texts("styles")?.first().map_or_else(|| Ok(Styles::default()), |text| Styles::read(text))?;
    let mut notes = Notes::new();
    for kind in ["footnote", "endnote"] {
        for text in texts(&format!("{kind}s"))? {
            read_notes(kind, &text, &styles, &mut notes, out)?;
        }
    }
    let (headers, footers) = (texts("header")?, texts("footer")?);
    let mut seen = HashSet::new();
    let mut once = |texts: Vec<String>, out: &mut Out| -> Result<(), ExtractError> {
        for text in texts {
            let words = words(&Body::new(&text, &styles, &notes, out).read()?, "\n");
            if seen.insert(words.clone()) {
                out.paragraph(&words)?;
            }
        }
        Ok(())
    };
    once(headers, out)?;
    let text = package.needed(&main)?;
    let blocks = Body::new(&text, &styles, &notes, out).read()?;
    blocks.into_iter().try_for_each(|block| block.write(out))?;
    once(footers, out)
}

/// Notes by kind and number.
type Notes = HashMap<(&'static str, String), String>;

fn read_notes(
    kind: &'static str,
    text: &str,
    styles: &Styles,
    notes: &mut Notes,
    out: &mut Out,
) -> Result<(), ExtractError> {
    let none = Notes::new();
    let mut body = Body::new(text, styles, &none, out);
    while let Some(step) = body.xml.step()? {
        let Step::Start(element) = step else { continue };
        if element.name == kind
            && let Some(id) = element.attribute("id")
        {
            let blocks = body.blocks()?;
            notes.insert((kind, id), words(&blocks, "\n"));
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Style {
    based_on: Option<String>,
    level: Option<usize>,
    is_hidden: Option<bool>,
    is_list: Option<bool>,
    is_title: bool,
}

#[derive(Debug, Default)]
struct Styles(HashMap<String, Style>);

impl Styles {
    fn read(text: &str) -> Result<Self, ExtractError> {
        let mut xml = Xml::new(text);
        let mut styles = Self::default();
        let mut id = String::new();
        while let Some(step) = xml.step()? {
            let Step::Start(element) = step else { continue };
            if element.name == "style" {
                id = element.attribute("styleId").unwrap_or_default();
                styles.0.insert(id.clone(), Style::default());
                continue;
            }
            let Some(style) = styles.0.get_mut(&id) else { continue };
            match element.name.as_str() {
                "basedOn" => style.based_on = element.attribute("val"),
                "outlineLvl" => style.level = element.number("val").map(|level| level + 1),
                "vanish" => style.is_hidden = Some(element.is_on()),
                "numPr" => style.is_list = Some(true),
                "name" => {
                    let name = element.attribute("val").unwrap_or_default().to_lowercase();
                    style.is_title = name == "title";
                    let level = name.strip_prefix("heading ").and_then(|level| level.parse().ok());
                    style.level = style.level.or(level);
                }
                _ => {}
            }
        }
        Ok(styles)
    }

    /// What the style, or the nearest that it is based on, says.
    fn of<T>(&self, id: Option<&str>, what: impl Fn(&Style) -> Option<T>) -> Option<T> {
        let mut style = self.0.get(id?)?;
        for _ in 0..MAX_BASES {
            match (what(style), &style.based_on) {
                (None, Some(base)) => style = self.0.get(base)?,
                (found, _) => return found,
            }
        }
        None
    }
}

/// A part that has paragraphs.
struct Body<'a> {
    xml: Xml<'a>,
    styles: &'a Styles,
    notes: &'a Notes,
    out: &'a mut Out,
}

/// A paragraph as far as it was read.
#[derive(Default)]
struct Paragraph {
    style: Option<String>,
    level: Option<usize>,
    is_item: Option<bool>,
    text: String,
    /// Text boxes and notes: they come after it.
    after: Vec<Block>,
}

impl<'a> Body<'a> {
    fn new(text: &'a str, styles: &'a Styles, notes: &'a Notes, out: &'a mut Out) -> Self {
        Self { xml: Xml::new(text), styles, notes, out }
    }

    /// The whole part.
    fn read(&mut self) -> Result<Vec<Block>, ExtractError> {
        match self.xml.step()? {
            Some(Step::Start(_)) => self.blocks(),
            Some(_) => self.read(),
            None => Ok(Vec::new()),
        }
    }

    /// The pieces of the element that has just begun.
    fn blocks(&mut self) -> Result<Vec<Block>, ExtractError> {
        let mut blocks = Vec::new();
        let within = self.xml.here();
        while let Some(element) = self.xml.element(within)? {
            match element.name.as_str() {
                "p" => self.paragraph(&mut blocks)?,
                "tbl" => blocks.push(Block::Table(self.table()?)),
                name if UNSEEN.contains(&name) => self.xml.skip()?,
                _ => {}
            }
        }
        Ok(blocks)
    }

    fn table(&mut self) -> Result<Table, ExtractError> {
        let mut table = Table::default();
        let within = self.xml.here();
        let mut width = 1;
        while let Some(element) = self.xml.element(within)? {
            match element.name.as_str() {
                "tr" => table.begin_row(),
                "tc" => {
                    let blocks = self.cell(&mut width)?;
                    table.cell(blocks, width);
                }
                name if UNSEEN.contains(&name) => self.xml.skip()?,
                _ => {}
            }
        }
        Ok(table)
    }

    fn cell(&mut self, width: &mut usize) -> Result<Vec<Block>, ExtractError> {
        *width = 1;
        let mut blocks = Vec::new();
        let within = self.xml.here();
        while let Some(element) = self.xml.element(within)? {
            match element.name.as_str() {
                "gridSpan" => *width = element.number("val").unwrap_or(1),
                "p" => self.paragraph(&mut blocks)?,
                "tbl" => blocks.push(Block::Table(self.table()?)),
                name if UNSEEN.contains(&name) => self.xml.skip()?,
                _ => {}
            }
        }
        Ok(blocks)
    }

    fn paragraph(&mut self, blocks: &mut Vec<Block>) -> Result<(), ExtractError> {
        let mut paragraph = Paragraph::default();
        let within = self.xml.here();
        while let Some(element) = self.xml.element(within)? {
            match element.name.as_str() {
                "pPr" => self.properties(&mut paragraph)?,
                "r" => self.run(&mut paragraph)?,
                name if UNSEEN.contains(&name) => self.xml.skip()?,
                _ => {}
            }
        }
        let Paragraph { style, level, is_item, text, after } = paragraph;
        let style = style.as_deref();
        let is_title = self.styles.of(style, |style| style.is_title.then_some(())).is_some();
        let level = level.or_else(|| self.styles.of(style, |style| style.level)).filter(|level| *level < 10);
        let is_item = is_item.or_else(|| self.styles.of(style, |style| style.is_list)).unwrap_or(false);
        if !text.trim().is_empty() {
            if is_title && self.out.title.is_none() {
                self.out.title = Some(text.clone());
            }
            blocks.push(match level.or(is_title.then_some(1)) {
                Some(level) => Block::Heading(level, text),
                None if is_item => Block::Item(text),
                None => Block::Paragraph(text),
            });
        }
        blocks.extend(after);
        Ok(())
    }

    /// `pPr`. What it says of characters is said of the paragraph's mark alone.
    fn properties(&mut self, paragraph: &mut Paragraph) -> Result<(), ExtractError> {
        let within = self.xml.here();
        while let Some(element) = self.xml.element(within)? {
            match element.name.as_str() {
                "pStyle" => paragraph.style = element.attribute("val"),
                "outlineLvl" => paragraph.level = element.number("val").map(|level| level + 1),
                "numId" => paragraph.is_item = Some(element.number("val") != Some(0)),
                "rPr" | "pPrChange" => self.xml.skip()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn run(&mut self, paragraph: &mut Paragraph) -> Result<(), ExtractError> {
        let by_style = |styles: &Styles, id: Option<&str>| styles.of(id, |style| style.is_hidden);
        let mut is_hidden = by_style(self.styles, paragraph.style.as_deref()).unwrap_or(false);
        let within = self.xml.here();
        while let Some(element) = self.xml.element(within)? {
            let text = match element.name.as_str() {
                "vanish" => {
                    is_hidden = element.is_on();
                    continue;
                }
                "rStyle" => {
                    is_hidden = by_style(self.styles, element.attribute("val").as_deref()).unwrap_or(is_hidden);
                    continue;
                }
                "t" => self.xml.text()?,
                "tab" | "ptab" => "\t".to_owned(),
                "br" | "cr" => "\n".to_owned(),
                "noBreakHyphen" => "-".to_owned(),
                "footnoteReference" if !is_hidden => {
                    self.note("footnote", &element, paragraph);
                    continue;
                }
                "endnoteReference" if !is_hidden => {
                    self.note("endnote", &element, paragraph);
                    continue;
                }
                "txbxContent" if !is_hidden => {
                    let blocks = self.blocks()?;
                    paragraph.after.extend(blocks);
                    continue;
                }
                "txbxContent" | "rPrChange" => {
                    self.xml.skip()?;
                    continue;
                }
                name if UNSEEN.contains(&name) => {
                    self.xml.skip()?;
                    continue;
                }
                _ => continue,
            };
            if is_hidden { self.out.hidden(&text) } else { paragraph.text.push_str(&text) }
        }
        Ok(())
    }

    fn note(&self, kind: &'static str, reference: &Element<'_>, paragraph: &mut Paragraph) {
        let note = reference.attribute("id").and_then(|id| self.notes.get(&(kind, id)));
        paragraph.after.extend(note.cloned().map(Block::Paragraph));
    }
}
