//! XML of documents, step by step: local names, so that both editions of Office are one; text with its references
//! resolved; nothing that a document defines itself. Pure.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{encoding::decode, error::ExtractError};

/// No document is nested deeper.
const MAX_DEPTH: usize = 256;

/// An XML part of a document.
pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Start(Element<'a>),
    End,
    Text(Cow<'a, str>),
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element<'a> {
    pub(super) name: String,
    start: BytesStart<'a>,
}

/// How deep an element is, for who stays in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within(usize);

/// The text of an XML part; its declaration may name the encoding.
pub(super) fn text_of(bytes: &[u8]) -> Result<String, ExtractError> {
    let text = decode(bytes, super::encoding::declared_in_html(bytes))?.text;
    Ok(text)
}

impl<'a> Xml<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, depth: 0 }
    }

    /// The next step; `None` at the end.
    pub(super) fn step(&mut self) -> Result<Option<Step<'a>>, ExtractError> {
        loop {
            return Ok(Some(match self.reader.read_event().map_err(ExtractError::damaged)? {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(ExtractError::damaged("it is nested too deeply"));
                    }
                    Step::Start(Element { name: start.local_name().as_ref().to_owned(), start })
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    Step::End
                }
                Event::Text(text) => Step::Text(text.into_inner()),
                Event::CData(text) => Step::Text(text.into_inner()),
                Event::GeneralRef(name) => match name.resolve_char_ref() {
                    Ok(Some(c)) => Step::Text(c.to_string().into()),
                    // What a document defines itself is not looked up: such definitions can be without end.
                    _ => match quick_xml::escape::resolve_predefined_entity(&name) {
                        Some(text) => Step::Text(text.into()),
                        None => continue,
                    },
                },
                Event::DocType(text) if text.contains("<!ENTITY") => {
                    return Err(ExtractError::damaged("it defines words of its own"));
                }
                Event::Eof if self.depth > 0 => return Err(ExtractError::damaged("its end is missing")),
                Event::Eof => return Ok(None),
                _ => continue,
            }));
        }
    }

    /// Goes to the end: for readers who would look for one that is missing for ever.
    pub(super) fn check(mut self) -> Result<(), ExtractError> {
        while self.step()?.is_some() {}
        Ok(())
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Passes over all that is in the element that has just begun, its end included.
    pub(super) fn skip(&mut self) -> Result<(), ExtractError> {
        let within = self.here();
        while self.step_within(within)?.is_some() {}
        Ok(())
    }

    /// The element that has just begun.
    pub(super) fn here(&self) -> Within {
        Within(self.depth)
    }

    /// What comes next in an element, its end included; `None` behind that.
    pub(super) fn step_within(&mut self, Within(depth): Within) -> Result<Option<Step<'a>>, ExtractError> {
        if self.depth < depth { Ok(None) } else { self.step() }
    }

    /// The next element that begins in another, however deep in it; `None` when there is none left.
    pub(super) fn element(&mut self, within: Within) -> Result<Option<Element<'a>>, ExtractError> {
        while let Some(step) = self.step_within(within)? {
            if let Step::Start(element) = step {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// The text of the element that has just begun.
    pub(super) fn text(&mut self) -> Result<String, ExtractError> {
        let within = self.here();
        let mut all = String::new();
        while let Some(step) = self.step_within(within)? {
            if let Step::Text(text) = step {
                all.push_str(&text);
            }
        }
        Ok(all)
    }
}

impl Element<'_> {
    /// The value of an attribute, by its local name.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        self.attributes(name).next()
    }

    /// The values of all attributes of this local name.
    pub(super) fn attributes(&self, name: &str) -> impl Iterator<Item = String> {
        let mut attributes = self.start.attributes();
        attributes.with_checks(false);
        let found = attributes.flatten().filter(move |attribute| attribute.key.local_name().as_ref() == name);
        found.map(|attribute| {
            let value = quick_xml::escape::unescape(&attribute.value);
            value.map_or_else(|_| attribute.value.to_string(), Cow::into_owned)
        })
    }

    /// Whether a switch is on: it is, unless it says that it is not.
    pub(super) fn is_on(&self) -> bool {
        !self.attribute("val").is_some_and(|value| matches!(value.as_str(), "0" | "false" | "off" | "none"))
    }

    /// An attribute that is a number.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.attribute(name)?.trim().parse().ok()
    }
}
