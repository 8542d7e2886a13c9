//! Servers that speak MCP, and those of their tools that the operator has looked at: `[[mcp.servers]]`, and the file of pins.
//! Pure, but for reading that file.

mod pins;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use serde_json::Value;

pub use self::pins::{Pin, Pins, PinsError};
use super::{
    address::server_url,
    declare::{self, section},
    key::{Key, Kind, is_name},
    networks,
    secret::Secret,
};

/// The most servers.
const MAX_SERVERS: usize = 16;
/// The most characters that models take as the name of a tool.
const MAX_WIRE_NAME: usize = 64;
/// The shortest secret that signs who asks, in bytes.
const MIN_SECRET: usize = 32;

section! {
    /// `mcp.*`
    "mcp" McpConfig {
        /// The file with the tools that were looked at, which `rivulet mcp pin` writes.
        pins: PathBuf = "./mcp.lock".into(), Kind::Path;
        /// Whether agents of others may search the knowledge base, at `/mcp`.
        serve: bool = true, Kind::Switch;
        /// The address by which they know it; then they are told who lets them in.
        resource: Option<String> = None, Kind::Url;
        /// The servers.
        servers: Vec<McpServerConfig> = Vec::new(), Kind::Entries("server", MAX_SERVERS, McpServerConfig::KEYS);
    }
}

section! {
    /// A server as it is written: a `command` or a `url`.
    "" McpServerConfig {
        /// What its tools begin with.
        name: String = String::new(), Kind::Line;
        /// The program, as an absolute path.
        command: Option<PathBuf> = None, Kind::Path;
        /// Its arguments.
        args: Vec<String> = Vec::new(), Kind::List;
        /// Names of the variables that it is given; it has no others.
        env: Vec<String> = Vec::new(), Kind::List;
        /// Where it listens.
        url: Option<String> = None, Kind::Url;
        /// Addresses that are not public and may be asked all the same.
        #[serde(deserialize_with = "networks::deserialize")]
        private_hosts: Vec<IpNet> = Vec::new(), Kind::Networks;
        /// The variable with the token that it is sent.
        token_env: Option<String> = None, Kind::Text;
        /// The variable with the secret that signs who asks.
        principal_env: Option<String> = None, Kind::Text;
        /// Tools that are believed to change nothing, when the server says so too.
        reads: Vec<String> = Vec::new(), Kind::List;
        /// Seconds until it has said what it is and has.
        connect_s: f64 = 15.0, Kind::Number(0.1, 120.0);
        /// Seconds for a call, again with every word of progress.
        call_s: f64 = 20.0, Kind::Number(0.1, 300.0);
        /// Seconds for a call in all.
        call_total_s: f64 = 120.0, Kind::Number(0.1, 600.0);
    }
}

/// A server with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct McpServer {
    /// What its tools begin with.
    pub name: String,
    /// How it is reached.
    pub reach: McpReach,
    /// Until it has said what it is and has, in seconds.
    pub connect_s: f64,
    /// For a call, again with every word of progress, in seconds.
    pub call_s: f64,
    /// For a call in all, in seconds.
    pub call_total_s: f64,
}

impl McpServer {
    /// How long a call may take, all that comes before it included.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(2.0f64.mul_add(self.connect_s, self.call_total_s))
    }
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum McpReach {
    /// A program of this machine, over its standard input and output.
    Child {
        /// The program.
        command: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// All of its environment.
        env: Vec<(String, Secret)>,
        /// Where it runs.
        folder: PathBuf,
    },
    /// Streamable HTTP.
    Http {
        /// Where.
        url: String,
        /// Addresses that are not public and may be asked all the same.
        private_hosts: Vec<IpNet>,
        /// Sent as a bearer token.
        token: Option<McpToken>,
    },
}

/// What a server is told of who asks.
#[derive(Debug, Clone, PartialEq)]
pub enum McpToken {
    /// Always the same.
    Fixed(Secret),
    /// Who it is, signed with this.
    OfWhoAsks(Secret),
}

/// A tool of a server that the operator has looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct McpTool {
    /// As assistants and people name it: `crm.lookup_customer`.
    pub title: String,
    /// As models name it: `crm__lookup_customer`.
    pub name: String,
    /// As the server names it.
    pub remote: String,
    /// Whose it is.
    pub server: Arc<McpServer>,
    /// What was looked at.
    pub pin: Pin,
    /// Whether a call may change something: then the user has to allow it.
    pub changes: bool,
}

impl McpConfig {
    /// The servers with nothing left open; programs run in folders below `data_dir`.
    ///
    /// # Errors
    /// All that is wrong: a key, and what it must be.
    pub fn settled(
        &self,
        data_dir: &std::path::Path,
        env: &BTreeMap<String, String>,
    ) -> Result<Vec<Arc<McpServer>>, Vec<(String, String)>> {
        let (mut settled, mut wrong): (Vec<Arc<McpServer>>, _) = (Vec::new(), Vec::new());
        for (at, written) in self.servers.iter().enumerate() {
            let is_taken = self.servers[..at].iter().any(|other| other.name == written.name);
            let found = match written.reach(data_dir, env) {
                _ if !is_name(&written.name) || is_taken => {
                    Err(("name", "1 to 40 of the characters a-z, 0-9 and -, and no other server's".to_owned()))
                }
                found => found,
            };
            match found {
                Ok(reach) => settled.push(Arc::new(McpServer {
                    name: written.name.clone(),
                    reach,
                    connect_s: written.connect_s,
                    call_s: written.call_s,
                    call_total_s: written.call_total_s,
                })),
                Err((setting, expected)) => wrong.push((format!("mcp.servers[{}].{setting}", at + 1), expected)),
            }
        }
        if wrong.is_empty() { Ok(settled) } else { Err(wrong) }
    }

