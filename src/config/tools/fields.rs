//! The tables of `[[tool]]`, entry by entry: each is held against its keys, and what is wrong is told with its line.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::config::{
    error::{ConfigError, Origin, excerpt},
    file::position,
    key::{Key, nearest},
};

/// A file, and what is wrong with it.
pub(in crate::config) struct Source<'a> {
    pub(in crate::config) path: &'a Path,
    pub(in crate::config) text: &'a str,
    /// The variables of which secrets are made.
    pub(in crate::config) env: &'a BTreeMap<String, String>,
    pub(in crate::config) refused: &'a mut Vec<ConfigError>,
}

/// An entry of a table: its name, where that stands, and its value.
pub(in crate::config) struct Entry<'a> {
    pub(in crate::config) name: &'a str,
    pub(in crate::config) span: Range<usize>,
    pub(in crate::config) value: &'a Spanned<DeValue<'a>>,
}

/// The entries of a table, in the order in which they were written.
pub(in crate::config) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<_> =
        table.iter().map(|(name, value)| Entry { name: name.get_ref().as_ref(), span: name.span(), value }).collect();
    entries.sort_by_key(|entry| entry.span.start);
    entries
}

impl Source<'_> {
    /// A value cannot be as it was written.
    pub(in crate::config) fn refuse(
        &mut self,
        key: String,
        expected: impl Into<String>,
        found: impl Into<String>,
        span: &Range<usize>,
    ) {
        let origin = self.origin(span);
        self.refused.push(ConfigError::Value { key, expected: expected.into(), found: found.into(), origin });
    }

    /// The same of a text that is quoted.
    pub(in crate::config) fn refuse_text(
        &mut self,
        key: String,
        expected: impl Into<String>,
        found: &str,
        span: &Range<usize>,
    ) {
        self.refuse(key, expected, format!("the text \"{}\"", excerpt(found)), span);
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        Origin::File(self.path.to_owned(), position(self.text, span.start).0)
    }

    /// What a table sets of these keys, over the defaults. Entries named in `others` are left alone.
    pub(in crate::config) fn fields<T: DeserializeOwned + Default>(
        &mut self,
        within: &str,
        keys: &'static [Key],
        others: &[&str],
        table: &DeTable<'_>,
    ) -> T {
        let mut set = Table::new();
        for Entry { name, span, value } in entries(table).into_iter().filter(|entry| !others.contains(&entry.name)) {
            let Some(key) = keys.iter().find(|key| key.name == name) else {
                let known = keys.iter().map(|key| key.name).chain(others.iter().copied());
                let nearest = nearest(name, known.map(str::to_owned));
                let (key, origin) = (format!("{within}.{}", excerpt(name)), self.origin(&span));
                self.refused.push(ConfigError::UnknownKey { key, nearest, origin });
                continue;
            };
            match read(value).map_err(|()| key.kind.immeasurable()).and_then(|value| key.kind.check(value)) {
                Ok(value) => {
                    set.insert(name.to_owned(), value);
                }
                Err(wrong) => self.refuse(format!("{within}.{name}"), wrong.expected, wrong.found, &span),
            }
        }
        T::deserialize(Value::Table(set)).unwrap_or_default() // All values have the types of their keys.
    }

    /// The entries of the table that stands at `name`, at most so many; none where there is none.
    pub(in crate::config) fn table<'a>(
        &mut self,
        within: &str,
        name: &str,
        most: usize,
        table: &'a DeTable<'a>,
    ) -> Vec<Entry<'a>> {
        let Some(found) = entries(table).into_iter().find(|entry| entry.name == name) else { return Vec::new() };
        let Some(inner) = found.value.get_ref().as_table() else {
            let kind = found.value.get_ref().type_str();
            self.refuse(format!("{within}.{name}"), "a table", format!("of type {kind}"), &found.span);
            return Vec::new();
        };
        let mut inner = entries(inner);
        if inner.len() > most {
            let found_many = format!("{} of them", inner.len());
            self.refuse(format!("{within}.{name}"), format!("at most {most}"), found_many, &found.span);
            inner.truncate(most);
        }
        inner
    }
}

/// A value of TOML, unless it is a number of which ours have no like.
pub(in crate::config) fn read(value: &Spanned<DeValue<'_>>) -> Result<Value, ()> {
    Value::deserialize(ValueDeserializer::from(value.clone())).map_err(|_| ())
}

/// The names of tools, and of what they take and give: a letter, and up to 39 letters, digits and `_` more.
pub(in crate::config) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=40).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(is_plain)
}

/// What [`is_name`] asks for, in words.
pub(in crate::config) const NAME: &str = "a letter a-z, and up to 39 of the characters a-z, 0-9 and _ more";
