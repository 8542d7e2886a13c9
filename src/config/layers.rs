//! What was set so far, and where: layer over layer, later wins. Pure.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{
    error::{ConfigError, Origin, excerpt},
    key::{Key, Mismatch, nearest},
    settings::Config,
};

/// What can be set: the keys, section by section.
pub(super) type Sections = &'static [&'static [Key]];

/// The values of settings by their full names, and what could not be one.
pub(super) struct Layers {
    sections: Sections,
    set: BTreeMap<String, (&'static Key, Value, Origin)>,
    refused: Vec<ConfigError>,
}

impl Layers {
    /// Nothing is set of what there is in these sections.
    pub(super) fn of(sections: Sections) -> Self {
        Self { sections, set: BTreeMap::new(), refused: Vec::new() }
    }

    /// All that can be set.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.sections.iter().copied().flatten()
    }

    /// Sets a key to a value that was checked, over what was there.
    pub(super) fn set(&mut self, key: &'static Key, value: Result<Value, Mismatch>, origin: Origin) {
        match value {
            Ok(value) => {
                self.set.insert(key.full(), (key, value, origin));
            }
            Err(mismatch) => {
                let key = mismatch.key(&key.full());
                let Mismatch { expected, found, .. } = mismatch;
                self.refuse(ConfigError::Value { key, expected, found, origin });
            }
        }
    }

    /// Something cannot be as it was written. The rest is looked at all the same, so that all is told at once.
    pub(super) fn refuse(&mut self, error: ConfigError) {
        self.refused.push(error);
    }

    /// What was refused so far.
    pub(super) fn take_refused(&mut self) -> Vec<ConfigError> {
        std::mem::take(&mut self.refused)
    }

    /// Sets the key of this full name to a text from outside.
    pub(super) fn set_text(&mut self, full: &str, text: &str, origin: Origin) {
        match self.keys().find(|key| key.full() == full) {
            Some(key) => self.set(key, key.kind.parse(text), origin),
            None => self.refuse_unknown(full.to_owned(), Key::full, origin),
        }
    }

    pub(super) fn text(&self, full: &str) -> Option<&str> {
        self.set.get(full).and_then(|(_, value, _)| value.as_str())
    }

    /// Whether there are any targets in `llm.targets`.
    pub(super) fn has_targets(&self) -> bool {
        self.set
            .get("llm.targets")
            .and_then(|(_, value, _)| value.as_array())
            .is_some_and(|targets| !targets.is_empty())
    }

    pub(super) fn origin(&self, full: &str) -> Origin {
        self.set.get(full).map_or(Origin::Default, |(.., origin)| origin.clone())
    }

    /// What was set, over the defaults.
    pub(super) fn build(&self) -> Result<Config, ConfigError> {
        let mut sections = Table::new();
        for keys in self.sections.iter().copied() {
            if let Some(first) = keys.first() {
                sections.insert(first.section.to_owned(), Value::Table(self.table(keys)));
            }
        }
        read(sections)
    }

    /// What was set of these keys, over the defaults.
    pub(super) fn section<T: DeserializeOwned>(&self, keys: &'static [Key]) -> Result<T, ConfigError> {
        read(self.table(keys))
    }

    /// The same once more, for others to be set over it.
    pub(super) fn above(&self) -> Self {
        Self { sections: self.sections, set: self.set.clone(), refused: Vec::new() }
    }

    fn table(&self, keys: &[Key]) -> Table {
        let set = keys.iter().filter_map(|key| self.set.get(&key.full()));
        set.map(|(key, value, _)| (key.name.to_owned(), value.clone())).collect()
    }

    /// Nobody knows this name; `as_written` says how names are written there.
    pub(super) fn refuse_unknown(&mut self, written: String, as_written: fn(&Key) -> String, origin: Origin) {
        let nearest = nearest(&written, self.keys().map(as_written));
        self.refuse(ConfigError::UnknownKey { key: excerpt(&written), nearest, origin });
    }
}

fn read<T: DeserializeOwned>(table: Table) -> Result<T, ConfigError> {
    T::deserialize(Value::Table(table)).map_err(|error| ConfigError::Refused(error.message().to_owned()))
}
