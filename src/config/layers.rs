//! What was set so far, and where: layer over layer, later wins. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{
    error::{ConfigError, Origin, excerpt},
    key::{Key, Mismatch, nearest},
    settings::{Config, keys},
};

/// The values of settings by their full names, and what could not be one.
#[derive(Default)]
pub(super) struct Layers {
    set: BTreeMap<String, (&'static Key, Value, Origin)>,
    refused: Vec<ConfigError>,
}

impl Layers {
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
        match keys().find(|key| key.full() == full) {
            Some(key) => self.set(key, key.kind.parse(text), origin),
            None => self.refuse(unknown(full.to_owned(), Key::full, origin)),
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
        for (key, value, _) in self.set.values() {
            let section = sections.entry(key.section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(key.name.to_owned(), value.clone());
            }
        }
        Config::deserialize(Value::Table(sections)).map_err(|error| ConfigError::Refused(error.message().to_owned()))
    }
}

/// What is said of a name that is no setting's; `as_written` says how names are written there.
pub(super) fn unknown(written: String, as_written: fn(&Key) -> String, origin: Origin) -> ConfigError {
    let nearest = nearest(&written, keys().map(as_written));
    ConfigError::UnknownKey { key: excerpt(&written), nearest, origin }
}
