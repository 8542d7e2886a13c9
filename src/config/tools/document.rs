//! `kind = "document"`: a template beside the assistant's file, and what is worked out for it.

use std::{io, path::Path};

use toml::{Spanned, de::DeValue};

use super::{
    fields::Source,
    formula::{self, missing},
};
use crate::{
    config::{
        beside::{is_beside, text_of},
        error::{ConfigError, Origin, excerpt},
    },
    formula::{Formula, Input},
    letter::{Letter, MAX_TEMPLATE_BYTES, WrongLine},
};

/// A document that is written of the arguments of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentCall {
    /// What is worked out for it.
    pub formula: Formula,
    /// What it says.
    pub letter: Letter,
}

/// The name by which a template has the date, unless an input or a result is called so.
pub const TODAY: &str = "today";

/// Reads what a tool of this kind does; `None` when it has no template.
pub(super) fn read(
    source: &mut Source<'_>,
    within: &str,
    tool: &Spanned<DeValue<'_>>,
    inputs: &[Input],
    summary: Option<&str>,
    template: Option<&Path>,
) -> Option<DocumentCall> {
    let formula = formula::read(source, within, tool, inputs, summary, false);
    let key = format!("{within}.template");
    let Some(name) = template.filter(|name| is_beside(name)) else {
        let found = template.map_or("".into(), |name| name.to_string_lossy());
        source.refuse_text(key, "the name of a file beside this one", &found, &tool.span());
        return None;
    };
    let path = source.path.with_file_name(name);
    let text = match text_of(&path) {
        Ok(text) if text.len() > MAX_TEMPLATE_BYTES => {
            let found = format!("a template has at most {MAX_TEMPLATE_BYTES} bytes, and this one {}", text.len());
            Err(io::Error::new(io::ErrorKind::FileTooLarge, found))
        }
        read => read,
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            source.refused.push(ConfigError::Read { path, source: error });
            return None;
        }
    };
    let results = formula.outputs.iter().map(|output| output.name.as_str());
    let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).chain(results).chain([TODAY]).collect();
    match Letter::parse(&text, |name| known.contains(&name)) {
        Ok(letter) => Some(DocumentCall { formula, letter }),
        Err(bad) => {
            let expected = match &bad.wrong {
                WrongLine::Unknown(name) => {
                    let missing = missing(name, known.iter().map(|name| (*name).to_owned()));
                    format!("{} ({missing})", bad.wrong)
                }
                wrong => wrong.to_string(),
            };
            let found = format!("the text \"{}\"", excerpt(&bad.found));
            source.refused.push(ConfigError::Value { key, expected, found, origin: Origin::File(path, bad.line) });
            None
        }
    }
}
