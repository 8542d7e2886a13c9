//! `rivulet.toml` and the files of assistants: from text to settings that know the line on which they stand.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
};

use serde::Deserialize;
use toml::{
    Spanned, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{
    error::{ConfigError, Origin},
    key::Key,
    layers::Layers,
};

/// No configuration is longer, in bytes; what is longer is some other file.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file into `layers`.
pub(super) fn read(path: &Path, layers: &mut Layers) {
    match text_of(path) {
        Ok(text) => read_text(path, &text, layers),
        Err(source) => layers.refuse(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// Reads the text of the file at `path`.
pub(super) fn read_text(path: &Path, text: &str, layers: &mut Layers) {
    if let Err(error) = parse(path, text, layers) {
        layers.refuse(error);
    }
}

pub(super) fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str, layers: &mut Layers) -> Result<(), ConfigError> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    // One fault makes others behind it.
    if let Some(error) = errors.iter().min_by_key(|error| start(error)) {
        let (line, column) = position(text, start(error));
        return Err(ConfigError::Syntax { path: path.to_owned(), line, column, message: error.message().to_owned() });
    }
    let origin_of = |span: Range<usize>| Origin::File(path.to_owned(), position(text, span.start).0);
    for (section, entries) in document.get_ref() {
        let (section, origin) = (section.get_ref().as_ref(), origin_of(section.span()));
        if let Some(key) = layers.keys().find(|key| key.section.is_empty() && key.name == section) {
            set(key, entries, origin, origin_of, layers);
            continue;
        }
        if !layers.keys().any(|key| key.section == section) {
            layers.refuse_unknown(section.to_owned(), Key::full, origin);
            continue;
        }
        let Some(entries) = entries.get_ref().as_table() else {
            layers.refuse(ConfigError::Value {
                key: section.to_owned(),
                expected: "a section".to_owned(),
                found: format!("of type {}", entries.get_ref().type_str()),
                origin,
            });
            continue;
        };
        for (name, value) in entries {
            let origin = origin_of(name.span());
            match layers.keys().find(|key| key.section == section && key.name == name.get_ref().as_ref()) {
                Some(key) => set(key, value, origin, origin_of, layers),
                None => layers.refuse_unknown(format!("{section}.{}", name.get_ref()), Key::full, origin),
            }
        }
    }
    Ok(())
}

/// Sets a key to what the file has for it; what is wrong within a list is told with its own line.
fn set(
    key: &'static Key,
    value: &Spanned<DeValue<'_>>,
    origin: Origin,
    origin_of: impl Fn(Range<usize>) -> Origin,
    layers: &mut Layers,
) {
    // Not every number of TOML is one of ours.
    let read = Value::deserialize(ValueDeserializer::from(value.clone()));
    let checked = read.map_err(|_| key.kind.immeasurable()).and_then(|value| key.kind.check(value));
    let within = checked.as_ref().err().and_then(|mismatch| mismatch.within.as_ref());
    let inner = within.and_then(|(at, setting)| {
        let table = value.get_ref().as_array()?.get(*at)?;
        let fields = table.get_ref().as_table();
        let field = fields.and_then(|fields| fields.iter().find(|(key, _)| key.get_ref().as_ref() == setting));
        Some(field.map_or_else(|| table.span(), |(key, _)| key.span()))
    });
    let origin = inner.map_or(origin, origin_of);
    layers.set(key, checked, origin);
}

/// The line on which something is set within the table `at` of a list, from 1; that of the table when it is not there.
pub(super) fn line_within(text: &str, (list, at): (&str, usize), names: &[&str]) -> usize {
    let (document, _) = DeTable::parse_recoverable(text);
    let listed = document.get_ref().iter().find(|(key, _)| key.get_ref().as_ref() == list);
    let Some(table) = listed.and_then(|(_, tables)| tables.get_ref().as_array()?.get(at)) else { return 1 };
    let (mut inner, mut place) = (Some(table), table.span());
    for name in names {
        let fields = inner.and_then(|value| value.get_ref().as_table());
        let field = fields.and_then(|fields| fields.iter().find(|(key, _)| key.get_ref().as_ref() == *name));
        place = field.map_or(place, |(key, _)| key.span());
        inner = field.map(|(_, value)| value);
    }
    position(text, place.start).0
}

/// Line and column of a byte, both from 1.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
