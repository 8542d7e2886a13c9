//! What a tool of an assistant's file takes: `input.NAME = { type = "number", min = 1 }`.

use std::ops::Range;

use toml::de::DeTable;

use super::fields::{self, Entry, NAME, Source, is_name};
use crate::{
    config::{
        declare::{self, choice, section},
        key::{Key, Kind},
    },
    formula::{Input, Pattern, Presence, Takes},
};

/// The most inputs of a tool, and the most choices of one.
const MAX_INPUTS: usize = 16;
const MAX_CHOICES: usize = 64;
/// A text has at most so many characters where nothing is said.
const MAX_CHARS: usize = 1000;
/// Numbers of a bound.
const BOUND: Kind = Kind::Number(-1e15, 1e15);

choice! {
    /// What an input may be.
    Type {
        /// A number.
        Number = "number",
        /// A number without a fraction.
        Integer = "integer",
        /// A text.
        Text = "string",
        /// True or false.
        Boolean = "boolean",
    }
}

section! {
    /// An input as it is written, without its `default` and its `choices`, which may be of any type.
    "" Written {
        /// What it may be.
        kind as "type": Option<Type> = None, Kind::OneOf(Type::NAMES);
        /// The least.
        min: Option<f64> = None, BOUND;
        /// The most.
        max: Option<f64> = None, BOUND;
        /// The most characters of a text.
        max_len: Option<usize> = None, Kind::Integer(1, 10_000);
        /// The form of a text.
        pattern: Option<String> = None, Kind::Line;
        /// In what it is counted.
        unit: Option<String> = None, Kind::Line;
        /// What it is, for models.
        description: Option<String> = None, Kind::Line;
    }
}

/// All inputs of a tool, in the order in which they are written.
pub(super) fn read<'a>(source: &mut Source<'_>, within: &str, table: &'a DeTable<'a>) -> Vec<Input> {
    let entries = source.table(within, "input", MAX_INPUTS, table);
    entries.into_iter().map(|entry| input(source, &format!("{within}.input"), &entry)).collect()
}

/// One of them; where something is wrong with it, what is right of it, so that its name is known to what follows.
fn input(source: &mut Source<'_>, within: &str, entry: &Entry<'_>) -> Input {
    let key = format!("{within}.{}", entry.name);
    if !is_name(entry.name) {
        source.refuse_text(within.to_owned(), format!("named by {NAME}"), entry.name, &entry.span);
    }
    let takes = Takes::Number { min: None, max: None, whole: false };
    let (name, choices, presence) = (entry.name.to_owned(), Vec::new(), Presence::Required);
    let mut input = Input { name, description: None, unit: None, takes, choices, presence };
    let Some(table) = entry.value.get_ref().as_table() else {
        let kind = entry.value.get_ref().type_str();
        source.refuse(key, "a table, like { type = \"number\" }", format!("of type {kind}"), &entry.span);
        return input;
    };
    let written: Written = source.fields(&key, Written::KEYS, &["default", "choices"], table);
    if let Some(takes) = takes_of(source, &key, &written, &entry.span) {
        input.takes = takes;
        values(source, &key, &mut input, table);
    }
    Input { description: written.description, unit: written.unit, ..input }
}

fn takes_of(source: &mut Source<'_>, key: &str, written: &Written, span: &Range<usize>) -> Option<Takes> {
    let Some(kind) = written.kind else {
        source.refuse(format!("{key}.type"), format!("one of {}", Type::NAMES.join(", ")), "missing or wrong", span);
        return None;
    };
    let (is_number, is_text) = (matches!(kind, Type::Number | Type::Integer), kind == Type::Text);
    let given = [
        ("min", written.min.is_some() && !is_number),
        ("max", written.max.is_some() && !is_number),
        ("max_len", written.max_len.is_some() && !is_text),
        ("pattern", written.pattern.is_some() && !is_text),
    ];
    for (name, _) in given.iter().filter(|(_, is_misplaced)| *is_misplaced) {
        source.refuse(format!("{key}.{name}"), format!("left out where the type is {}", kind.name()), "there", span);
    }
    if let (Some(min), Some(max)) = (written.min, written.max)
        && min > max
    {
        source.refuse(format!("{key}.max"), format!("at least min, {min}"), format!("the number {max}"), span);
    }
    Some(match kind {
        Type::Number | Type::Integer => {
            Takes::Number { min: written.min, max: written.max, whole: kind == Type::Integer }
        }
        Type::Text => {
            let pattern = written.pattern.as_ref().and_then(|text| {
                let refuse = |error: crate::formula::PatternError| {
                    source.refuse_text(format!("{key}.pattern"), error.to_string(), text, span);
                };
                Pattern::parse(text).map_err(refuse).ok()
            });
            Takes::Text { max_chars: written.max_len.unwrap_or(MAX_CHARS), pattern }
        }
        Type::Boolean => Takes::Boolean,
    })
}

/// Its choices and its default, each of which must be something that it takes.
fn values(source: &mut Source<'_>, key: &str, input: &mut Input, table: &DeTable<'_>) {
    let written = fields::entries(table);
    if let Some(Entry { value, span, .. }) = written.iter().find(|entry| entry.name == "choices") {
        let key = format!("{key}.choices");
        let items = fields::read(value).ok().and_then(|value| value.as_array().cloned()).unwrap_or_default();
        if !(1..=MAX_CHOICES).contains(&items.len()) {
            source.refuse(key.clone(), format!("a list of 1 to {MAX_CHOICES} values"), "something else", span);
        }
        for item in items.iter().take(MAX_CHOICES) {
            match json(item).and_then(|value| input.takes.take(&value)) {
                Ok(value) => input.choices.push(value),
                Err(problem) => source.refuse_text(
                    key.clone(),
                    format!("values that it takes ({problem})"),
                    &item.to_string(),
                    span,
                ),
            }
        }
    }
    if let Some(Entry { value, span, .. }) = written.iter().find(|entry| entry.name == "default") {
        let key = format!("{key}.default");
        let Ok(written) = fields::read(value) else {
            return source.refuse(key, "a value that it takes", "a number of more than 64 bits", span);
        };
        match json(&written).and_then(|value| input.take(&value)) {
            Ok(value) => input.presence = Presence::Default(value),
            Err(problem) => {
                source.refuse_text(key, format!("a value that it takes ({problem})"), &written.to_string(), span)
            }
        }
    }
}

/// A value of TOML that JSON has, too.
fn json(value: &toml::Value) -> Result<serde_json::Value, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone().into()),
        toml::Value::Integer(number) => Ok((*number).into()),
        toml::Value::Float(number) if number.is_finite() => Ok((*number).into()),
        toml::Value::Boolean(value) => Ok((*value).into()),
        _ => Err("a text, a number, or true or false".to_owned()),
    }
}
