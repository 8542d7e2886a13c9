//! The configuration: `rivulet.toml`, then the environment, then flags; later wins. Checked as a whole before
//! a port is bound. Leaf of the house: everybody may use its own section, it uses nobody.

mod error;
mod file;
mod keys;
mod load;
mod networks;
mod rules;
mod targets;
#[cfg(test)]
mod tests;
mod world;

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;

pub use self::{
    error::{ConfigError, Origin},
    load::{Loaded, Overrides, environment},
    targets::{Preset, TargetConfig, TargetFault, TargetSettings},
};

/// Everything that can be set. docs/configuration.md explains each.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the gateway listens.
    pub server: ServerConfig,
    /// How long conversations live.
    pub session: SessionConfig,
    /// The model and its clocks.
    pub llm: LlmConfig,
    /// The knowledge base.
    pub knowledge: KnowledgeConfig,
    /// Who may use it.
    pub auth: AuthConfig,
    /// What one gateway takes on.
    pub limits: LimitsConfig,
    /// Logs and spans.
    pub telemetry: TelemetryConfig,
}

/// The most connections of one client address, when nothing is set.
const CONNECTIONS_PER_IP: usize = 100;

impl Config {
    /// `limits.connections_per_ip`, or else 100; but no limit (0) for a gateway in development behind a loopback
    /// address, whose clients all have the same one.
    #[must_use]
    pub fn connections_per_ip(&self) -> usize {
        let server = &self.server;
        let this_machine_only = server.environment == Environment::Development && server.bind.ip().is_loopback();
        self.limits.connections_per_ip.unwrap_or(if this_machine_only { 0 } else { CONNECTIONS_PER_IP })
    }
}

/// `server.*`
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// What the gateway insists on.
    pub environment: Environment,
    /// Folder of the SQLite file and of the LanceDB folder.
    pub data_dir: PathBuf,
    /// Exact origins that may open sockets and read answers besides the gateway's own; `*` allows every one.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed; IPv4-mapped networks are those of IPv4.
    #[serde(deserialize_with = "networks::deserialize")]
    pub trusted_proxies: Vec<IpNet>,
    /// Seconds that running answers get to finish after SIGTERM.
    pub drain_s: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            environment: Environment::Development,
            data_dir: PathBuf::from("./data"),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            drain_s: 30,
        }
    }
}

/// What the gateway insists on.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Anything that works.
    #[default]
    Development,
    /// Refuses settings that are unsafe in public.
    Production,
}

/// `session.*`
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// Seconds after which a session without viewers and runs leaves memory.
    pub idle_s: u64,
    /// Seconds after its last use at which a session is deleted.
    pub ttl_s: u64,
    /// What becomes of an answer that nobody watches any more.
    pub abandon: Abandon,
    /// With `abandon = "stop"`: seconds without a viewer after which it is stopped.
    pub abandon_s: u64,
    /// Messages of the conversation given to the model.
    pub history_messages: usize,
}

/// What becomes of an answer that nobody watches any more.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Abandon {
    /// It is written to its end.
    #[default]
    Finish,
    /// It is stopped after a while.
    Stop,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { idle_s: 600, ttl_s: 2_592_000, abandon: Abandon::Finish, abandon_s: 60, history_messages: 50 }
    }
}

/// `llm.*`: OpenAI-compatible targets, or none, and then the extractive model answers.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// Base URL up to and without `/chat/completions`.
    pub base_url: Option<String>,
    /// Sent as a bearer token.
    pub api_key: Option<Secret>,
    /// The model's name at the provider.
    pub model: Option<String>,
    /// The models that may answer, in the order of preference; instead of the three above.
    pub targets: Vec<TargetConfig>,
    /// Seconds until the connection stands.
    pub connect_s: f64,
    /// Seconds until the first visible text.
    pub first_token_s: f64,
    /// Seconds between two pieces of text.
    pub gap_s: f64,
    /// Seconds for the whole answer.
    pub total_s: f64,
    /// Further attempts at a target that failed before its first visible text.
    pub retries: u32,
    /// Seconds from the start of an answer within which they begin; a longer `Retry-After` is not waited for.
    pub retry_s: f64,
    /// Failed runs in a row after which a target is left alone; when there is a rate, that counts instead.
    pub breaker_failures: u32,
    /// The share of failed runs at which a target is left alone.
    pub breaker_rate: Option<f64>,
    /// The newest runs that the rate looks at; fewer open nothing.
    pub breaker_requests: usize,
    /// Seconds for which it is left alone; then one run tries it.
    pub breaker_open_s: f64,
    /// Who answers when no target does.
    pub fallback: Fallback,
    /// The most tokens of an answer.
    pub max_output_tokens: u32,
    /// What becomes of a request to `/v1` for what a text may stand in for.
    pub unsupported: Unsupported,
    /// Seconds for which an answer is given again to who asks the same; 0: not at all.
    pub cache_ttl_s: f64,
    /// The most answers that are kept for that; 0: none.
    pub cache_entries: u64,
    /// Whether users of one tenant are given each other's answers.
    pub cache_shared: bool,
}

