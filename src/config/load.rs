//! Puts the layers on each other: defaults, the file, the environment, flags; later wins.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    assistants,
    error::{ConfigError, Origin, Refusal},
    file,
    layers::Layers,
    mcp::McpServer,
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
        let config = &mut loaded.config;
        let servers = Self::servers_of(config, &env)?;
        let tools = config.mcp.pinned(&servers).map_err(|problem| Refusal(vec![ConfigError::Refused(problem)]))?;
        for server in servers.iter().filter(|server| !tools.iter().any(|tool| tool.server.name == server.name)) {
            let (name, pins) = (&server.name, config.mcp.pins.display());
            loaded
                .warnings
                .push(format!("mcp.servers: {name} has no tools in {pins}: `rivulet mcp pin` writes them there"));
        }
        config.offered = assistants::read(&config.assistants, &config.llm, &tools, &env)?;
        Ok(loaded)
    }

    /// The servers of `mcp.servers` alone, whatever else is wrong with assistants; and the file with what was looked at.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_servers(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<(Vec<Arc<McpServer>>, PathBuf), Refusal> {
        let mut layers = Layers::of(SECTIONS);
        if let Some(path) = file {
            file::read(path, &mut layers);
        }
        let env = env.into_iter().collect();
        let config = Self::settle(layers, file, &env, overrides)?.config;
        Ok((Self::servers_of(&config, &env)?, config.mcp.pins))
    }

    fn servers_of(config: &Self, env: &BTreeMap<String, String>) -> Result<Vec<Arc<McpServer>>, Refusal> {
        let wrong = |(key, expected)| ConfigError::Refused(format!("{key} must be {expected}"));
        let settled = config.mcp.settled(&config.server.data_dir, env);
        settled.map_err(|faults| Refusal(faults.into_iter().map(wrong).collect()))
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
