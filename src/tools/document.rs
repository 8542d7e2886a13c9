//! A document that an assistant's file makes: a letter with figures that are worked out here and not by the model. Pure.

use serde_json::{Map, Value};

use super::{
    error::ToolError,
    output::{Made, Output},
};
use crate::{
    chat::{ArtifactKind, Timestamp},
    config::{DocumentCall, TODAY},
    formula::{Arguments, BadArguments},
    letter::unwritable,
};

/// What models are told of each beside what the operator says of it.
pub(super) const NOTE: &str = "The document is shown beside the answer; do not link to it.";

/// Refuses arguments that no document can have.
pub(super) fn check(arguments: &Arguments) -> Result<(), BadArguments> {
    for (name, value) in arguments.as_json() {
        if let Some(character) = value.as_str().and_then(unwritable) {
            return Err(BadArguments::of(name, &character.to_string()));
        }
    }
    Ok(())
}

/// Writes it.
pub(super) fn run(
    document: &DocumentCall,
    title: &str,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Output, ToolError> {
    let computed = document.formula.compute(arguments)?;
    let today = now.day();
    let value = |name: &str| {
        let known = computed.value(name, arguments);
        known.or_else(|| (name == TODAY).then(|| today.clone())).unwrap_or_default()
    };
    let rendered = document.letter.render(title, &today, value)?;
    let name = format!("{title}.pdf");
    let pages = rendered.pages;
    let summary = match document.formula.summary {
        Some(_) => computed.summary,
        None => format!("{name}, {pages} page{}", if pages == 1 { "" } else { "s" }),
    };
    let mut data = Map::from_iter([("document".to_owned(), name.clone().into()), ("pages".to_owned(), pages.into())]);
    data.extend(computed.data);
    let made = Made { kind: ArtifactKind::File, title: name, media: "application/pdf", bytes: rendered.bytes };
    Ok(Output { summary, data: Value::Object(data), files: vec![made], ..Output::default() })
}
