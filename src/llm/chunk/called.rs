//! Calls of tools as servers write them: in pieces or whole, under the names and in the shapes that are in use.

use std::borrow::Cow;

use serde_json::Value as Tree;

use super::field::{Result, count, word};
use crate::llm::json::{Json, Text, Unreadable, Value};

/// A piece of a call of a tool, or the whole of one.
#[derive(Debug, Default, PartialEq)]
pub(in crate::llm) struct CallPiece<'a> {
    /// Which of several calls it is of: what the server says, or its place in the list.
    pub(in crate::llm) index: u64,
    /// What the server calls the call.
    pub(in crate::llm) id: Option<Cow<'a, str>>,
    /// What is called.
    pub(in crate::llm) name: Option<Cow<'a, str>>,
    /// With what, as it was written; an object in JSON where one stands in place of a text.
    pub(in crate::llm) arguments: Text<'a>,
}

/// The pieces in a value: a list of them, or one without a list around it.
pub(super) fn pieces(raw: &str) -> Vec<CallPiece<'_>> {
    let mut pieces = Vec::new();
    if fill(&mut Json::new(raw), &mut pieces).is_err() {
        // Nobody can tell what is called: a piece without a name, which spoils the call that it is of.
        pieces.push(CallPiece { arguments: Text::from(raw), ..CallPiece::default() });
    }
    pieces
}

fn fill<'a>(json: &mut Json<'a>, pieces: &mut Vec<CallPiece<'a>>) -> Result<()> {
    match json.value()? {
        Value::Array => {
            let mut place = 0;
            while json.has_item()? {
                match json.value()? {
                    Value::Object => pieces.extend(piece(json, place)?),
                    other => json.skip_rest(&other)?,
                }
                place += 1;
            }
        }
        Value::Object => pieces.extend(piece(json, 0)?),
        _ => {}
    }
    Ok(())
}

/// A piece whose bracket was read, if there is anything in it.
fn piece<'a>(json: &mut Json<'a>, place: u64) -> Result<Option<CallPiece<'a>>> {
    let mut piece = CallPiece { index: place, ..CallPiece::default() };
    members(json, &mut piece, true)?;
    let is_empty = piece.id.is_none() && piece.name.is_none() && piece.arguments.is_empty();
    Ok((!is_empty).then_some(piece))
}

fn members<'a>(json: &mut Json<'a>, piece: &mut CallPiece<'a>, is_outer: bool) -> Result<()> {
    while let Some(key) = json.key()? {
        match &*key {
            "index" => piece.index = count(json)?.unwrap_or(piece.index),
            "id" => piece.id = word(json)?,
            "name" => piece.name = word(json)?,
            "arguments" => piece.arguments = arguments(json)?,
            "function" if is_outer => match json.value()? {
                Value::Object => members(json, piece, false)?,
                other => json.skip_rest(&other)?,
            },
            _ => json.skip()?,
        }
    }
    Ok(())
}

fn arguments<'a>(json: &mut Json<'a>) -> Result<Text<'a>> {
    let mut whole = json.clone();
    Ok(match json.value()? {
        Value::Null => Text::default(),
        Value::Word(word) => Text::from(word),
        Value::Text(text) => text,
        bracket => {
            json.skip_rest(&bracket)?;
            let raw = whole.raw()?;
            match Json::new(raw).tree() {
                // Without what dialects add.
                Ok(tree) => Text { text: Cow::Owned(Tree::to_string(&tree)), ..Text::default() },
                Err(Unreadable) => Text::from(raw),
            }
        }
    })
}
