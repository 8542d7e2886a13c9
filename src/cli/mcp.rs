//! `rivulet mcp`: servers of tools, and what of them was looked at.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use crate::{
    cli::settings::SettingsArgs,
    config::{Pin, Pins, PinsError, Refusal},
    tools::look_at,
};

/// What is to be done.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Task {
    /// Writes down what the tools of `mcp.servers` say of themselves: read it, for models are told that and nothing else
    Pin {
        /// Of this server only.
        #[arg(value_name = "SERVER")]
        server: Option<String>,
    },
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] Refusal),
    /// The file of pins.
    #[error("the file of pins: {0}")]
    Pins(#[from] PinsError),
    /// No server of this name, or none at all.
    #[error("mcp.servers has no such server")]
    Unknown,
    /// A server.
    #[error("{0}: {1}")]
    Server(String, String),
    /// Standard output.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Does it.
///
/// # Errors
/// [`McpError`]; then the file is as it was.
pub async fn run(task: Task, settings: &SettingsArgs) -> Result<(), McpError> {
    let Task::Pin { server: only } = task;
    let (servers, path) = settings.load_servers()?;
    let mut pins = Pins::read(&path)?;
    let asked: Vec<_> = servers.iter().filter(|server| only.as_ref().is_none_or(|only| *only == server.name)).collect();
    if asked.is_empty() {
        return Err(McpError::Unknown);
    }
    let mut out = io::stdout();
    for server in asked {
        let tools = look_at(server).await.map_err(|why| McpError::Server(server.name.clone(), why))?;
        say(&mut out, &server.name, pins.of(&server.name), &tools)?;
        pins.set(&server.name, tools);
    }
    pins.write(&path)?;
    writeln!(out, "written: {}", path.display())?;
    Ok(())
}

/// What is new, for whoever has to look at it.
fn say(
    out: &mut impl Write,
    server: &str,
    known: Option<&BTreeMap<String, Pin>>,
    tools: &BTreeMap<String, Pin>,
) -> io::Result<()> {
    for (name, pin) in tools {
        let state = match known.and_then(|known| known.get(name)) {
            Some(before) if before.hash == pin.hash => "as before",
            Some(_) => "CHANGED",
            None => "new",
        };
        let says = if pin.reads { "says that it reads alone" } else { "may change something" };
        writeln!(out, "{server}.{name}: {state}, {says}")?;
        // A server's words, which may be made to look like others'.
        writeln!(out, "    {}", crate::chat::printable(&pin.description, 400))?;
    }
    let gone = known.into_iter().flatten().filter(|(name, _)| !tools.contains_key(*name));
    for (name, _) in gone {
        writeln!(out, "{server}.{name}: gone")?;
    }
    Ok(())
}
