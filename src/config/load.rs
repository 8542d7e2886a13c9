//! Puts the layers on each other: defaults, the file, the environment, flags; later wins.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    assistants,
    error::{Origin, Refusal},
    file,
    layers::Layers,
    rules,
    settings::{Config, SECTIONS},
    target, variables, world,
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
    /// All that is wrong, in the order in which it was met. No text of it holds a secret.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Loaded, Refusal> {
        let mut layers = Layers::of(SECTIONS);
        if let Some(path) = file {
            file::read(path, &mut layers);
        }
        let env = env.into_iter().collect();
        let mut loaded = Self::settle(layers, file, &env, overrides)?;
        loaded.config.offered = assistants::read(&loaded.config.assistants, &loaded.config.llm, &env)?;
        Ok(loaded)
    }

    /// The same of a file whose text is known already; `path` is what messages call it. Reads no assistants. Pure.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn of_text(
        path: &Path,
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, Refusal> {
        let mut layers = Layers::of(SECTIONS);
        file::read_text(path, text, &mut layers);
        Self::settle(layers, Some(path), &env.into_iter().collect(), Overrides::default())
    }

    /// Puts on `layers` what lies above the file, and checks the whole.
    fn settle(
        mut layers: Layers,
        file: Option<&Path>,
        env: &BTreeMap<String, String>,
        overrides: Overrides,
    ) -> Result<Loaded, Refusal> {
        world::apply(env, &mut layers);
        variables::apply(env, &mut layers);
        if let Some(bind) = overrides.bind {
            layers.set_text("server.bind", &bind.to_string(), Origin::Flag("--bind"));
        }
        if let Some(folder) = overrides.data_dir {
            layers.set_text("server.data_dir", &folder.to_string_lossy(), Origin::Flag("--data-dir"));
        }
        world::choose_model(env, &mut layers);
        let mut refused = layers.take_refused();
        let mut config = layers.build().map_err(|error| Refusal(vec![error]))?;
        let found = target::find_keys(&mut config.llm.targets, env);
        refused.extend(found.map_err(|fault| rules::target_fault(&fault, &layers)).err());
        let mut warnings = Vec::new();
        rules::check(&mut config, &layers, &mut refused, &mut warnings);
        if !refused.is_empty() {
            return Err(Refusal(refused));
        }
        Ok(Loaded { config, file: file.map(Path::to_owned), warnings })
    }
}
