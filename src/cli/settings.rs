//! The arguments that every command takes: where the configuration is, and what they change in it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config::{Config, Loaded, McpServer, Overrides, Refusal, environment};

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "rivulet.toml";

/// Arguments of the configuration, the same for every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SettingsArgs {
    /// Configuration file [default: ./rivulet.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port to listen on (server.bind)
    #[arg(long, global = true, value_name = "ADDR")]
    pub bind: Option<SocketAddr>,
    /// Folder of conversations and knowledge (server.data_dir)
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

impl SettingsArgs {
    /// Reads the configuration: the file, this process's environment, these arguments.
    ///
    /// # Errors
    /// [`Refusal`]; also when a file that was named is not there.
    pub fn load(&self) -> Result<Loaded, Refusal> {
        Config::load(self.file().as_deref(), environment(), self.overrides())
    }

    /// The servers of `mcp.servers`, and the file of pins, whatever is wrong with assistants.
    ///
    /// # Errors
    /// As [`SettingsArgs::load`].
    pub fn load_servers(&self) -> Result<(Vec<Arc<McpServer>>, PathBuf), Refusal> {
        Config::load_servers(self.file().as_deref(), environment(), self.overrides())
    }

    fn file(&self) -> Option<PathBuf> {
        let default = Path::new(DEFAULT_FILE);
        // A link that leads nowhere counts as there: the person meant it to be read.
        self.config.clone().or_else(|| default.symlink_metadata().is_ok().then(|| default.to_owned()))
    }

    fn overrides(&self) -> Overrides {
        Overrides { bind: self.bind, data_dir: self.data_dir.clone() }
    }
}
