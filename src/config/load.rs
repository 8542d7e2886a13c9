//! Puts the layers on each other: defaults, the file, the environment, flags; later wins.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value};

use super::{
    Config,
    error::{ConfigError, Origin},
    file,
    keys::{KEYS, Key, Mismatch, nearest, not_built},
    rules, targets, world,
};

/// What the command line sets.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--bind`.
    pub bind: Option<SocketAddr>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// A configuration that passed every check.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What the operator should know and what does not keep the gateway from starting; no secrets.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads `file`, if one is given, then `env`, then `overrides`, and checks the result as a whole.
    ///
    /// Of the environment it reads `RIVULET_<SECTION>_<KEY>` for every key, lists separated by commas, and the
    /// names that the field uses (`PORT`, `GROQ_API_KEY`, … see `world.rs`); everything else in it is ignored,
    /// and so are the names that an orchestrator makes of a service called `rivulet`.
    /// A variable that is empty counts as not set, except that an empty list is an empty list.
    ///
    /// # Errors
    /// The first [`ConfigError`] that was met. Its text never holds a secret.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Loaded, ConfigError> {
        let env: BTreeMap<String, String> = env.into_iter().collect();
        let mut settings = Settings::default();
        if let Some(path) = file {
            file::read(path, &mut settings)?;
        }
        let mut warnings = world::apply(&env, &mut settings)?;
        apply_variables(&env, &mut settings)?;
        apply_overrides(overrides, &mut settings)?;
        world::choose_model(&env, &mut settings);
        let mut config = settings.build()?;
        targets::find_keys(&mut config.llm.targets, &env).map_err(|fault| rules::target_fault(&fault, &settings))?;
        rules::check(&mut config, &settings, &mut warnings)?;
        Ok(Loaded { config, file: file.map(Path::to_owned), warnings })
    }
}

/// The process environment. Bytes that are not UTF-8 are replaced, so that they are refused where they matter.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

fn apply_variables(env: &BTreeMap<String, String>, settings: &mut Settings) -> Result<(), ConfigError> {
    for (name, text) in env.iter().filter(|(name, _)| name.starts_with("RIVULET_") && !world::is_foreign(name)) {
        let origin = Origin::Variable(name.clone());
        let Some(key) = KEYS.iter().find(|key| key.variable() == *name) else {
            if let Some(text) =
                name.strip_prefix("RIVULET_").and_then(|key| not_built(&key.to_lowercase().replacen('_', ".", 1)))
            {
                return Err(ConfigError::Refused(format!("{origin}: {text}")));
            }
            let nearest = nearest(name, KEYS.iter().map(Key::variable));
            return Err(ConfigError::UnknownKey { key: name.clone(), nearest, origin });
        };
        if text.trim().is_empty() && !matches!(key.kind, super::keys::Kind::List | super::keys::Kind::Networks) {
            continue;
        }
        settings.set(key, key.kind.parse(text), origin)?;
    }
    Ok(())
}

fn apply_overrides(overrides: Overrides, settings: &mut Settings) -> Result<(), ConfigError> {
    if let Some(bind) = overrides.bind {
        settings.set_text("server.bind", &bind.to_string(), Origin::Flag("--bind"))?;
    }
    if let Some(folder) = overrides.data_dir {
        settings.set_text("server.data_dir", &folder.to_string_lossy(), Origin::Flag("--data-dir"))?;
    }
    Ok(())
}

/// What was set so far, by key.
#[derive(Default)]
pub(super) struct Settings(BTreeMap<&'static str, (Value, Origin)>);

impl Settings {
    /// Sets a key to a value that was checked, over what was there.
    pub(super) fn set(
        &mut self,
        key: &'static Key,
        value: Result<Value, Mismatch>,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        match value {
            Ok(value) => {
                self.0.insert(key.name, (value, origin));
                Ok(())
            }
            Err(mismatch) => {
                let key = mismatch.key(key.name);
                let Mismatch { expected, found, .. } = mismatch;
                Err(ConfigError::Value { key, expected, found, origin })
            }
        }
    }

    /// Sets a key of the house to a text from outside.
    pub(super) fn set_text(&mut self, name: &'static str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some(key) = Key::named(name) else { return Ok(()) };
        self.set(key, key.kind.parse(text), origin)
    }

    /// Sets a key to a text that the rules will check.
    pub(super) fn put(&mut self, name: &'static str, text: &str, origin: Origin) {
        self.0.insert(name, (Value::from(text), origin));
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|(value, _)| value.as_str())
    }

    /// Whether there are any targets in `llm.targets`.
    pub(super) fn has_targets(&self) -> bool {
        self.0.get("llm.targets").and_then(|(value, _)| value.as_array()).is_some_and(|targets| !targets.is_empty())
    }

    pub(super) fn origin(&self, name: &str) -> Origin {
        self.0.get(name).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    fn build(&self) -> Result<Config, ConfigError> {
        let mut sections = Table::new();
        for key in KEYS {
            let Some((value, _)) = self.0.get(key.name) else { continue };
            let (section, name) = key.parts();
            let section = sections.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(name.to_owned(), value.clone());
            }
        }
        Config::deserialize(Value::Table(sections)).map_err(|error| ConfigError::Refused(error.message().to_owned()))
    }
}
