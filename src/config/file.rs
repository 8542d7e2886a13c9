//! `rivulet.toml`: from text to settings that know the line on which they stand.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use toml::{Table, Value, de::DeTable};

use super::{
    error::{ConfigError, Origin},
    key::Key,
    layers::{Layers, unknown},
    settings::keys,
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

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str, layers: &mut Layers) -> Result<(), ConfigError> {
    let syntax = |error: toml::de::Error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        ConfigError::Syntax { path: path.to_owned(), line, column, message: error.message().to_owned() }
    };
    // Parsed twice: once for values, once for the places where they stand.
    let spans = DeTable::parse(text).map_err(syntax)?;
    let values: Table = toml::from_str(text).map_err(syntax)?;
    let origin_of = |offset: usize| Origin::File(path.to_owned(), position(text, offset).0);
    let places = spans.get_ref();
    for (section, value) in values {
        let section_place = places.iter().find(|(key, _)| key.get_ref().as_ref() == section);
        let section_origin = origin_of(section_place.map_or(0, |(key, _)| key.span().start));
        if !keys().any(|key| key.section == section) {
            layers.refuse(unknown(section, Key::full, section_origin));
            continue;
        }
        let Value::Table(entries) = value else {
            layers.refuse(ConfigError::Value {
                key: section,
                expected: "a section".to_owned(),
                found: format!("of type {}", value.type_str()),
                origin: section_origin,
            });
            continue;
        };
        let entry_places = section_place.and_then(|(_, value)| value.get_ref().as_table());
        for (name, value) in entries {
            let place = entry_places.and_then(|places| places.iter().find(|(key, _)| key.get_ref().as_ref() == name));
            let origin = place.map_or_else(|| section_origin.clone(), |(key, _)| origin_of(key.span().start));
            let Some(key) = keys().find(|key| key.section == section && key.name == name) else {
                layers.refuse(unknown(format!("{section}.{name}"), Key::full, origin));
                continue;
            };
            let value = key.kind.check(value);
            let within = value.as_ref().err().and_then(|mismatch| mismatch.within.clone());
            let inner = within.and_then(|(at, setting)| {
                let table = place?.1.get_ref().as_array()?.get(at)?;
                let fields = table.get_ref().as_table();
                let field = fields.and_then(|fields| fields.iter().find(|(key, _)| key.get_ref().as_ref() == setting));
                Some(field.map_or_else(|| table.span().start, |(key, _)| key.span().start))
            });
            let origin = inner.map_or(origin, origin_of);
            layers.set(key, value, origin);
        }
    }
    Ok(())
}

/// Line and column of a byte, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