/// For how long, and how many, answers and what was found are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRule {
    /// From then on it is asked anew.
    pub ttl: Duration,
    /// The next one takes the place of the one that was longest unused.
    pub entries: u64,
    /// Whether users of one tenant are given what was made for each other.
    pub shared: bool,
}

impl LlmConfig {
    /// What is kept; `None`: nothing.
    #[must_use]
    pub fn cache(&self) -> Option<CacheRule> {
        let ttl = Duration::try_from_secs_f64(self.cache_ttl_s).ok().filter(|ttl| !ttl.is_zero())?;
        (self.cache_entries > 0).then_some(CacheRule { ttl, entries: self.cache_entries, shared: self.cache_shared })
    }
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            base_url: None,
            api_key: None,
            model: None,
            targets: Vec::new(),
            connect_s: 5.0,
            first_token_s: 30.0,
            gap_s: 15.0,
            total_s: 300.0,
            retries: 2,
            retry_s: 15.0,
            breaker_failures: 3,
            breaker_rate: None,
            breaker_requests: 20,
            breaker_open_s: 300.0,
            fallback: Fallback::None,
            max_output_tokens: 1024,
            unsupported: Unsupported::Refuse,
            cache_ttl_s: 900.0,
            cache_entries: 1000,
            cache_shared: false,
        }
    }
}

/// Who answers when no target does.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// Nobody: the run fails.
    #[default]
    None,
    /// The extractive model, which says so.
    Extractive,
}

/// What becomes of a request to `/v1` for tools that need not be used, for JSON, or for another length of answers.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Unsupported {
    /// It is refused, and says by name why.
    #[default]
    Refuse,
    /// It is answered in text, as if it had not been asked for.
    Text,
}

/// `knowledge.*`
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct KnowledgeConfig {
    /// Whether questions are answered from a knowledge base.
    pub enabled: bool,
    /// Where LanceDB keeps it; `<data_dir>/lancedb` when not set.
    pub uri: Option<String>,
    /// Folder with `model.onnx`, its weights and tokenizer files; `make run` sets it.
    pub model_dir: Option<PathBuf>,
    /// Name of the embedding model, kept with the index so that vectors of two models never mix.
    pub model: String,
    /// Passages given to the model.
    pub top_k: usize,
    /// Passages that fit worse are left out, 0 to 1. The default is where, in the sample, questions about the documents
    /// part from questions about anything else.
    pub min_score: f32,
    /// Files and folders that are ingested at start, in the background; unchanged ones cost nothing.
    pub preload: Vec<PathBuf>,
}

impl Default for KnowledgeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            uri: None,
            model_dir: None,
            model: "all-MiniLM-L6-v2".to_owned(),
            top_k: 5,
            min_score: 0.45,
            preload: Vec::new(),
        }
    }
}

/// `auth.*`
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether everybody has to say who they are.
    pub required: bool,
    /// What tokens are signed with, by HMAC-SHA-256.
    pub jwt_secret: Option<Secret>,
    /// The `iss` that tokens must have; not set: any.
    pub issuer: Option<String>,
    /// The `aud` that tokens must have; not set: none.
    pub audience: Option<String>,
}

/// `limits.*`
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// The most open connections; 0 = no limit.
    pub connections: usize,
    /// The most connections of one client address; 0 = no limit. Not set: see [`Config::connections_per_ip`].
    pub connections_per_ip: Option<usize>,
    /// The most sessions in memory; 0 = no limit.
    pub sessions: usize,
    /// The most answers being written at once; 0 = no limit.
    pub runs: usize,
    /// The most answers of one user being written at once; 0 = no limit.
    pub runs_per_user: usize,
    /// The most answers that wait for their turn because of these two.
    pub waiting_runs: usize,
    /// Tokens that a user may spend in a minute; 0 = no limit.
    pub tokens_per_min: u64,
    /// Tokens that a user may spend on a day of UTC; 0 = no limit.
    pub tokens_per_day: u64,
    /// Tokens that the users of a tenant may spend together in a minute; 0 = no limit.
    pub tenant_tokens_per_min: u64,
    /// Tokens that the users of a tenant may spend together on a day of UTC; 0 = no limit.
    pub tenant_tokens_per_day: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_ip: None,
            sessions: 100_000,
            runs: 0,
            runs_per_user: 0,
            waiting_runs: 1000,
            tokens_per_min: 0,
            tokens_per_day: 0,
            tenant_tokens_per_min: 0,
            tenant_tokens_per_day: 0,
        }
    }
}

/// `telemetry.*`
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `pretty` or `json`; not set: `pretty` in development, `json` in production.
    pub log_format: Option<LogFormat>,
    /// A level or a `tracing` filter.
    pub log_level: String,
    /// The address of an OpenTelemetry collector, without the path; not set: spans go nowhere.
    pub otlp_endpoint: Option<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_format: None, log_level: "info".to_owned(), otlp_endpoint: None }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// A value that is never printed.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