    /// The tools of `servers` that were looked at, by name.
    ///
    /// # Errors
    /// What is wrong with the file, or with `reads`, or with names: they must differ.
    pub fn pinned(&self, servers: &[Arc<McpServer>]) -> Result<Vec<Arc<McpTool>>, String> {
        if servers.is_empty() {
            return Ok(Vec::new());
        }
        let pins = Pins::read(&self.pins).map_err(|error| format!("{}: {error}", self.pins.display()))?;
        let mut tools: Vec<Arc<McpTool>> = Vec::new();
        for (server, written) in servers.iter().zip(&self.servers) {
            let known = pins.of(&server.name);
            for name in &written.reads {
                if !known.is_some_and(|known| known.get(name).is_some_and(|pin| pin.reads)) {
                    let (server, pins) = (&server.name, self.pins.display());
                    return Err(format!(
                        "mcp.servers: {server} says of no tool `{name}` that it reads alone (in {pins}): take it out of reads"
                    ));
                }
            }
            for (remote, pin) in known.into_iter().flatten() {
                let tool = McpTool::of(server, remote, pin, written.reads.contains(remote));
                if tool.name.len() > MAX_WIRE_NAME || tools.iter().any(|other| other.name == tool.name) {
                    let (title, name) = (&tool.title, &tool.name);
                    return Err(format!(
                        "mcp.servers: models would know {title} as {name}, which is too long, or another tool's name"
                    ));
                }
                tools.push(Arc::new(tool));
            }
        }
        Ok(tools)
    }
}

impl McpTool {
    fn of(server: &Arc<McpServer>, remote: &str, pin: &Pin, reads: bool) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        Self {
            title: format!("{}.{remote}", server.name),
            name: format!("{}__{}", server.name, remote.chars().map(plain).collect::<String>()),
            remote: remote.to_owned(),
            server: server.clone(),
            pin: pin.clone(),
            changes: !(reads && pin.reads),
        }
    }

    /// What it takes, as models are told.
    #[must_use]
    pub fn schema(&self) -> Value {
        Value::Object(self.pin.schema.clone())
    }
}

impl McpServerConfig {
    fn reach(
        &self,
        data_dir: &std::path::Path,
        env: &BTreeMap<String, String>,
    ) -> Result<McpReach, (&'static str, String)> {
        let value = |name: &String| env.get(name).filter(|text| !text.trim().is_empty());
        let wrong = |setting, expected: &str| Err((setting, expected.to_owned()));
        match (&self.command, &self.url) {
            (Some(command), None) => {
                if !command.is_absolute() {
                    return wrong("command", "an absolute path");
                }
                if self.token_env.is_some() || self.principal_env.is_some() || !self.private_hosts.is_empty() {
                    let others = "without token_env, principal_env and private_hosts, which are of servers with a url";
                    return wrong("command", others);
                }
                let found = self.env.iter().map(|name| match value(name) {
                    Some(text) => Ok((name.clone(), Secret::new(text.clone()))),
                    None => Err(("env", format!("names of variables that are set ({name} is not)"))),
                });
                let env = found.collect::<Result<_, _>>()?;
                let folder = data_dir.join("mcp").join(&self.name);
                Ok(McpReach::Child { command: command.clone(), args: self.args.clone(), env, folder })
            }
            (None, Some(url)) => {
                if !self.args.is_empty() || !self.env.is_empty() {
                    return wrong("url", "without args and env, which are of servers with a command");
                }
                // A token, and what users say, must not be read on the way.
                let is_private = !self.private_hosts.is_empty();
                if !(url.starts_with("https://") || is_private) || server_url(url).is_err() {
                    return wrong("url", "an https:// address; http:// where private_hosts names its network");
                }
                let secret = |name| value(name).map(|text| Secret::new(text.trim().to_owned()));
                let token = match (&self.token_env, &self.principal_env) {
                    (Some(name), None) => match secret(name) {
                        Some(token) if token.is_bearer() => Some(McpToken::Fixed(token)),
                        _ => return wrong("token_env", "the name of a variable that is set to a token"),
                    },
                    (None, Some(name)) => match secret(name) {
                        Some(secret) if secret.expose().len() >= MIN_SECRET => Some(McpToken::OfWhoAsks(secret)),
                        _ => {
                            let form =
                                format!("the name of a variable that is set to at least {MIN_SECRET} characters");
                            return wrong("principal_env", &form);
                        }
                    },
                    (Some(_), Some(_)) => {
                        return wrong("token_env", "set, or principal_env instead of it, and not both");
                    }
                    (None, None) => None,
                };
                Ok(McpReach::Http { url: url.clone(), private_hosts: self.private_hosts.clone(), token })
            }
            _ => wrong("command", "set, or url instead of it, and not both"),
        }
    }
}
