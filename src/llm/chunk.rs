//! One event of a stream, or a whole completion: what of it matters to an answer, in whichever of the shapes that
//! servers give it.
//!
//! A field of an unexpected type costs the field and not the event, and fields that nobody reads cost nothing whatever
//! is in them. What may have been text and cannot be read as such is told ([`Said::is_lost`]). Pure. Uses `chat` and
//! `json`.

use std::borrow::Cow;

use serde_json::Value as Tree;

use super::{
    json::{Json, Unreadable, Value},
    upstream_error::{UpstreamError, is_error},
};

use self::field::{Result, count, word};

mod called;
mod field;
mod said;

pub(super) use called::CallPiece;
pub(super) use said::Said;

/// What was read of an event.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Chunk<'a> {
    pub(super) choices: Vec<Choice<'a>>,
    pub(super) usage: Counts,
    pub(super) error: Option<UpstreamError>,
    /// It has text where other interfaces have theirs, and no choices.
    pub(super) is_lost: bool,
}

/// One of the answers in it. One was asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Choice<'a> {
    pub(super) index: u64,
    /// What is added to the answer.
    pub(super) delta: Option<Said<'a>>,
    /// The answer as a whole.
    pub(super) message: Option<Said<'a>>,
    pub(super) finish: Option<Cow<'a, str>>,
}

/// What a server has counted; zeros are what it has not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) input: u32,
    pub(super) output: u32,
}

impl Counts {
    /// Takes over newer ones. A zero never replaces a count.
    pub(super) fn update(&mut self, newer: Self) {
        for (count, newer) in [(&mut self.input, newer.input), (&mut self.output, newer.output)] {
            if newer > 0 {
                *count = newer;
            }
        }
    }
}

impl<'a> Chunk<'a> {
    /// Reads the next value of `json`. What was read before it became unreadable is in the chunk.
    pub(super) fn read(json: &mut Json<'a>) -> (Self, Result<()>) {
        let mut chunk = Self::default();
        let result = chunk.fill(json);
        (chunk, result)
    }

    fn fill(&mut self, json: &mut Json<'a>) -> Result<()> {
        let mut whole = json.clone();
        let (mut has_choices, mut has_text, mut is_error) = (false, false, false);
        let value = json.value()?;
        if value != Value::Object {
            return json.skip_rest(&value);
        }
        while let Some(key) = json.key()? {
            match &*key {
                "choices" => (has_choices, self.choices) = (true, choices(json)?),
                "usage" => self.usage.update(usage(json)?),
                "error" => self.error = error(json)?.or(self.error.take()),
                "x_groq" => self.groq(json)?,
                "object" | "type" => is_error |= word(json)?.is_some_and(|kind| kind == "error"),
                "content" | "text" | "response" | "delta" => has_text |= says(json)?,
                _ => json.skip()?,
            }
        }
        if is_error && self.error.is_none() {
            self.error = error(&mut whole)?;
        }
        self.is_lost = has_text && !has_choices && self.error.is_none();
        Ok(())
    }

    fn groq(&mut self, json: &mut Json<'a>) -> Result<()> {
        members(json, |key, json| match key {
            "usage" => {
                self.usage.update(usage(json)?);
                Ok(())
            }
            "error" => {
                self.error = self.error.take().or(error(json)?);
                Ok(())
            }
            _ => json.skip(),
        })
    }
}

/// Reads the members of an object, if that is what comes; `each` has to read a value.
fn members<'a>(json: &mut Json<'a>, mut each: impl FnMut(&str, &mut Json<'a>) -> Result<()>) -> Result<()> {
    let value = json.value()?;
    if value != Value::Object {
        return json.skip_rest(&value);
    }
    while let Some(key) = json.key()? {
        each(&key, json)?;
    }
    Ok(())
}

/// A list of choices, or one without a list around it.
fn choices<'a>(json: &mut Json<'a>) -> Result<Vec<Choice<'a>>> {
    let mut choices = Vec::new();
    match json.value()? {
        Value::Array => {
            while json.has_item()? {
                match json.value()? {
                    Value::Object => choices.push(choice(json)?),
                    other => json.skip_rest(&other)?,
                }
            }
        }
        Value::Object => choices.push(choice(json)?),
        _ => {}
    }
    Ok(choices)
}

/// A choice whose bracket was read.
fn choice<'a>(json: &mut Json<'a>) -> Result<Choice<'a>> {
    let mut choice = Choice::default();
    let mut text = None;
    while let Some(key) = json.key()? {
        match &*key {
            "index" => choice.index = count(json)?.unwrap_or(0),
            "delta" => choice.delta = Said::read(json)?,
            "message" => choice.message = Said::read(json)?,
            "text" => text = Said::read(json)?,
            "finish_reason" | "finishReason" => choice.finish = word(json)?.or(choice.finish),
            _ => json.skip()?,
        }
    }
    // As the older interface for bare texts has it.
    choice.delta = choice.delta.or(text);
    Ok(choice)
}

/// Whether the next value is a text, or has one, that may have been a piece of the answer.
fn says(json: &mut Json<'_>) -> Result<bool> {
    Ok(Said::read(json)?.is_some_and(|said| said.is_lost || !said.text.is_empty()))
}

fn usage(json: &mut Json<'_>) -> Result<Counts> {
    let mut counts = Counts::default();
    let saturated = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    members(json, |key, json| {
        match key {
            "prompt_tokens" | "input_tokens" => counts.input = count(json)?.map_or(counts.input, saturated),
            "completion_tokens" | "output_tokens" => counts.output = count(json)?.map_or(counts.output, saturated),
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(counts)
}

fn error(json: &mut Json<'_>) -> Result<Option<UpstreamError>> {
    let raw = json.raw()?;
    // So deep a one says nothing that anybody could read, and is one all the same.
    let error = Json::new(raw).tree().unwrap_or_else(|Unreadable| Tree::from(raw));
    Ok(is_error(&error).then(|| UpstreamError::from_value(&error)))
}
