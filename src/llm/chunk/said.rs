//! What a model says in one piece, or in the whole: text, reasoning, calls of tools, under all the names and in all the
//! shapes that are in use.

use super::{
    called::{CallPiece, pieces},
    field::{Result, word},
};
use crate::llm::json::{Json, Text, Value};

/// What a model says.
#[derive(Debug, Default, PartialEq)]
pub(in crate::llm) struct Said<'a> {
    /// What may be seen of it.
    pub(in crate::llm) text: Text<'a>,
    /// Bytes of reasoning. The same reasoning under several names counts once.
    pub(in crate::llm) reasoning: usize,
    /// Bytes of calls of tools, and of whatever else is not to be seen.
    pub(in crate::llm) others: usize,
    /// Whether a tool is called.
    pub(in crate::llm) calls_tool: bool,
    /// The calls, or pieces of them.
    pub(in crate::llm) calls: Vec<CallPiece<'a>>,
    /// Something in it may have been text and could not be read as such.
    pub(in crate::llm) is_lost: bool,
}

impl<'a> Said<'a> {
    /// Reads the next value; `None` when there is nothing.
    pub(super) fn read(json: &mut Json<'a>) -> Result<Option<Self>> {
        let mut said = Self::default();
        match json.value()? {
            Value::Null => return Ok(None),
            Value::Object => said.members(json)?,
            // Not even an object around it.
            value => said.content(json, value)?,
        }
        Ok(Some(said))
    }

    fn members(&mut self, json: &mut Json<'a>) -> Result<()> {
        // Of a field that comes twice the last one counts, and of all that has content the first one that is there.
        let (mut content, mut text, mut refusal) = (None, None, None);
        let (mut calls, mut older_calls) = (Called::default(), Called::default());
        while let Some(key) = json.key()? {
            match &*key {
                "content" => content = Some(Self::of_content(json)?),
                "text" => text = Some(Self::of_content(json)?),
                "refusal" => refusal = Some(Self::of_content(json)?),
                "reasoning_content" | "reasoning" | "reasoning_text" | "thinking" | "reasoning_details" => {
                    self.reasoning = self.reasoning.max(weight(json)?);
                }
                "tool_calls" => calls = Called::read(json)?,
                "function_call" => older_calls = Called::read(json)?,
                _ => json.skip()?,
            }
        }
        self.others += calls.weight + older_calls.weight;
        self.calls_tool = self.others > 0;
        // The same under two names counts once.
        self.calls = if calls.pieces.is_empty() { older_calls.pieces } else { calls.pieces };
        for said in [content, text, refusal].into_iter().flatten() {
            if self.text.is_empty() {
                self.text = said.text;
            }
            self.reasoning = self.reasoning.max(said.reasoning);
            self.others += said.others;
            self.is_lost |= said.is_lost;
        }
        Ok(())
    }

    fn of_content(json: &mut Json<'a>) -> Result<Self> {
        let mut said = Self::default();
        let value = json.value()?;
        said.content(json, value)?;
        Ok(said)
    }

    /// Content: a text, a scalar that was meant as one, a part, or a list of these.
    fn content(&mut self, json: &mut Json<'a>, value: Value<'a>) -> Result<()> {
        match value {
            Value::Null => {}
            Value::Word(word) => self.text.append(Text::from(word)),
            Value::Text(text) if self.text.is_empty() => self.text = text,
            Value::Text(text) => self.text.append(text),
            Value::Object => self.part(json)?,
            Value::Array => {
                while json.has_item()? {
                    match json.value()? {
                        // Lists within lists are nobody's.
                        list @ Value::Array => {
                            self.is_lost = true;
                            json.skip_rest(&list)?;
                        }
                        item => self.content(json, item)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// A part of the content, whose bracket was read.
    fn part(&mut self, json: &mut Json<'a>) -> Result<()> {
        let from = json.rest().len();
        let (mut kind, mut text, mut is_odd) = (None, None, false);
        while let Some(key) = json.key()? {
            match &*key {
                "type" => kind = word(json)?,
                "text" | "content" | "refusal" => match inner(json)? {
                    Inner::Text(said) => text = Some(said),
                    Inner::Nothing => {}
                    Inner::Odd => is_odd = true,
                },
                _ => json.skip()?,
            }
        }
        let size = from - json.rest().len();
        let is = |parts: &[&str]| kind.as_ref().is_some_and(|kind| parts.iter().any(|part| kind.contains(part)));
        if is(&["think", "reason", "summary"]) {
            self.reasoning += size;
        } else if kind.is_none() || is(&["text", "refusal"]) {
            self.is_lost |= is_odd;
            match text {
                Some(said) => self.text.append(said),
                None => self.others += size,
            }
        } else {
            self.others += size;
            let is_known =
                is(&["tool", "function", "image", "audio", "video", "file", "reference", "citation", "source"]);
            self.is_lost |= !is_known && (is_odd || text.is_some_and(|said| !said.is_empty()));
        }
        Ok(())
    }
}

/// The value of a field of calls.
#[derive(Default)]
struct Called<'a> {
    weight: usize,
    pieces: Vec<CallPiece<'a>>,
}

impl<'a> Called<'a> {
    fn read(json: &mut Json<'a>) -> Result<Self> {
        let raw = json.raw()?;
        let weight = weight_of(raw);
        Ok(Self { weight, pieces: if weight > 0 { pieces(raw) } else { Vec::new() } })
    }
}

/// The text of a part.
enum Inner<'a> {
    Nothing,
    Text(Text<'a>),
    /// Something else stands in its place.
    Odd,
}

/// Reads the text of a part: bare, or as the value of an object of its own.
fn inner<'a>(json: &mut Json<'a>) -> Result<Inner<'a>> {
    Ok(match json.value()? {
        Value::Null => Inner::Nothing,
        Value::Text(text) => Inner::Text(text),
        Value::Word(word) => Inner::Text(Text::from(word)),
        Value::Object => {
            let mut inner = Inner::Nothing;
            while let Some(key) = json.key()? {
                inner = match (&*key, json.value()?) {
                    ("value" | "text", Value::Text(text)) => Inner::Text(text),
                    (name, value) => {
                        json.skip_rest(&value)?;
                        if matches!(name, "value" | "text") { Inner::Odd } else { inner }
                    }
                }
            }
            inner
        }
        list @ Value::Array => {
            json.skip_rest(&list)?;
            Inner::Odd
        }
    })
}

/// About how many bytes a model has written for the next value; none for one that is empty.
fn weight(json: &mut Json<'_>) -> Result<usize> {
    json.raw().map(weight_of)
}

fn weight_of(raw: &str) -> usize {
    match raw.as_bytes().first() {
        Some(b'"' | b'\'') => raw.len() - 2,
        Some(b'{' | b'[') if raw[1..raw.len() - 1].trim().is_empty() => 0,
        _ if matches!(raw, "null" | "None" | "undefined" | "false" | "False" | "0") => 0,
        _ => raw.len(),
    }
}
