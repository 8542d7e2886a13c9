//! `kind = "formula"`: intermediate values, results, and a line about them. Documents have them, too.

use std::ops::Range;

use toml::{Spanned, de::DeValue};

use super::fields::{Entry, NAME, Source, is_name};
use crate::{
    config::{
        declare::{self, section},
        error::excerpt,
        key::{Key, Kind, nearest},
    },
    formula::{CONSTANTS, Expression, Formula, Input, Output, Takes, Template},
};

/// The most intermediate values and results of a formula.
const MAX_STEPS: usize = 32;
const MAX_OUTPUTS: usize = 16;

section! {
    /// A result of a formula as it is written.
    "" WrittenOutput {
        /// How it is worked out.
        expr: Option<String> = None, Kind::Text;
        /// Its decimal places.
        round: Option<u8> = None, Kind::Integer(0, 10);
    }
}

/// Reads what a tool of this kind does.
pub(super) fn read(
    source: &mut Source<'_>,
    within: &str,
    tool: &Spanned<DeValue<'_>>,
    inputs: &[Input],
    summary: Option<&str>,
    needs_results: bool,
) -> Formula {
    let mut formula = Formula { steps: Vec::new(), outputs: Vec::new(), summary: None };
    let Some(table) = tool.get_ref().as_table() else { return formula };
    let numbers = inputs.iter().filter(|input| !matches!(input.takes, Takes::Text { .. }));
    let mut known: Vec<String> = numbers.map(|input| input.name.clone()).collect();
    for Entry { name, span, value } in source.table(within, "let", MAX_STEPS, table) {
        let key = format!("{within}.let.{name}");
        match value.get_ref().as_str() {
            Some(text) => {
                formula.steps.extend(expression(source, key.clone(), text, &span, &known).map(|e| (name.to_owned(), e)))
            }
            None => source.refuse(
                key.clone(),
                "an expression, as a text",
                format!("of type {}", value.get_ref().type_str()),
                &span,
            ),
        }
        introduce(source, key, name, &span, &mut known);
    }
    let outputs = source.table(within, "output", MAX_OUTPUTS, table);
    if outputs.is_empty() && needs_results {
        source.refuse(format!("{within}.output"), "a table with one result at least", "empty or missing", &tool.span());
    }
    for Entry { name, span, value } in outputs {
        let key = format!("{within}.output.{name}");
        let written: WrittenOutput = match value.get_ref().as_table() {
            Some(table) => source.fields(&key, WrittenOutput::KEYS, &[], table),
            None => WrittenOutput::default(),
        };
        match written.expr {
            Some(text) => {
                let read = expression(source, format!("{key}.expr"), &text, &span, &known);
                formula.outputs.extend(read.map(|expression| Output {
                    name: name.to_owned(),
                    expression,
                    round: written.round,
                }));
            }
            None => source.refuse(key.clone(), "a table with an `expr`", "something else", &span),
        }
        introduce(source, key, name, &span, &mut known);
    }
    if let Some(text) = summary {
        let texts = inputs.iter().map(|input| input.name.as_str());
        let known: Vec<&str> = texts.chain(known.iter().map(String::as_str)).collect();
        formula.summary = template(source, format!("{within}.summary"), text, &tool.span(), &known);
    }
    formula
}

/// A name stands for something from here on.
fn introduce(source: &mut Source<'_>, key: String, name: &str, span: &Range<usize>, known: &mut Vec<String>) {
    if !is_name(name) {
        source.refuse_text(key, format!("named by {NAME}"), name, span);
    } else if known.iter().any(|other| other == name) {
        source.refuse_text(key, "a name that nothing above it has", name, span);
    } else {
        known.push(name.to_owned());
    }
}

fn expression(
    source: &mut Source<'_>,
    key: String,
    text: &str,
    span: &Range<usize>,
    known: &[String],
) -> Option<Expression> {
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            source.refuse_text(key, format!("an expression ({error})"), text, span);
            return None;
        }
    };
    let is_known =
        |name: &str| known.iter().any(|other| other == name) || CONSTANTS.iter().any(|(other, _)| *other == name);
    if let Some(other) = expression.names().into_iter().find(|name| !is_known(name)) {
        source.refuse_text(
            key,
            format!("made of numbers and names above it ({})", missing(other, known.iter().cloned())),
            text,
            span,
        );
        return None;
    }
    Some(expression)
}

pub(super) fn template(
    source: &mut Source<'_>,
    key: String,
    text: &str,
    span: &Range<usize>,
    known: &[&str],
) -> Option<Template> {
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            source.refuse_text(key, error.to_string(), text, span);
            return None;
        }
    };
    let other = template.names().find(|name| !known.contains(name)).map(str::to_owned);
    if let Some(other) = other {
        let missing = missing(&other, known.iter().map(|name| (*name).to_owned()));
        source.refuse_text(key, format!("a line with names of inputs and results in braces ({missing})"), text, span);
        return None;
    }
    Some(template)
}

pub(super) fn missing(name: &str, known: impl Iterator<Item = String>) -> String {
    let name = excerpt(name);
    match nearest(&name, known) {
        nearest if nearest.is_empty() => format!("there is no `{name}`"),
        nearest => format!("there is no `{name}`; the nearest one is `{nearest}`"),
    }
}
